//! The local socket: `pistop` asks, `--ucspi` children bring their peers. Who may connect is decided by the permissions
//! of the socket, 0660.

use protocol::control::{Join, Reply, Request};
use runner::exit::Failure;
use runner::framing;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// What arrives on the local socket.
#[derive(Debug)]
pub enum Local {
    /// A question; the answers go through the channel, whose end ends the connection.
    Asked(Request, mpsc::UnboundedSender<Reply>),
    /// A peer.
    Joined(Join, UnixStream),
}

/// The socket's file, removed when the server ends.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Opens the local socket. A file left by a dead server is replaced; a living one is not.
pub fn open(path: &Path) -> Result<Socket, Failure> {
    let bad = |why: io::Error| {
        Failure::Permanent(format!(
            "cannot open the local socket {}: {why}; set CONTROL to another path",
            path.display()
        ))
    };
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(Failure::Temporary(format!("another fserver answers at {}; stop it first", path.display())));
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(bad)?;
    }
    if path.symlink_metadata().is_ok_and(|file| !file.file_type().is_socket()) {
        return Err(bad(io::Error::other("something else than a socket is there")));
    }
    match std::fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(bad(why)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(bad)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(bad)?;
    Ok(Socket { listener, path: path.to_owned() })
}

/// Takes connections for ever; `answering` counts those that still have answers to send.
pub async fn accept(socket: Socket, arrivals: mpsc::Sender<Local>, answering: TaskTracker) {
    loop {
        match socket.listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(converse(stream, arrivals.clone(), answering.clone()))),
            Err(why) => {
                tracing::warn!("cannot take a connection on the local socket: {why}");
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            }
        }
    }
}

/// One connection: one request, its answers.
async fn converse(mut stream: UnixStream, arrivals: mpsc::Sender<Local>, answering: TaskTracker) {
    let request = match framing::read::<Request>(&mut stream).await {
        Ok(Some(request)) => request,
        Ok(None) => return,
        Err(why) => return tracing::warn!("a request on the local socket cannot be read: {why}"),
    };
    if let Request::Join(join) = request {
        if framing::write(&mut stream, &Reply::Joined).await.is_ok() {
            let _ = arrivals.send(Local::Joined(join, stream)).await;
        }
        return;
    }
    let (replies, mut answers) = mpsc::unbounded_channel();
    if arrivals.send(Local::Asked(request, replies)).await.is_err() {
        return;
    }
    let (mut asker, mut to) = stream.split();
    let answer = async {
        while let Some(reply) = answers.recv().await {
            if framing::write(&mut to, &reply).await.is_err() {
                return;
            }
        }
    };
    // Whoever waits for no answer any more is noticed although there is none for a long time.
    let left = async {
        let mut words = [0; 64];
        while let Ok(1..) = asker.read(&mut words).await {}
    };
    answering
        .track_future(async {
            tokio::select! { () = answer => (), () = left => () }
        })
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_socket_is_not_replaced() {
        let path = std::env::temp_dir().join(format!("pistop-precious-{}", std::process::id()));
        std::fs::write(&path, "photos").unwrap();
        let why = open(&path).unwrap_err().to_string();
        assert!(why.contains("something else than a socket") && why.contains("set CONTROL"), "{why}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "photos");
        std::fs::remove_file(&path).unwrap();
    }
}
