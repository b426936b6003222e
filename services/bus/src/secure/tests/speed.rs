//! What security costs. Not part of the tests: figures of a busy machine prove nothing. With optimisation:
//! `CARGO_PROFILE_TEST_OPT_LEVEL=3 cargo test -p bus --lib secure::tests::speed -- --ignored --nocapture`

use super::*;
use std::time::{Duration, Instant};

const LASTS: Duration = Duration::from_secs(2);

/// How often a thing can be done on one core, a second.
fn rate(mut once: impl FnMut()) -> f64 {
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < LASTS {
        once();
        count += 1;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

#[test]
#[ignore = "a measurement"]
fn figures() {
    let house = House::new();
    println!("handshakes, both ends: {:.0} a second", rate(|| drop(house.link())));
    let (client, server) = house.link();
    let (mut sealer, mut opener) = (client.sealer, server.sealed.opener);
    let mut sealed = Vec::new();
    let once = || {
        sealed.clear();
        sealer.seal(&[7; 256], &mut sealed);
        opener.receive(&sealed, |plain| assert_eq!(plain.len(), 256)).unwrap();
    };
    println!("seal and open of 256 bytes: {:.2} us", 1e6 / rate(once));
    println!("bytes of a link: sealer {}, opener {}", size_of::<Sealer>(), size_of::<Opener>());
    println!("bytes of snow's own: {}, without its heap", size_of::<snow::TransportState>());
    println!("bytes of a handshake: {}, without its heap", size_of::<snow::HandshakeState>());
}
