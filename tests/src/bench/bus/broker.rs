//! mosquitto between a publisher and a subscriber.

use super::light::{Form, Turn};
use super::{Flow, Pace, SILENCE, SIZE, WINDOW, age, body};
use crate::bench::ground::cleanup::Scratch;
use crate::bench::ground::numbers::cpu;
use crate::bench::mqtt::{self, Client};
use crate::bench::rivals::{Mosquitto, Setting};
use crate::bench::talk::EVENT;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// How long an acknowledgement may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Publishes for a while; returns when everything was received, or nothing more comes.
pub(super) fn flow(pace: Pace, setting: Setting, scratch: &Scratch) -> io::Result<Flow> {
    let broker = Mosquitto::start(&scratch.fresh("mosquitto")?, setting)?;
    let mut listener = Client::open(broker.address, "subscriber")?;
    listener.subscribe(EVENT, 1)?;
    let mut teller = broker.publisher()?;
    let (began, sent, before) = (Instant::now(), AtomicUsize::new(usize::MAX), cpu(broker.pid())?);
    let (on_the_way, took) = std::thread::scope(|scope| {
        let telling = scope.spawn(|| {
            let told = tell(&mut teller, pace, began);
            sent.store(*told.as_ref().unwrap_or(&0), SeqCst);
            told
        });
        let heard = listen(&mut listener, began, &sent)?;
        telling.join().map_err(|_| io::Error::other("the publisher panicked"))??;
        Ok::<_, io::Error>(heard)
    })?;
    Ok(Flow { sent: sent.into_inner(), on_the_way, took, processor: cpu(broker.pid())? - before })
}

/// One event at a time.
pub(super) fn light(scratch: &Scratch) -> io::Result<Turn<'static>> {
    let broker = Mosquitto::start(&scratch.fresh("mosquitto")?, Setting::Shipped)?;
    let mut listener = Client::open(broker.address, "subscriber")?;
    listener.subscribe(EVENT, 1)?;
    let (listener, teller) = (listener.into_stream(), broker.publisher()?.into_stream());
    let mut number = 0;
    let event = move || {
        number += 1;
        mqtt::publish_acked(EVENT, number, &[b'x'; SIZE])
    };
    Ok(Form { teller, listener, event: Box::new(event), hear: heard_bare }.turns(broker))
}

fn heard_bare(heard: &mut Vec<u8>, answer: &mut Vec<u8>) -> io::Result<usize> {
    let (mut count, mut used) = (0, 0);
    while let Some((kind, packet, size)) = mqtt::take(&heard[used..])? {
        if let Some((_, Some(number), _)) = mqtt::message(kind, packet).filter(|_| kind >> 4 == mqtt::PUBLISH) {
            answer.extend(mqtt::puback(number));
        }
        count += usize::from(matches!(kind >> 4, mqtt::PUBLISH | mqtt::PUBACK));
        used += size;
    }
    heard.drain(..used);
    Ok(count)
}

/// How many were published.
fn tell(teller: &mut Client, pace: Pace, began: Instant) -> io::Result<usize> {
    let (mut sent, mut acked) = (0usize, 0usize);
    let mut packets = Vec::new();
    while began.elapsed() < pace.lasts || acked < sent {
        packets.clear();
        while sent - acked < WINDOW && began.elapsed() < pace.lasts {
            let number = (sent % usize::from(u16::MAX)) as u16 + 1;
            packets.extend(mqtt::publish_acked(EVENT, number, &body(began)));
            sent += 1;
        }
        if !packets.is_empty() {
            teller.say(&packets)?;
        }
        let heard = teller.hear(PATIENCE, |kind, _| acked += usize::from(kind >> 4 == mqtt::PUBACK))?;
        if !heard {
            return Err(io::Error::other("the broker does not acknowledge"));
        }
    }
    Ok(sent)
}

/// How long each was on the way, and when the last one came.
fn listen(listener: &mut Client, began: Instant, sent: &AtomicUsize) -> io::Result<(Vec<Duration>, Duration)> {
    let (mut on_the_way, mut last, mut acks) = (Vec::new(), Duration::ZERO, Vec::new());
    while on_the_way.len() < sent.load(SeqCst) {
        acks.clear();
        let came = listener.hear(SILENCE, |kind, packet| {
            let Some((_, Some(number), payload)) = mqtt::message(kind, packet) else { return };
            acks.extend(mqtt::puback(number));
            on_the_way.extend(age(payload, began));
        })?;
        if !came && sent.load(SeqCst) < usize::MAX {
            break;
        }
        if !acks.is_empty() {
            last = began.elapsed();
            listener.say(&acks)?;
        }
    }
    Ok((on_the_way, last))
}
