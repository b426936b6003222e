//! fserver's agent between a publisher and a subscriber, both with the library that every program of ours uses.

use super::{Flow, Pace, SILENCE, WINDOW, age, body};
use crate::bench::ground::agents::Server;
use crate::bench::ground::cleanup::Scratch;
use crate::bench::ground::numbers::cpu;
use crate::bench::talk::EVENT;
use bus::client::{Bus, Item, Subscription};
use protocol::door::{From, Subscribe};
use protocol::event::{Class, Keep};
use std::io;
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
