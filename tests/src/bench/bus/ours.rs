//! fserver's agent between a publisher and a subscriber, both with the library that every program of ours uses.

use super::light::{Form, Turn};
use super::{Flow, Pace, SILENCE, SIZE, WINDOW, age, body};
use crate::bench::ground::agents::Server;
use crate::bench::ground::cleanup::Scratch;
use crate::bench::ground::numbers::cpu;
use crate::bench::talk::EVENT;
use bus::client::{Bus, Item, Subscription};
use protocol::door::{Ask, From, Subscribe, Tell};
use protocol::event::{Body, Class, Event, EventId, Keep};
use protocol::{Epoch, HostName, codec, frame};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Publishes for a while; returns when everything was received, or nothing more comes.
pub(super) fn flow(pace: Pace, scratch: &Scratch) -> io::Result<Flow> {
    let folder = scratch.fresh("bus")?;
    let server = Server::start(&folder, "127.0.0.1:0", &[])?;
    let (door, pid, sent) = (folder.join("bus"), server.process.pid(), AtomicUsize::new(usize::MAX));
    let (began, before) = (Instant::now(), cpu(pid)?);
    let (listens, listening) = mpsc::channel();
    let (on_the_way, took) = std::thread::scope(|scope| {
        let hearing = scope.spawn(|| runtime()?.block_on(listen(&door, began, &sent, listens)));
        let first = listening.recv().map_err(|_| io::Error::other("the subscriber ended")).map(|()| began.elapsed());
        let told = first.as_ref().map_err(|why| io::Error::new(why.kind(), why.to_string()));
        let told = told.and_then(|_| runtime()?.block_on(tell(&door, pace, began)));
        sent.store(*told.as_ref().unwrap_or(&0), SeqCst);
        let (on_the_way, last) = hearing.join().map_err(|_| io::Error::other("the subscriber panicked"))??;
        told.and(Ok((on_the_way, last - first?)))
    })?;
    Ok(Flow { sent: sent.into_inner(), on_the_way, took, processor: cpu(pid)? - before })
}

/// One event at a time, with the library. The server is a new one each time.
pub(super) fn library(pace: Pace, scratch: &Scratch) -> Turn<'_> {
    Box::new(move |_| flow(pace, scratch).map(|flow| flow.on_the_way))
}

/// One event at a time with bare sockets in place of the library, as mosquitto is spoken to.
pub(super) fn light(scratch: &Scratch) -> io::Result<Turn<'static>> {
    let folder = scratch.fresh("bus")?;
    let server = Server::start(&folder, "127.0.0.1:0", &[])?;
    let (mut listener, teller) = (enter(&folder)?, enter(&folder)?);
    let wanted = Subscribe { name: Some("bench".into()), filters: vec![EVENT.into()], from: From::Next };
    say(&mut listener, &Ask::Subscribe(wanted))?;
    while hear(&mut listener)? != Tell::Live {}
    let (node, mut sequence) = (HostName::parse("server").map_err(io::Error::other)?, 0);
    let event = move || {
        sequence += 1;
        let id = EventId { node: node.clone(), epoch: Epoch(1), sequence };
        let class = Class { keep: Keep::DropOldest, durable: false };
        let body = Body(vec![b'x'; SIZE]);
        frame::encode(&Ask::Publish(vec![Event { id, class, topic: EVENT.into(), ttl: None, body }]))
    };
    Ok(Form { teller, listener, event: Box::new(event), hear: heard_bare }.turns(server))
}

/// Events are done with at once.
fn heard_bare(heard: &mut Vec<u8>, answer: &mut Vec<u8>) -> io::Result<usize> {
    let (mut count, mut used) = (0, 0);
    while let Some((body, size)) = frame::take_body(&heard[used..]).map_err(|bad| io::Error::other(bad.to_string()))? {
        match codec::decode(body).map_err(|bad| io::Error::other(bad.0))? {
            Tell::Events(events) => {
                count += events.len();
                answer.extend(frame::encode(&Ask::Done(events.into_iter().map(|(number, _)| number).collect())));
            }
            Tell::Kept(kept) => count += kept as usize,
            other => return Err(io::Error::other(format!("the agent says {other:?}"))),
        }
        used += size;
    }
    heard.drain(..used);
    Ok(count)
}

/// A program at the door.
fn enter(folder: &Path) -> io::Result<UnixStream> {
    let mut door = UnixStream::connect(folder.join("bus"))?;
    say(&mut door, &Ask::Hello("bench".into()))?;
    hear(&mut door).map(|_welcome| door)
}

fn say(door: &mut UnixStream, ask: &Ask) -> io::Result<()> {
    door.write_all(&frame::encode(ask))
}

fn hear(door: &mut UnixStream) -> io::Result<Tell> {
    let mut header = [0; frame::HEADER];
    door.read_exact(&mut header)?;
    let mut bytes = vec![0; u32::from_be_bytes(header) as usize];
    door.read_exact(&mut bytes)?;
    codec::decode(&bytes).map_err(|bad| io::Error::other(bad.0))
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// How many were published. Each of those on the way has a task of its own, as in a program that does many things.
async fn tell(door: &Path, pace: Pace, began: Instant) -> io::Result<usize> {
    let bus = Bus::open(door, "bench");
    bus.node().await;
    let (start, mut tasks) = (began.elapsed(), JoinSet::new());
    for _ in 0..if pace.pause.is_some() { 1 } else { WINDOW } {
        let bus = bus.clone();
        tasks.spawn(async move {
            let (keep, mut sent) = (if pace.durable { Keep::All } else { Keep::DropOldest }, 0);
            while began.elapsed() < start + pace.lasts {
                let class = Class { keep, durable: pace.durable };
                let said = bus.say_text(EVENT.into(), class, None, body(began)).await;
                said.map_err(io::Error::other)?;
                sent += 1;
                if let Some(pause) = pace.pause {
                    tokio::time::sleep(pause).await;
                }
            }
            Ok(sent)
        });
    }
    tasks.join_all().await.into_iter().sum()
}

/// How long each was on the way, and when the last one came.
async fn listen(
    door: &Path,
    began: Instant,
    sent: &AtomicUsize,
    listens: mpsc::Sender<()>,
) -> io::Result<(Vec<Duration>, Duration)> {
    let wanted = Subscribe { name: Some("bench".into()), filters: vec![EVENT.into()], from: From::Next };
    let mut events = Bus::open(door, "bench").subscribe(wanted);
    events.live().await;
    let _ = listens.send(());
    let (mut on_the_way, mut last) = (Vec::new(), Duration::ZERO);
    while on_the_way.len() < sent.load(SeqCst) {
        match timeout(SILENCE, events.next()).await {
            Ok(item) => {
                on_the_way.extend(heard(&events, item, began)?);
                last = began.elapsed();
            }
            Err(_) if sent.load(SeqCst) < usize::MAX => break,
            Err(_) => {}
        }
    }
    Ok((on_the_way, last))
}

fn heard(events: &Subscription, item: Item, began: Instant) -> io::Result<Option<Duration>> {
    match item {
        Item::Event(number, event) => {
            events.done(number);
            Ok(age(&event.body.0, began))
        }
        Item::Live => Ok(None),
        other => Err(io::Error::other(format!("the subscriber heard {other:?}"))),
    }
}
