//! The server proves who it is, before anything that comes over a link is believed. Until it has, all that it says or
//! does, its end included, is that of a link that could not be made.

use bus::knock::{Knock, Unheard};
use bus::secure::{Fault, Initiator, KeyFile, PinnedServer, Refusal, Sealed, Trust};
use protocol::line::ServerLine;
use protocol::session::Session;
use protocol::{Epoch, HostName};
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

/// How long a server may take to prove itself: a small machine that greets a whole house is slow.
const PATIENCE: Duration = Duration::from_secs(5);

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
    /// The key cannot be used.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// It gives no answer.
    #[error(transparent)]
    Unheard(#[from] Unheard),
    /// It gives none in time.
    #[error("it does not answer a handshake in {} s", PATIENCE.as_secs())]
    Silent,
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
    pub async fn prove<S>(&self, stream: S, pinned: &PinnedServer) -> Result<(S, Proven), Unproven>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        timeout(PATIENCE, self.shake(stream, pinned)).await.unwrap_or(Err(Unproven::Silent))
    }

    async fn shake<S>(&self, stream: S, pinned: &PinnedServer) -> Result<(S, Proven), Unproven>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let key = KeyFile::within(&self.state_dir).load_or_make()?;
        let (mut knock, hellos) = Knock::at(stream, self.name.clone()).await?;
        let (initiator, first) = Initiator::new(&key, pinned.key, &hellos).map_err(Refusal::from)?;
        knock.say(first).await?;
        let (last, sealed) = initiator.receive(&knock.answer().await?)?;
        knock.say(last).await?;
        let (stream, session) = knock.open();
        Ok((stream, Proven { sealed, session, server: hellos.server, epoch: hellos.epoch }))
    }
}
