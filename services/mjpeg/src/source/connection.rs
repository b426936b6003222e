//! The one connection to a camera: opened within a limit, and really gone before the next one.

use crate::cause::Cause;
use crate::config::Config;
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// A peer that has vanished is noticed by the stall limit; this is for the kernel, which would hold the connection for hours.
const IDLE: Duration = Duration::from_secs(5);
const BETWEEN: Duration = Duration::from_secs(2);
const PROBES: u32 = 3;
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Looks the name up, connects and asks for the stream.
pub async fn open(config: &Config) -> Result<TcpStream, Cause> {
    match timeout(config.connect, connect(config)).await {
        Ok(opened) => opened,
        Err(_) => Err(Cause::Unreachable { why: format!("no answer within {:.1} s", config.connect.as_secs_f32()) }),
    }
}

async fn connect(config: &Config) -> Result<TcpStream, Cause> {
    let url = &config.url;
    let unknown = |why: String| Cause::Unknown { host: url.host().to_owned(), why };
    let addresses = lookup_host((url.host(), url.port())).await.map_err(|why| unknown(why.to_string()))?;
    let mut failed = unknown("it has no address".to_owned());
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(mut socket) => return ask(&mut socket, &url.request()).await.map(|()| socket).map_err(cause),
            Err(why) => failed = cause(why),
        }
    }
    Err(failed)
}

async fn ask(socket: &mut TcpStream, request: &[u8]) -> io::Result<()> {
    let options = SockRef::from(&*socket);
    options.set_tcp_keepalive(&TcpKeepalive::new().with_time(IDLE).with_interval(BETWEEN).with_retries(PROBES))?;
    options.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    socket.write_all(request).await
}

fn cause(why: io::Error) -> Cause {
    match why.kind() {
        ErrorKind::ConnectionRefused => Cause::Refused,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Cause::Cut { why: why.to_string() },
        _ => Cause::Unreachable { why: why.to_string() },
    }
}

/// Says that we are done, and waits at most `wait` for the camera to say so too. If it does not, because it hangs or goes on streaming, the
/// connection is reset, which an ESP32 that sends notices at once.
pub async fn close(mut socket: TcpStream, wait: Duration) {
    let _ = socket.shutdown().await;
    let ended = timeout(wait, async {
        let mut rest = [0; 4096];
        while socket.read(&mut rest).await.is_ok_and(|length| length > 0) {}
    });
    if ended.await.is_err() {
        let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
    }
}
