//! One link to the server as bytes: what comes in becomes inputs of the machine, what goes out waits in a bounded box
//! until the other end takes it, so that a server with a full window delays nothing.
//!
//! On a sealed link what is said is sealed at once, in its order, and the end of file is a cut unless the server sealed
//! its last word.

use crate::machine::Input;
use crate::prove::Proven;
use bus::secure::{Opener, Sealed, Sealer};
use protocol::line::ServerLine;
use protocol::session::Session;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// So many bytes may wait: a server that takes no more for so long is not one that listens.
const MOST_WAITING: usize = 256 * 1024;
/// How long the last words may take to be sent, and how long the other end's own end is waited for.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Whatever carries bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A link.
pub struct Link {
    stream: Box<dyn Stream>,
    session: Session<ServerLine>,
    sealer: Option<Sealer>,
    opener: Option<Opener>,
    waiting: Vec<u8>,
    buffer: Box<[u8]>,
}

impl Link {
    /// A link at its very beginning.
    pub fn new(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            session: Session::default(),
            sealer: None,
            opener: None,
            waiting: Vec::new(),
            buffer: vec![0; 16 * 1024].into(),
        }
    }

    /// A link whose server has proved who it is.
    pub fn sealed(stream: impl Stream + 'static, proven: Proven) -> Self {
        let Sealed { sealer, opener } = proven.sealed;
        Self { session: proven.session, sealer: Some(sealer), opener: Some(opener), ..Self::new(stream) }
    }

    /// Sends this when the other end takes it.
    pub fn say(&mut self, bytes: &[u8]) {
        match &mut self.sealer {
            Some(sealer) => sealer.seal(bytes, &mut self.waiting),
            None => self.waiting.extend_from_slice(bytes),
        }
    }

    /// The next things that happen on it; after an end it must not be asked again. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Vec<Input> {
        loop {
            if self.waiting.len() > MOST_WAITING {
                return vec![Input::Broken("the server takes nothing any more".into())];
            }
            let (mut read, mut write) = tokio::io::split(&mut self.stream);
            tokio::select! {
                heard = read.read(&mut self.buffer) => return self.heard(heard),
                sent = write.write(&self.waiting), if !self.waiting.is_empty() => match sent {
                    Ok(sent) => drop(self.waiting.drain(..sent)),
                    Err(why) => return vec![Input::Broken(why.to_string())],
                },
            }
        }
    }

    fn heard(&mut self, read: io::Result<usize>) -> Vec<Input> {
        let mut inputs = Vec::new();
        match read {
            Ok(0) => inputs.push(self.end()),
            Ok(n) => {
                let heard = self.take(n, &mut inputs);
                inputs.extend(heard.err().map(Input::Broken));
            }
            Err(why) => inputs.push(Input::Broken(why.to_string())),
        }
        inputs
    }

    /// Takes so many bytes of the buffer.
    fn take(&mut self, count: usize, inputs: &mut Vec<Input>) -> Result<(), String> {
        let (session, bytes, mut result) = (&mut self.session, &self.buffer[..count], Ok(()));
        let mut hear = |plain: &[u8]| {
            if result.is_ok() {
                result = session.receive(plain, |heard| inputs.push(Input::Heard(heard)));
            }
        };
        match &mut self.opener {
            Some(opener) => opener.receive(bytes, hear).map_err(|why| why.to_string())?,
            None => hear(bytes),
        }
        result.map_err(|why| why.to_string())
    }

    fn end(&self) -> Input {
        match self.opener.as_ref().map_or(Ok(()), Opener::finish) {
            Ok(()) => Input::Closed,
            Err(why) => Input::Broken(why.to_string()),
        }
    }

    /// Sends what waits, says that no more follows, and reads until the other end says so too: closing with unread
    /// bytes would be a reset, and the other end might lose our last words.
    pub async fn hang_up(mut self) {
        if let Some(sealer) = self.sealer.take() {
            sealer.end(&mut self.waiting);
        }
        let last_words = async {
            self.stream.write_all(&self.waiting).await?;
            self.stream.shutdown().await
        };
        if !matches!(timeout(LAST_WORDS, last_words).await, Ok(Ok(()))) {
            return;
        }
        let rest = async { while let Ok(1..) = self.stream.read(&mut self.buffer).await {} };
        let _ = timeout(LAST_WORDS, rest).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus::secure::{Authorized, Hellos, Initiator, Responder, SecretKey};
    use protocol::message::{Beat, Message};
    use protocol::{frame, session::Heard};

    #[tokio::test]
    async fn lines_come_in_and_words_go_out() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut link = Link::new(near);
        link.say(b"wait pistop/2 kitchen\n");
        let server = async {
            let mut line = [0; 22];
            far.read_exact(&mut line).await.unwrap();
            far.write_all(b"Connection from 10.0.0.7\nshutdown\n").await.unwrap();
            line
        };
        let (line, inputs) = tokio::join!(server, link.next());
        assert_eq!(&line, b"wait pistop/2 kitchen\n");
        let heard =
            [ServerLine::Greeting("10.0.0.7".into()), ServerLine::Shutdown].map(|line| Input::Heard(Heard::Line(line)));
        assert_eq!(inputs, heard);
        drop(far);
        assert_eq!(link.next().await, [Input::Closed]);
    }

    #[tokio::test]
    async fn a_line_without_an_end_breaks_the_link() {
        let (near, mut far) = tokio::io::duplex(4096);
        far.write_all(&[b'x'; 300]).await.unwrap();
        let inputs = Link::new(near).next().await;
        assert!(matches!(&inputs[..], [Input::Broken(why)] if why.contains("255 bytes")), "{inputs:?}");
    }

    #[tokio::test]
    async fn a_server_that_takes_nothing_costs_a_bounded_box() {
        let (near, _far) = tokio::io::duplex(1);
        let mut link = Link::new(near);
        link.say(&vec![0; MOST_WAITING + 2]);
        let inputs = link.next().await;
        assert!(matches!(&inputs[..], [Input::Broken(why)] if why.contains("takes nothing")), "{inputs:?}");
    }

    #[tokio::test]
    async fn the_last_words_arrive_before_the_end() {
        let (near, mut far) = tokio::io::duplex(4);
        let mut link = Link::new(near);
        link.say(b"a long goodbye");
        let mut heard = String::new();
        let (_, n) = tokio::join!(link.hang_up(), async {
            let n = far.read_to_string(&mut heard).await;
            drop(far);
            n
        });
        assert_eq!((n.unwrap(), heard.as_str()), (14, "a long goodbye"));
    }

    /// A link to a server that has proved itself, and the server's end of it.
    fn sealed(stream: impl Stream + 'static) -> (Link, Sealed) {
        let name = |text: &str| protocol::HostName::parse(text).unwrap();
        let hellos = Hellos { client: name("kitchen"), server: name("attic"), epoch: protocol::Epoch(7) };
        let (server, client) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let (list, _) = Authorized::parse("list", &format!("kitchen {} follow", client.public()));
        let (initiator, first) = Initiator::new(&client, server.public(), &hellos).unwrap();
        let (responder, answer) = Responder::answer(&server, &hellos, &first).unwrap();
        let (last, sealed) = initiator.receive(&answer).unwrap();
        let mut session = Session::default();
        session.receive(b"pistop/2 attic 7\n", drop).unwrap();
        let proven = Proven { sealed, session, server: hellos.server, epoch: hellos.epoch };
        (Link::sealed(stream, proven), responder.finish(&last, &list).unwrap().sealed)
    }

    #[tokio::test]
    async fn a_sealed_link_is_sealed_both_ways_and_ends_by_a_last_word() {
        let (near, mut far) = tokio::io::duplex(4096);
        let (mut link, mut server) = sealed(near);
        let beat = Message::Beat(Beat { number: 1, next_ms: 1000 });
        let mut bytes = Vec::new();
        server.sealer.seal(&frame::encode(&beat), &mut bytes);
        server.sealer.end(&mut bytes);
        far.write_all(&bytes).await.unwrap();
        assert_eq!(link.next().await, [Input::Heard(Heard::Message(beat))]);
        link.say(b"echo");
        let mut heard = Vec::new();
        let (_, read) = tokio::join!(link.hang_up(), async {
            let read = far.read_to_end(&mut heard).await;
            drop(far);
            read
        });
        read.unwrap();
        let mut plain = Vec::new();
        server.opener.receive(&heard, |part| plain.extend_from_slice(part)).unwrap();
        assert_eq!((plain.as_slice(), server.opener.finish()), (&b"echo"[..], Ok(())));
    }

    #[tokio::test]
    async fn an_end_of_a_sealed_link_counts_only_if_the_server_said_so() {
        for said in [true, false] {
            let (near, mut far) = tokio::io::duplex(4096);
            let (mut link, server) = sealed(near);
            let mut bytes = Vec::new();
            server.sealer.end(&mut bytes);
            far.write_all(if said { &bytes } else { b"" }).await.unwrap();
            drop(far);
            let mut inputs = link.next().await;
            while inputs.is_empty() {
                inputs = link.next().await;
            }
            match said {
                true => assert_eq!(inputs, [Input::Closed]),
                false => assert!(matches!(&inputs[..], [Input::Broken(why)] if why.contains("cut off")), "{inputs:?}"),
            }
        }
    }

    #[tokio::test]
    async fn what_is_not_sealed_breaks_a_sealed_link() {
        for lie in [&b"shutdown\nshutdown\nshutdown\n"[..], &[0, 0, 0, 20], &[0; 64]] {
            let (near, mut far) = tokio::io::duplex(4096);
            let (mut link, _server) = sealed(near);
            far.write_all(lie).await.unwrap();
            drop(far);
            let mut inputs = link.next().await;
            while inputs.is_empty() {
                inputs = link.next().await;
            }
            assert!(matches!(&inputs[..], [Input::Broken(_)]), "{inputs:?}");
        }
    }
}
