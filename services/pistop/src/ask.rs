//! One request and its replies.

use crate::door::{PROGRAM, SILENCE};
use bus::client::{DOOR, reach};
use protocol::control::{Reply, Request};
use runner::exit::Failure;
use runner::framing;
use std::io;
use std::path::Path;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// A connection on which something was asked.
pub struct Answers(UnixStream);

/// Connects and asks; a server that does not run is named with the remedy.
pub async fn ask(socket: &Path, request: Request) -> Result<Answers, Failure> {
    let mut stream = match UnixStream::connect(socket).await {
        Ok(stream) => stream,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Err(nobody(socket, &why).await),
        Err(why) => return Err(unreachable(socket, &why)),
    };
    framing::write(&mut stream, &request).await.map_err(|why| unreachable(socket, &why))?;
    Ok(Answers(stream))
}

impl Answers {
    /// The next reply; a refusal is a failure, and so is an end before the last reply.
    pub async fn next(&mut self) -> Result<Reply, Failure> {
        match framing::read::<Reply>(&mut self.0).await {
            Ok(Some(Reply::Refused(why))) => Err(Failure::Permanent(why)),
            Ok(Some(reply)) => Ok(reply),
            Ok(None) => Err(Failure::Temporary("fserver ended before it had answered; see its log".into())),
            Err(why) => Err(Failure::Temporary(format!("fserver's answer cannot be read: {why}"))),
        }
    }
}

/// Without a server here somebody may be on a machine that follows one. Its bus has its socket beside the server's.
async fn nobody(socket: &Path, why: &io::Error) -> Failure {
    let door = socket.with_file_name(Path::new(DOOR).file_name().unwrap_or_default());
    match timeout(SILENCE, reach(&door, PROGRAM)).await {
        Ok(Ok(keeper)) if keeper.program.starts_with("fclient") => Failure::Permanent(format!(
            "this machine, {}, runs fclient and follows a server; ask that one. What is known of the house here tell \
             `pistop events` and `pistop request all ping`",
            keeper.node
        )),
        _ => unreachable(socket, why),
    }
}

fn unreachable(socket: &Path, why: &io::Error) -> Failure {
    let remedy = match why.kind() {
        io::ErrorKind::PermissionDenied => {
            "become root; members of the group pistop may use the event bus, and not this socket"
        }
        _ => "is fserver running? set CONTROL or --control if its socket is elsewhere",
    };
    Failure::Temporary(format!("fserver does not answer at {}: {why}; {remedy}", socket.display()))
}
