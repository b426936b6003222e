//! Asks a server that has fallen silent on TCP whether it still runs, over UDP. Only an answer that repeats one of our
//! last random numbers counts, so nobody can speak for the server who does not see its traffic.

use protocol::Epoch;
use protocol::datagram::{Datagram, MAX_DATAGRAM};
use socket2::SockRef;
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;

/// So many questions may be open: more than are asked in the longest lease.
const MOST_OPEN: usize = 64;
/// A socket that fails is not asked again at once.
const PAUSE: Duration = Duration::from_millis(50);

/// The questions that are open.
#[derive(Debug, Default)]
pub struct Probes {
    socket: Option<UdpSocket>,
    open: VecDeque<u64>,
}

impl Probes {
    /// Sends one question; if that cannot be done, there will be no answer, which says enough.
    pub fn send(&mut self, server: SocketAddr) {
        let nonce = fastrand::u64(..);
        match self.try_send(server, nonce) {
            Ok(_) => self.remember(nonce),
            // A socket that was made before the network changed may never work again.
            Err(_) => self.socket = None,
        }
    }

    fn try_send(&mut self, server: SocketAddr, nonce: u64) -> io::Result<usize> {
        let socket = match self.socket.take().filter(|socket| socket.peer_addr().is_ok_and(|peer| peer == server)) {
            Some(socket) => socket,
            None => socket_to(server)?,
        };
        // Past tokio, which does not know yet whether a new socket can be written to; a full one drops the question.
        SockRef::from(&*self.socket.insert(socket)).send(&Datagram::Probe { nonce }.encode())
    }

    fn remember(&mut self, nonce: u64) {
        if self.open.len() == MOST_OPEN {
            self.open.pop_front();
        }
        self.open.push_back(nonce);
    }

    /// A new link: what was asked before is of no interest.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Which run of the server answers; pending while nobody was asked.
    pub async fn answer(&mut self) -> Epoch {
        let Some(socket) = &self.socket else { return std::future::pending().await };
        let mut buffer = [0; MAX_DATAGRAM];
        loop {
            match socket.recv(&mut buffer).await.map(|length| Datagram::decode(&buffer[..length])) {
                Ok(Some(Datagram::Here { nonce, epoch })) if self.open.contains(&nonce) => return epoch,
                Ok(_) => {}
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

/// A connected socket takes datagrams from the server's address alone.
fn socket_to(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.connect(server)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_an_answer_to_our_own_question_counts() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut probes = Probes::default();
        probes.send(server.local_addr().unwrap());
        let mut buffer = [0; MAX_DATAGRAM];
        let (length, from) = server.recv_from(&mut buffer).await.unwrap();
        let Some(Datagram::Probe { nonce }) = Datagram::decode(&buffer[..length]) else { panic!("no probe") };
        for (nonce, epoch) in [(nonce ^ 1, 1), (nonce, 2)] {
            server.send_to(&Datagram::Here { nonce, epoch: Epoch(epoch) }.encode(), from).await.unwrap();
        }
        assert_eq!(probes.answer().await, Epoch(2));
    }
}
