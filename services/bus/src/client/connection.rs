//! One connection to the agent.

use super::Refused;
use protocol::HostName;
use protocol::door::{Ask, Tell};
use runner::framing;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// Where the agent is if nobody says otherwise.
pub const DOOR: &str = "/run/pistop/bus.sock";
/// The pauses before another try to reach the agent.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(20);
pub(super) const LAST_PAUSE: Duration = Duration::from_secs(2);

pub(super) struct Connection {
    pub(super) node: HostName,
    agent: String,
    pub(super) read: framing::Reader<OwnedReadHalf>,
    pub(super) write: OwnedWriteHalf,
}

/// Connects and is welcomed.
pub(super) async fn connect(door: &Path, program: &str) -> io::Result<Connection> {
    let (read, mut write) = UnixStream::connect(door).await?.into_split();
    let mut read = framing::Reader::new(read);
    framing::write(&mut write, &Ask::Hello(program.into())).await?;
    match read.next::<Tell>().await? {
        Some(Tell::Welcome { node, agent, .. }) => Ok(Connection { node, agent, read, write }),
        Some(Tell::Error(why)) => Err(io::Error::other(why)),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Who keeps the events of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeper {
    /// The machine's name on the bus.
    pub node: HostName,
    /// fserver or fclient, with its version.
    pub program: String,
}

/// Looks once whether the agent is there.
///
/// # Errors
/// It is not, which may change, or this user may not come in, which will not.
pub async fn reach(door: &Path, program: &str) -> Result<Keeper, Refused> {
    match connect(door, program).await {
        Ok(Connection { node, agent, .. }) => Ok(Keeper { node, program: agent }),
        Err(why) => {
            let temporary = why.kind() != io::ErrorKind::PermissionDenied;
            Err(Refused { why: unreachable(door, &why), temporary })
        }
    }
}

/// Asks the agent one thing on a connection of its own; an answer in parts is put together.
///
/// # Errors
/// The agent does not answer; the text names the socket and the remedy.
pub async fn ask(door: &Path, program: &str, what: Ask) -> Result<Tell, String> {
    let answer = async {
        let Connection { mut read, mut write, .. } = connect(door, program).await?;
        framing::write(&mut write, &what).await?;
        let mut queue = Vec::new();
        loop {
            match read.next::<Tell>().await?.ok_or(io::ErrorKind::UnexpectedEof)? {
                Tell::QueuePart(part) => queue.extend(part),
                Tell::Queue(last) => return Ok(Tell::Queue([queue, last].concat())),
                tell => return Ok(tell),
            }
        }
    };
    match answer.await {
        Ok(Tell::Error(why)) => Err(why),
        Ok(tell) => Ok(tell),
        Err(why) => Err(unreachable(door, &why)),
    }
}

/// Why there is no agent, and the remedy.
pub(super) fn unreachable(door: &Path, why: &io::Error) -> String {
    let remedy = match why.kind() {
        // One that may not come in is shown the door, which may end in the middle of his first word.
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => "become root, or a member of the socket's group, pistop",
        _ => "is fserver or fclient running? set DOOR or --door if its socket is elsewhere",
    };
    format!("the event bus does not answer at {}: {why}; {remedy}", door.display())
}
