//! One epoll for the sockets of all peers, which the runtime waits for like for one socket. So a peer needs neither a task
//! nor a place in the books of the runtime, which together would cost half a kilobyte.
//!
//! It tells of a socket as long as there is something to be read (level-triggered): each turn of the loop reads once, and
//! nobody who says much holds up the others.

use super::Stream;
use crate::machine::PeerId;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use runner::descriptor::Woken;
use std::io;

/// So many sockets are looked at in one turn of the loop.
const TOGETHER: usize = 64;

/// A socket at which there is something to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Whose it is.
    pub peer: PeerId,
    /// There are bytes, or an end.
    pub readable: bool,
    /// There is room for what waits.
    pub writable: bool,
}

/// All sockets.
#[derive(Debug)]
pub(super) struct Watch {
    epoll: Epoll,
    woken: Woken,
}

impl Watch {
    pub(super) fn new() -> io::Result<Watch> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let woken = Woken::new(epoll.0.try_clone()?)?;
        Ok(Watch { epoll, woken })
    }

    pub(super) fn add(&self, peer: PeerId, stream: &Stream) -> io::Result<()> {
        Ok(self.epoll.add(stream.descriptor(), event(peer, false))?)
    }

    /// Whether room is waited for as well.
    pub(super) fn change(&self, peer: PeerId, stream: &Stream, writable: bool) -> io::Result<()> {
        Ok(self.epoll.modify(stream.descriptor(), &mut event(peer, writable))?)
    }

    /// A child of ours that has not begun yet may hold the socket open, so its own end would not be enough.
    pub(super) fn remove(&self, stream: &Stream) {
        // One that could not be added is not there.
        let _ = self.epoll.delete(stream.descriptor());
    }

    /// Waits until there is something to be done, and says where. May be dropped and called again at any time.
    pub(super) async fn ready(&self) -> Vec<Ready> {
        self.woken.until(|| self.look()).await
    }

    fn look(&self) -> Option<Vec<Ready>> {
        let mut events = [EpollEvent::empty(); TOGETHER];
        let count = loop {
            match self.epoll.wait(&mut events, EpollTimeout::ZERO) {
                Ok(count) => break count,
                Err(Errno::EINTR) => {}
                Err(_) => break 0,
            }
        };
        (count > 0).then(|| events[..count].iter().map(ready).collect())
    }
}

fn event(peer: PeerId, writable: bool) -> EpollEvent {
    let room = if writable { EpollFlags::EPOLLOUT } else { EpollFlags::empty() };
    EpollEvent::new(EpollFlags::EPOLLIN | room, peer.0)
}

fn ready(event: &EpollEvent) -> Ready {
    let flags = event.events();
    Ready {
        peer: PeerId(event.data()),
        // Errors and ends show when it is read.
        readable: flags.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP),
        writable: flags.contains(EpollFlags::EPOLLOUT),
    }
}
