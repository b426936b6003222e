//! Somebody in between: takes links in the server's place, passes them on, and keeps, changes or swallows what he likes.

use super::World;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What he makes of the bytes of one read.
pub type Tamper = fn(Way, Vec<u8>) -> Vec<u8>;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client.
    Up,
    /// From the server.
    Down,
}

/// What he has heard on one link.
#[derive(Debug, Default, Clone)]
pub struct Overheard {
    /// From the client.
    pub up: Vec<u8>,
    /// From the server.
    pub down: Vec<u8>,
}

/// The one in between. His links end with the world's processes.
#[derive(Debug)]
pub struct Between {
    address: SocketAddr,
    links: Arc<Mutex<Vec<(Overheard, TcpStream)>>>,
}

impl Between {
    /// One who only listens.
    pub fn listening(world: &World, server: SocketAddr) -> Self {
        Self::new(world, server, |_, bytes| bytes)
    }

    /// One who changes what he passes on.
    pub fn new(world: &World, server: SocketAddr, tamper: Tamper) -> Self {
        let listener = TcpListener::bind((world.address(), 0)).expect("loopback is there");
        let address = listener.local_addr().expect("a bound socket has an address");
        let links = Arc::new(Mutex::new(Vec::new()));
        let all = links.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(server) {
                    let number = {
                        let mut all = all.lock().expect("nobody panics with it");
                        all.push((Overheard::default(), client.try_clone().expect("a socket can be shared")));
                        all.len() - 1
                    };
                    pass(&client, &server, Way::Up, tamper, (&all, number));
                    pass(&server, &client, Way::Down, tamper, (&all, number));
                }
            }
        });
        Self { address, links }
    }

    /// Where he takes links.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What he has heard, link by link.
    pub fn overheard(&self) -> Vec<Overheard> {
        self.links.lock().expect("nobody panics with it").iter().map(|(heard, _)| heard.clone()).collect()
    }

    /// Says this to every client, in the server's name.
    pub fn says_down(&self, bytes: &[u8]) {
        for (_, client) in self.links.lock().expect("nobody panics with it").iter_mut() {
            let _ = client.write_all(bytes);
        }
    }

    /// Ends all links cleanly, in the server's name.
    pub fn ends_all(&self) {
        for (_, client) in self.links.lock().expect("nobody panics with it").iter() {
            let _ = client.shutdown(Shutdown::Both);
        }
    }
}

type Links<'a> = (&'a Arc<Mutex<Vec<(Overheard, TcpStream)>>>, usize);

fn pass(from: &TcpStream, to: &TcpStream, way: Way, tamper: Tamper, (links, number): Links<'_>) {
    let shared = (from.try_clone(), to.try_clone(), links.clone());
    let (Ok(mut from), Ok(mut to), links) = shared else { return };
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            {
                let heard = &mut links.lock().expect("nobody panics with it")[number].0;
                let side = if way == Way::Up { &mut heard.up } else { &mut heard.down };
                side.extend_from_slice(&buffer[..count]);
            }
            if to.write_all(&tamper(way, buffer[..count].to_vec())).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
