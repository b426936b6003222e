//! One request and its replies.

use protocol::control::{Reply, Request};
use runner::exit::Failure;
use runner::framing;
use std::io;
use std::path::Path;
use tokio::net::UnixStream;

/// A connection on which something was asked.
pub struct Answers(UnixStream);

/// Connects and asks; a server that does not run is named with the remedy.
pub async fn ask(socket: &Path, request: Request) -> Result<Answers, Failure> {
    let mut stream = UnixStream::connect(socket).await.map_err(|why| unreachable(socket, &why))?;
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

fn unreachable(socket: &Path, why: &io::Error) -> Failure {
    let remedy = match why.kind() {
        io::ErrorKind::PermissionDenied => "become root or a member of the socket's group",
        _ => "is fserver running? set CONTROL or --control if its socket is elsewhere",
    };
    Failure::Temporary(format!("fserver does not answer at {}: {why}; {remedy}", socket.display()))
}
