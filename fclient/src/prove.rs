//! The server proves who it is, before anything that comes over a link is believed. Until it has, all that it says or
//! does, its end included, is that of a link that could not be made.

use bus::secure::{Fault, Hellos, Initiator, KeyFile, PinnedServer, Refusal, Sealed, Trust};
use protocol::line::{ClientLine, ServerLine};
use protocol::message::Message;
use protocol::name::printable;
use protocol::session::{Heard, Session};
use protocol::{Epoch, HostName, frame};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// How long a server may take to prove itself: a small machine that greets a whole house is slow.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many bytes in the clear are read; a server sends a few hundred.
const MOST_PLAIN: usize = 16 * 1024;

/// Whom this machine trusts, and who it is itself.
#[derive(Debug, Clone)]
pub struct Prover {
    /// This machine's name.
    pub name: HostName,
    /// Where key and pin are.
    pub state_dir: PathBuf,
}

/// What a sealed link begins with.
#[derive(Debug)]
pub struct Proven {
    /// With what it is read and written.
    pub sealed: Sealed,
    /// What was heard on it so far.
    pub session: Session<ServerLine>,
    /// The server's name.
    pub server: HostName,
    /// Which run of it.
    pub epoch: Epoch,
}

/// Why a link is none.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    /// Key or pin cannot be used.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The link ended or broke.
    #[error("it ends the link before it has proved anything: {0}")]
    Ended(#[from] io::Error),
    /// It does nothing, or something else.
    #[error("it does not answer a handshake in {} s", PATIENCE.as_secs())]
    Silent,
    /// It sends what cannot be read.
    #[error("it sends what no server of ours sends: {0}")]
    Strange(String),
    /// It says in the clear that it refuses this machine.
    #[error("it refuses this machine, and says in the clear why: {0}")]
    Refused(String),
    /// The handshake failed.
    #[error(transparent)]
    Handshake(#[from] Refusal),
}

impl Prover {
    /// Whom this machine trusts at present.
    ///
    /// # Errors
    /// The pin is there and cannot be read; then nobody is trusted.
    pub fn trust(&self) -> Result<Trust, Fault> {
        Trust::load(&self.state_dir)
    }

    /// Has the server at the other end prove that it is the pinned one.
    ///
    /// # Errors
    /// It does not.
    pub async fn prove(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        pinned: &PinnedServer,
    ) -> Result<Proven, Unproven> {
        timeout(PATIENCE, shake(&self.name, &self.state_dir, stream, pinned)).await.unwrap_or(Err(Unproven::Silent))
    }
}

async fn shake(
    name: &HostName,
    state: &Path,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    pinned: &PinnedServer,
) -> Result<Proven, Unproven> {
    let key = KeyFile::within(state).load_or_make()?;
    stream.write_all(&ClientLine::Hello(name.clone()).encode()).await?;
    let mut ear = Ear::default();
    let (server, epoch) = ear.hello(stream).await?;
    let hellos = Hellos { client: name.clone(), server: server.clone(), epoch };
    let (initiator, first) = Initiator::new(&key, pinned.key, &hellos).map_err(Refusal::from)?;
    stream.write_all(&frame::encode(&Message::Handshake(first))).await?;
    let answer = ear.answer(stream).await?;
    let (last, sealed) = initiator.receive(&answer)?;
    stream.write_all(&frame::encode(&Message::Handshake(last))).await?;
    stream.flush().await?;
    Ok(Proven { sealed, session: ear.session, server, epoch })
}

/// What comes in the clear.
#[derive(Default)]
struct Ear {
    session: Session<ServerLine>,
    unheard: Vec<u8>,
    read: usize,
}

impl Ear {
    /// The server's hello line. Whatever else it says before, `shutdown` too, is anybody's.
    async fn hello(&mut self, from: &mut (impl AsyncRead + Unpin)) -> Result<(HostName, Epoch), Unproven> {
        loop {
            if let Heard::Line(ServerLine::Hello { server, epoch }) = self.next(from).await? {
                return Ok((server, epoch));
            }
        }
    }

    /// The server's answer to the handshake. Its hello frame comes before, for clients that are not paired.
    async fn answer(&mut self, from: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, Unproven> {
        loop {
            match self.next(from).await? {
                Heard::Message(Message::Handshake(answer)) if self.unheard.is_empty() => return Ok(answer),
                Heard::Message(Message::Handshake(_)) => {
                    return Err(Unproven::Strange("something behind its answer to a handshake".into()));
                }
                Heard::Message(Message::Refused(why)) => return Err(Unproven::Refused(printable(why.as_bytes()))),
                Heard::Message(_) | Heard::Line(_) | Heard::Unknown(_) => {}
            }
        }
    }

    async fn next(&mut self, from: &mut (impl AsyncRead + Unpin)) -> Result<Heard<ServerLine>, Unproven> {
        loop {
            let mut bytes = &self.unheard[..];
            let heard = self.session.next(&mut bytes).map_err(|why| Unproven::Strange(why.to_string()))?;
            self.unheard = bytes.to_vec();
            if let Some(heard) = heard {
                return Ok(heard);
            }
            let mut buffer = [0; 1024];
            let count = from.read(&mut buffer).await?;
            self.read += count;
            match count {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                _ if self.read > MOST_PLAIN => return Err(Unproven::Strange("no end of words in the clear".into())),
                count => self.unheard.extend_from_slice(&buffer[..count]),
            }
        }
    }
}
