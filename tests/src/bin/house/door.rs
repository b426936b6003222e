//! The door of a machine: a shell behind tcpserver, there from early in its boot until its very end. One line goes in, what the
//! command prints comes out, and its exit code.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Where the unit `house-door` of the guests listens.
const PORT: u16 = 7777;
/// How long a machine may take to open its door; one without power never does.
const KNOCK: Duration = Duration::from_secs(3);

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// All that it printed.
    pub text: String,
    /// Its exit code.
    pub code: i32,
}

/// Sends a command; its lines, as they come, and the exit code as the last one.
///
/// # Errors
/// Nobody opens.
pub fn knock(address: Ipv4Addr, command: &str, silence: Duration) -> io::Result<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((address, PORT)), KNOCK)?;
    stream.set_read_timeout(Some(silence))?;
    stream.write_all(format!("{command}\n").as_bytes())?;
    Ok(BufReader::new(stream))
}

/// Runs a command to its end.
///
/// # Errors
/// Nobody opens, or the end does not come in time.
pub fn ask(address: Ipv4Addr, command: &str, patience: Duration) -> io::Result<Answer> {
    let end = Instant::now() + patience;
    let mut lines = knock(address, command, patience)?;
    let (mut text, mut line) = (String::new(), String::new());
    while lines.read_line(&mut line)? > 0 {
        if let Some(code) = exit_code(&line) {
            return Ok(Answer { text, code });
        }
        text.push_str(&line);
        line.clear();
        if Instant::now() > end {
            break;
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, format!("`{command}` has not ended; so far it said: {text}")))
}

/// The last line is `exit-code N`.
fn exit_code(line: &str) -> Option<i32> {
    line.strip_prefix("exit-code ")?.trim().parse().ok()
}
