//! The first words of a client over any stream, before anything is sealed: its hello line, the server's, and the answer to
//! a handshake. All of it is anybody's until the handshake is over.

use crate::secure::Hellos;
use protocol::line::{ClientLine, ServerLine};
use protocol::message::Message;
use protocol::name::printable;
use protocol::session::{Heard, Session};
use protocol::{Epoch, HostName, frame};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// So many bytes in the clear are read; a server sends a few hundred.
const MOST_PLAIN: usize = 16 * 1024;

/// Why nobody opens. What the other end said is printable, and proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    /// The link broke.
    #[error("the link broke: {0}")]
    Broken(#[from] io::Error),
    /// The link ended.
    #[error("it ended the link without an answer")]
    Ended,
    /// It sends what cannot be read.
    #[error("it sends what no server of ours sends: {0}")]
    Strange(String),
    /// It refuses this machine.
    #[error("it says in the clear: {0}")]
    Refused(String),
}

/// A stream over which a server is spoken to for the first time.
#[derive(Debug)]
pub struct Knock<S> {
    stream: S,
    session: Session<ServerLine>,
    unheard: Vec<u8>,
    read: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Knock<S> {
    /// Says this machine's name, and waits for that of the server. Whatever else it says before, `shutdown` too, is
    /// passed over.
    ///
    /// # Errors
    /// It does not say its name; an old server never does, so the caller has to have some patience and no more.
    pub async fn at(mut stream: S, client: HostName) -> Result<(Knock<S>, Hellos), Unheard> {
        stream.write_all(&ClientLine::Hello(client.clone()).encode()).await?;
        let mut knock = Knock { stream, session: Session::default(), unheard: Vec::new(), read: 0 };
        let (server, epoch) = knock.hello().await?;
        Ok((knock, Hellos { client, server, epoch }))
    }

    /// Sends bytes of a handshake.
    ///
    /// # Errors
    /// The link broke.
    pub async fn say(&mut self, handshake: Vec<u8>) -> Result<(), Unheard> {
        self.stream.write_all(&frame::encode(&Message::Handshake(handshake))).await?;
        Ok(self.stream.flush().await?)
    }

    /// The next bytes of a handshake from the server. Its hello frame may come before, for clients that are not paired.
    ///
    /// # Errors
    /// It ends the link, says that it refuses this machine, or sends anything behind those bytes.
    pub async fn answer(&mut self) -> Result<Vec<u8>, Unheard> {
        loop {
            match self.next().await? {
                Heard::Message(Message::Handshake(answer)) if self.unheard.is_empty() => return Ok(answer),
                Heard::Message(Message::Handshake(_)) => {
                    return Err(Unheard::Strange("something right behind its answer to a handshake".into()));
                }
                Heard::Message(Message::Refused(why)) => return Err(Unheard::Refused(printable(why.as_bytes()))),
                Heard::Message(_) | Heard::Line(_) | Heard::Unknown(_) => {}
            }
        }
    }

    /// The stream, and what was heard on it, for the sealed link that begins now.
    pub fn open(self) -> (S, Session<ServerLine>) {
        (self.stream, self.session)
    }

    async fn hello(&mut self) -> Result<(HostName, Epoch), Unheard> {
        loop {
            if let Heard::Line(ServerLine::Hello { server, epoch }) = self.next().await? {
                return Ok((server, epoch));
            }
        }
    }

    async fn next(&mut self) -> Result<Heard<ServerLine>, Unheard> {
        loop {
            let mut bytes = &self.unheard[..];
            let heard = self.session.next(&mut bytes).map_err(|why| Unheard::Strange(why.to_string()))?;
            self.unheard = bytes.to_vec();
            if let Some(heard) = heard {
                return Ok(heard);
            }
            let mut buffer = [0; 1024];
            let count = self.stream.read(&mut buffer).await?;
            self.read += count;
            match count {
                0 => return Err(Unheard::Ended),
                _ if self.read > MOST_PLAIN => return Err(Unheard::Strange("words in the clear without end".into())),
                count => self.unheard.extend_from_slice(&buffer[..count]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    fn kitchen() -> HostName {
        HostName::parse("kitchen").unwrap()
    }

    async fn answered(server: Vec<Vec<u8>>) -> Result<Vec<u8>, Unheard> {
        let (near, mut far) = duplex(64 * 1024);
        for bytes in server {
            far.write_all(&bytes).await.unwrap();
        }
        far.shutdown().await.unwrap();
        let (mut knock, hellos) = Knock::at(near, kitchen()).await?;
        assert_eq!((hellos.server.as_str(), hellos.epoch), ("attic", Epoch(7)));
        knock.answer().await
    }

    fn hello() -> Vec<u8> {
        let hello = ServerLine::Hello { server: HostName::parse("attic").unwrap(), epoch: Epoch(7) };
        [b"Connection from 10.0.0.7\nshutdown\n", &hello.encode()[..]].concat()
    }

    fn handshake() -> Vec<u8> {
        frame::encode(&Message::Handshake(vec![1, 2, 3]))
    }

    #[tokio::test]
    async fn what_comes_before_the_answer_is_passed_over_and_nothing_may_come_behind() {
        let beat = frame::encode(&Message::Commit(protocol::ShutdownId { epoch: Epoch(7), number: 1 }));
        assert_eq!(answered(vec![hello(), beat.clone(), handshake()]).await.unwrap(), [1, 2, 3]);
        let why = answered(vec![hello(), [handshake(), beat].concat()]).await.unwrap_err();
        assert!(matches!(why, Unheard::Strange(_)), "{why}");
    }

    #[tokio::test]
    async fn no_answer_is_told_apart() {
        assert!(matches!(answered(vec![]).await, Err(Unheard::Ended)));
        assert!(matches!(answered(vec![hello()]).await, Err(Unheard::Ended)));
        let refused = frame::encode(&Message::Refused("the house is closed\x1b[2J".into()));
        let why = answered(vec![hello(), refused]).await.unwrap_err().to_string();
        assert_eq!(why, "it says in the clear: the house is closed\\x1b[2J");
        assert!(matches!(answered(vec![vec![b'x'; 300]]).await, Err(Unheard::Strange(_))));
        let endless = vec![b"Connection from 10.0.0.7\n".repeat(2000)];
        assert!(matches!(answered(endless).await, Err(Unheard::Strange(_))));
    }
}
