//! The same for mosquitto with Debian's own settings: it is killed and started again, and so is who listens. What it had
//! acknowledged is counted against what was heard.

use super::Measure;
use super::account::Account;
use super::table::Row;
use crate::World;
use crate::world::mosquitto::Mosquitto;
use crate::world::mqtt::packet::Introduction;
use crate::world::mqtt::{Mqtt, REFUSED};
use fastrand::Rng;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

/// Of the points, in percent.
const SHARE: usize = 10;
/// What Debian's /etc/mosquitto/mosquitto.conf says beside places; everything else is mosquitto's own default.
const DEBIAN: &str = "persistence true\nlog_type error";
const TOPIC: &str = "attic/evt/camera/motion";
const PAUSE: Duration = Duration::from_micros(1500);
/// How long after the last message one may still come.
const REST: Duration = Duration::from_secs(3);

/// What both ends know.
#[derive(Default)]
struct Known {
    acknowledged: Mutex<BTreeSet<u64>>,
    heard: Mutex<BTreeSet<u64>>,
    again: AtomicU64,
    /// The one who listens has to drop its link.
    dies: AtomicBool,
    said: AtomicBool,
    over: AtomicBool,
}

/// Kills by turns mosquitto and the link of who listens.
pub fn trial(measure: Measure, random: &mut Rng) -> Vec<Row> {
    let (world, known, count) = (World::new(), Known::default(), measure.share(SHARE));
    let mut broker = Mosquitto::start(&world, "mosquitto", DEBIAN);
    let address = broker.address();
    scope(|threads| {
        threads.spawn(|| known.listen(address));
        threads.spawn(|| known.speak(address));
        for number in 0..count {
            sleep(Duration::from_micros(random.u64(..250_000)));
            if number % 3 == 2 {
                known.dies.store(true, Ordering::Relaxed);
            } else {
                broker.stop(Signal::SIGKILL);
                sleep(Duration::from_micros(random.u64(..80_000)));
                broker.start_again();
            }
        }
        known.said.store(true, Ordering::Relaxed);
        sleep(REST);
        known.over.store(true, Ordering::Relaxed);
    });
    vec![Row {
        foreign: true,
        ..Row::new("mosquitto, Debian's settings, kill -9 of it and of who listens", count, known.account())
    }]
}

impl Known {
    fn speak(&self, broker: SocketAddr) {
        let mut next = 1;
        while !self.said.load(Ordering::Relaxed) {
            // It is dead just now; what was not acknowledged is said again.
            let _ = self.speak_while_it_lives(broker, &mut next);
            sleep(Duration::from_millis(5));
        }
    }

    fn speak_while_it_lives(&self, broker: SocketAddr, next: &mut u64) -> io::Result<()> {
        let who = Introduction { client: "one".into(), clean: true, ..Introduction::default() };
        let mut mqtt = Mqtt::connect(broker, &who)?;
        while !self.said.load(Ordering::Relaxed) {
            if mqtt.publish(TOPIC.as_bytes(), next.to_string().as_bytes(), false, None)? < REFUSED {
                self.acknowledged.lock().expect("no thread panics").insert(*next);
            }
            *next += 1;
            sleep(PAUSE);
        }
        Ok(())
    }

    fn listen(&self, broker: SocketAddr) {
        while !self.over.load(Ordering::Relaxed) {
            let _ = self.listen_while_it_lives(broker);
            sleep(Duration::from_millis(5));
        }
    }

    fn listen_while_it_lives(&self, broker: SocketAddr) -> io::Result<()> {
        let who = Introduction { client: "ear".into(), clean: false, session: 3600, will: None };
        let mut mqtt = Mqtt::connect(broker, &who)?;
        mqtt.subscribe(&[TOPIC], false)?;
        while !self.over.load(Ordering::Relaxed) && !self.dies.swap(false, Ordering::Relaxed) {
            let Some(delivery) = mqtt.next(Duration::from_millis(20))? else { continue };
            let number = String::from_utf8_lossy(&delivery.payload).parse().unwrap_or(0);
            if !self.heard.lock().expect("no thread panics").insert(number) {
                self.again.fetch_add(1, Ordering::Relaxed);
            }
            mqtt.acknowledge(delivery.id)?;
        }
        Ok(())
    }

    fn account(&self) -> Account {
        let acknowledged = self.acknowledged.lock().expect("no thread panics");
        let heard = self.heard.lock().expect("no thread panics");
        Account {
            acknowledged: acknowledged.len(),
            heard: acknowledged.intersection(&heard).count(),
            in_doubt: heard.difference(&acknowledged).count(),
            lost: acknowledged.difference(&heard).count(),
            again: usize::try_from(self.again.load(Ordering::Relaxed)).unwrap_or(usize::MAX),
            ..Account::default()
        }
    }
}
