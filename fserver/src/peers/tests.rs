//! Writing to a crowd, to slow peers, and on sealed links.

use super::*;
use bus::secure::{Authorized, Hellos, Initiator, Responder, Sealed, SecretKey};
use protocol::{Epoch, HostName, frame};
use std::os::unix::net::UnixStream as Near;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

const SHUTDOWN: &[u8] = b"shutdown\n";

fn nobody() -> Peers {
    Peers::new(mpsc::channel(8).0).unwrap()
}

/// A peer, and its own end of the link.
fn add(peers: &mut Peers, peer: PeerId) -> UnixStream {
    let (near, far) = Near::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    assert!(peers.add(peer, Stream::Unix(near), Duration::from_secs(9)).is_none());
    UnixStream::from_std(far).unwrap()
}

fn crowd(peers: &mut Peers) -> Vec<UnixStream> {
    runner::limits::raise_open_files();
    (0..WORTH_A_THREAD as u64 + 1).map(|number| add(peers, PeerId(number))).collect()
}

async fn says(end: &UnixStream, bytes: &[u8]) {
    end.writable().await.unwrap();
    assert_eq!(end.try_write(bytes).unwrap(), bytes.len());
}

async fn heard(end: &UnixStream) -> Vec<u8> {
    let mut buffer = [0; 64];
    end.readable().await.unwrap();
    let length = end.try_read(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

#[tokio::test]
async fn a_crowd_is_told_once_each_and_a_slow_peer_in_its_order() {
    let mut peers = nobody();
    let mut ends = crowd(&mut peers);
    let all: Vec<PeerId> = (0..ends.len() as u64).map(PeerId).collect();
    let slow = PeerId(7);
    while peers.links[&slow].unsent.is_empty() {
        assert!(peers.send(slow, &[b'.'; 4096]).is_none());
    }
    let waiting = peers.links[&slow].unsent.len();

    assert!(peers.send_all(&all, SHUTDOWN).is_empty());

    let unsent = &peers.links[&slow].unsent;
    assert!(unsent.len() == waiting + SHUTDOWN.len() && unsent.ends_with(SHUTDOWN), "{} bytes", unsent.len());
    ends.remove(7);
    for end in &ends {
        assert_eq!(heard(end).await, SHUTDOWN);
    }
}

#[tokio::test]
async fn in_a_crowd_a_broken_link_is_told_and_delays_nobody() {
    let mut peers = nobody();
    let mut ends = crowd(&mut peers);
    let all: Vec<PeerId> = (0..ends.len() as u64).map(PeerId).collect();
    drop(ends.remove(7));

    let ended = peers.send_all(&all, SHUTDOWN);

    assert!(matches!(&ended[..], [Input::Ended(PeerId(7), Some(_))]), "{ended:?}");
    for end in &ends {
        assert_eq!(heard(end).await, SHUTDOWN);
    }
}

/// Both ends of a link after its handshake: the server's, the client's.
fn sealed() -> (Sealed, Sealed) {
    let hellos = Hellos {
        client: HostName::parse("kitchen").unwrap(),
        server: HostName::parse("attic").unwrap(),
        epoch: Epoch(7),
    };
    let (server, client) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
    let (list, _) = Authorized::parse("list", &format!("kitchen {} follow", client.public()));
    let (initiator, first) = Initiator::new(&client, server.public(), &hellos).unwrap();
    let (responder, answer) = Responder::answer(&server, &hellos, &first).unwrap();
    let (last, near) = initiator.receive(&answer).unwrap();
    (responder.finish(&last, &list).unwrap().sealed, near)
}

#[tokio::test]
async fn what_waits_for_a_slow_peer_on_a_sealed_link_is_sealed_once_and_in_its_order() {
    let (mut peers, slow) = (nobody(), PeerId(1));
    let far = add(&mut peers, slow);
    let (server, mut client) = sealed();
    peers.seal(slow, server);
    let mut said = 0_u32;
    while peers.links[&slow].unsent.len() < 8192 {
        said += 1;
        assert!(peers.send(slow, &said.to_be_bytes()).is_none());
    }
    peers.half_close(slow);
    assert!(peers.send(slow, b"too late").is_none());

    let (mut heard, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    while client.opener.finish().is_err() {
        tokio::select! {
            ready = peers.ready() => {
                assert_eq!(ready, [Ready { peer: slow, readable: false, writable: true }]);
                assert!(peers.writable(slow).is_none());
            }
            () = async { far.readable().await.unwrap() } => match far.try_read(&mut buffer) {
                Ok(count) => client.opener.receive(&buffer[..count], |plain| heard.extend_from_slice(plain)).unwrap(),
                Err(why) => assert_eq!(why.kind(), io::ErrorKind::WouldBlock),
            },
        }
    }
    let all: Vec<u8> = (1..=said).flat_map(u32::to_be_bytes).collect();
    assert!(heard == all, "{} of {} bytes", heard.len(), all.len());
}

/// Two lines of a handshake and what is sealed behind it, all in one read.
#[tokio::test]
async fn bytes_behind_a_handshake_are_opened_with_what_the_loop_says() {
    let (mut peers, kitchen) = (nobody(), PeerId(1));
    let far = add(&mut peers, kitchen);
    let (server, mut client) = sealed();
    let mut bytes = b"wait pistop/2 kitchen\n".to_vec();
    for step in [1, 3] {
        bytes.extend(frame::encode(&Message::Handshake(vec![step])));
    }
    client.sealer.seal(&frame::encode(&Message::Text("sealed".into())), &mut bytes);
    says(&far, &bytes).await;
    drop(far);
    assert_eq!(peers.ready().await, [Ready { peer: kitchen, readable: true, writable: false }]);
    let mut buffer = [0; READ_BUFFER];
    let Read::Bytes(count) = peers.read(kitchen, &mut buffer) else { panic!("there are bytes") };
    let mut bytes = &buffer[..count];
    let mut hear = |peers: &mut Peers| {
        let (heard, result) = peers.hear(kitchen, &mut bytes);
        (heard, result, bytes.len())
    };
    let hello = Heard::Line(ClientLine::Hello(HostName::parse("kitchen").unwrap()));
    let shakes = |step| Heard::Message(Message::Handshake(vec![step]));
    let (heard, result, left) = hear(&mut peers);
    assert!(heard == [hello, shakes(1)] && result.is_ok() && left > 0, "{heard:?}, {result:?}, {left} left");
    let (heard, result, left) = hear(&mut peers);
    assert!(heard == [shakes(3)] && result.is_ok() && left > 0, "{heard:?}, {result:?}, {left} left");
    peers.seal(kitchen, server);
    let text = Heard::Message(Message::Text("sealed".into()));
    assert_eq!(hear(&mut peers), (vec![text], Ok(()), 0));
    let Read::End(Some(why)) = peers.read(kitchen, &mut buffer) else { panic!("the link has ended") };
    assert!(why.contains("cut off"), "an end that the client has not sealed: {why}");
}

#[tokio::test]
async fn nobody_who_says_much_holds_up_the_others() {
    let mut peers = nobody();
    let [loud, quiet] = [PeerId(1), PeerId(2)].map(|peer| add(&mut peers, peer));
    says(&loud, &[b'.'; 3 * READ_BUFFER]).await;
    let mut buffer = [0; READ_BUFFER];
    peers.ready().await;
    assert!(matches!(peers.read(PeerId(1), &mut buffer), Read::Bytes(READ_BUFFER)));
    says(&quiet, b"wait\n").await;
    let both = peers.ready().await;
    assert_eq!(both.len(), 2, "what is left is told again: {both:?}");
    assert!(matches!(peers.read(PeerId(2), &mut buffer), Read::Bytes(5)));
}

#[tokio::test]
async fn a_peer_that_is_gone_is_not_told_of() {
    let mut peers = nobody();
    let ends = [PeerId(1), PeerId(2)].map(|peer| add(&mut peers, peer));
    for end in &ends {
        says(end, b"wait\n").await;
    }
    let _kept = peers.release(PeerId(1)).unwrap();
    let ready = peers.ready().await;
    assert!(matches!(ready[..], [Ready { peer: PeerId(2), .. }]), "{ready:?}");
}

#[tokio::test]
async fn a_crowd_that_is_turned_away_is_not_waited_for() {
    let mut peers = nobody();
    let _ends = crowd(&mut peers);
    let all: Vec<PeerId> = (0..WORTH_A_THREAD as u64).map(PeerId).collect();
    all.iter().for_each(|&peer| peers.turn_away(peer));
    assert_eq!(peers.links.len(), MOST_AWAY + 1);
    all.iter().for_each(|&peer| peers.close(peer));
    assert_eq!((peers.links.len(), peers.away), (1, 0));
}

#[test]
fn what_is_kept_for_each_peer_is_small() {
    assert!(size_of::<Link>() <= 88, "{} bytes", size_of::<Link>());
    assert!(size_of::<Cipher>() <= 120, "{} bytes", size_of::<Cipher>());
}
