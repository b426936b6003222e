//! The uplink over a line that is cut again and again, in the middle of packets: nothing that the house said is missing
//! at the broker's other clients.
#![allow(clippy::unwrap_used, missing_docs)]

mod hub;

use hub::broker::Broker;
use hub::phone::{Phone, json};
use hub::{Attic, PATIENCE, config, local};
use protocol::event::Keep;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::spawn_local;

const CUTS: usize = 12;

/// The line: each connection ends after so many bytes to the broker, and the next attempt fails at once.
struct Line {
    port: u16,
    cuts: Rc<Cell<usize>>,
    news: watch::Receiver<()>,
}

impl Line {
    async fn open(broker: u16, seed: u64) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, news) = watch::channel(());
        let cuts = Rc::new(Cell::new(0));
        spawn_local(serve(listener, broker, fastrand::Rng::with_seed(seed), cuts.clone(), tell));
        Line { port, cuts, news }
    }

    async fn worn_out(&mut self) {
        while self.cuts.get() < CUTS {
            tokio::time::timeout(PATIENCE, self.news.changed()).await.expect("the uplink comes back").unwrap();
        }
    }
}

async fn serve(
    listener: TcpListener,
    broker: u16,
    mut random: fastrand::Rng,
    cuts: Rc<Cell<usize>>,
    tell: watch::Sender<()>,
) {
    loop {
        let (near, _) = listener.accept().await.unwrap();
        let far = TcpStream::connect(("127.0.0.1", broker)).await.unwrap();
        let most = if cuts.get() < CUTS { random.usize(800..12_000) } else { usize::MAX };
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        tokio::select! {
            () = carry(near_in, far_out, most) => {}
            () = carry(far_in, near_out, usize::MAX) => {}
        }
        cuts.set(cuts.get() + 1);
        tell.send_replace(());
        drop(listener.accept().await.unwrap());
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, most: usize) {
    let (mut buffer, mut left) = ([0; 512], most);
    while left > 0 {
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        let length = length.min(left);
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
        left = left.saturating_sub(length);
    }
}

#[test]
fn nothing_is_missing_on_a_line_that_is_cut() {
    local(async {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let broker = Broker::start();
        let mut line = Line::open(broker.open, seed).await;
        let mut phone = Phone::listening(broker.open, "fs/v1/kitchen/evt/#").await;
        let attic = Attic::start(config(line.port));
        // The consumer begins with what comes after it is there.
        tokio::task::yield_now().await;
        let mut sent = 0_u64;
        loop {
            let worn_out = tokio::time::timeout(Duration::from_millis(2), line.worn_out()).await.is_ok();
            attic.hear("kitchen", "kitchen/evt/camera/motion", Keep::All, &format!(r#"{{"n":{sent}}}"#)).await;
            sent += 1;
            if worn_out {
                break;
            }
        }
        let mut heard = BTreeSet::new();
        while heard.len() < sent as usize {
            heard.insert(json(&phone.any().await)["n"].as_u64().unwrap());
        }
        println!("{sent} records over {} cuts", line.cuts.get());
        attic.stop().await;
    });
}
