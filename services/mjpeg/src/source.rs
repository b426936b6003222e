//! The one loop of a camera: connect, read, close, back off, until nobody listens.

mod back_off;
mod connection;
mod outage;
mod patience;
mod thaw;

use crate::cause::Cause;
use crate::channel::Teller;
use crate::config::Config;
use crate::happening::{Frame, Happening};
use crate::jpeg::Eye;
use crate::stream::{Piece, Stream};
use back_off::BackOff;
use outage::Outage;
use patience::Patience;
use std::time::Instant;
use thaw::Thaw;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout_at};

/// One read. A camera's Wi-Fi brings 1460 bytes at a time, a wired proxy whole pictures.
const READ: usize = 64 << 10;

/// Runs until the other end of `teller` is dropped; then the connection is closed, and its end waited for, before this returns.
pub async fn run(config: Config, teller: Teller) {
    let mut source = Source {
        eye: Eye::new(&config),
        thaw: Thaw::new(config.thaw),
        outage: Outage::default(),
        back_off: BackOff::new(config.back_off.clone()),
        room: vec![0; READ],
        config,
        teller,
    };
    while source.attempt().await {
        let pause = source.back_off.pause(fastrand::f64());
        tokio::select! {
            () = sleep(pause) => {}
            () = source.teller.listener_gone() => return,
        }
    }
}

struct Source {
    config: Config,
    teller: Teller,
    eye: Eye,
    thaw: Thaw,
    outage: Outage,
    back_off: BackOff,
    room: Vec<u8>,
}

impl Source {
    /// One connection from its beginning to its end; whether anybody still listens.
    async fn attempt(&mut self) -> bool {
        let opened = tokio::select! {
            opened = connection::open(&self.config) => opened,
            () = self.teller.listener_gone() => return false,
        };
        let mut socket = match opened {
            Ok(socket) => socket,
            Err(why) => {
                self.lost(why);
                return true;
            }
        };
        let why = self.read(&mut socket).await;
        let listens = why.is_some();
        // Told before the connection's end is waited for.
        why.into_iter().for_each(|why| self.lost(why));
        connection::close(socket, self.config.close).await;
        listens
    }

    fn lost(&mut self, why: Cause) {
        if self.outage.is_news(why.word()) {
            self.teller.tell(Happening::Lost { why });
        }
    }

    /// Reads until there is a reason not to. `None`: nobody listens any more.
    async fn read(&mut self, socket: &mut TcpStream) -> Option<Cause> {
        let mut stream = Stream::new(self.config.max_frame);
        let mut patience = Patience::new(&self.config, Instant::now());
        loop {
            let deadline = patience.deadline(stream.maybe_over());
            let read = tokio::select! {
                biased;
                () = self.teller.listener_gone() => return None,
                read = timeout_at(deadline.into(), socket.read(&mut self.room)) => read,
            };
            let length = match read {
                Err(_) => return Some(patience.why(&stream, Instant::now())),
                Ok(Ok(0)) => return Some(self.ended(&mut stream)),
                Ok(Err(why)) => return Some(Cause::Cut { why: why.to_string() }),
                Ok(Ok(length)) => length,
            };
            let now = Instant::now();
            patience.heard(length);
            let mut pieces = Vec::new();
            let heard = stream.receive(&self.room[..length], |piece| pieces.push(piece));
            let frozen =
                pieces.into_iter().fold(None, |frozen, piece| frozen.or(self.piece(piece, &mut patience, now)));
            if let Err(why) = heard {
                return Some(Cause::NoStream(why));
            }
            if frozen.is_some() {
                return frozen;
            }
            // Whoever never stops sending would never be timed out above.
            if now >= patience.deadline(stream.maybe_over()) {
                return Some(patience.why(&stream, now));
            }
        }
    }

    fn ended(&mut self, stream: &mut Stream) -> Cause {
        if stream.finish().is_some() {
            self.teller.flawed();
        }
        stream.verdict().map_or(Cause::Closed, Cause::NoStream)
    }

    /// A reason to end the connection, if the picture is one.
    fn piece(&mut self, piece: Piece, patience: &mut Patience, at: Instant) -> Option<Cause> {
        let seen = match piece {
            Piece::Flaw(flaw) => Err(flaw),
            Piece::Picture { jpeg, camera_time } => {
                self.eye.see(&jpeg, at).map(|(size, look)| Frame { jpeg, at, camera_time, size, look })
            }
        };
        match seen {
            Err(flaw) => {
                patience.flaw(flaw);
                self.teller.flawed();
                None
            }
            Ok(frame) => {
                if patience.frame(at) {
                    self.outage.over();
                    self.teller.tell(Happening::Online(frame.size));
                }
                if patience.is_good() {
                    self.back_off.reset();
                }
                let frozen = self.thaw.is_due(frame.look.frozen).map(Cause::Frozen);
                self.teller.tell(Happening::Frame(frame));
                frozen
            }
        }
    }
}
