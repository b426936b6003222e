//! Accepts everybody and serves one at a time, in order, as the single task of an ESP32's HTTP server does. Notes when a client comes before the one
//! before has gone.

use crate::camera::Shared;
use crate::script::Fault;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often a thread looks whether something has changed.
pub(crate) const TICK: Duration = Duration::from_millis(2);

/// A listening port.
pub(crate) struct Door {
    listener: TcpListener,
    address: SocketAddr,
}

impl Door {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { address: listener.local_addr()?, listener })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

type Queue = Arc<Mutex<VecDeque<Arc<TcpStream>>>>;

/// Runs the port on two threads: one that accepts, one that serves by `talk`. `cuts`: [`Fault::Refuse`] applies.
pub(crate) fn serve(
    door: Door,
    shared: &Arc<Shared>,
    cuts: bool,
    talk: fn(Arc<TcpStream>, &Shared),
) -> [JoinHandle<()>; 2] {
    let queue = Queue::default();
    let accepts = {
        let (shared, queue) = (shared.clone(), queue.clone());
        thread::spawn(move || accept(door, &shared, cuts, &queue))
    };
    let shared = shared.clone();
    let serves = thread::spawn(move || {
        while !shared.stopping() {
            let next = queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop_front();
            match next {
                Some(socket) if !is_gone(&socket) => talk(socket, &shared),
                Some(_) => {}
                None => thread::sleep(TICK),
            }
        }
    });
    [accepts, serves]
}

fn accept(door: Door, shared: &Shared, cuts: bool, queue: &Queue) {
    let address = door.address;
    let mut listener = Some(door.listener);
    let mut last = Weak::<TcpStream>::new();
    while !shared.stopping() {
        if cuts && shared.is_on(Fault::Refuse) {
            listener = None;
        } else if listener.is_none() {
            listener = Door::open(address).ok().map(|door| door.listener);
        }
        let Some((socket, _)) = listener.as_ref().and_then(|listener| listener.accept().ok()) else {
            thread::sleep(TICK);
            continue;
        };
        let socket = Arc::new(socket);
        if cuts {
            let log = &mut shared.state().log;
            log.connections.push(Instant::now());
            log.overlaps += usize::from(last.upgrade().is_some_and(|last| !is_gone(&last)));
            last = Arc::downgrade(&socket);
        }
        queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push_back(socket);
    }
}

/// Whether the other end has closed the connection, or it is broken, whatever it has said before.
pub(crate) fn is_gone(socket: &TcpStream) -> bool {
    // nix has no name for it, so that its answer is one that nix does not know either.
    let hung_up = PollFlags::from_bits_retain(nix::libc::POLLRDHUP);
    let mut asked = [PollFd::new(socket.as_fd(), hung_up)];
    let _ = poll(&mut asked, PollTimeout::ZERO);
    asked[0].revents().is_none_or(|told| !told.is_empty())
}
