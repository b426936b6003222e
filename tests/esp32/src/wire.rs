//! The bytes of a response: chunks or none, CRLF or LF, and pauses in which the end of the connection is noticed.

use crate::camera::Shared;
use crate::door::{TICK, is_gone};
use crate::script::Fault;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// A write that takes longer looks whether anything has changed.
const PATIENCE: Duration = Duration::from_millis(50);

/// The most that a request may have.
const MAX_REQUEST: usize = 8 << 10;

/// A connection to a client.
pub(crate) struct Wire<'a> {
    /// Not ours alone, so that the door can look whether it is open; dropping this ends it all the same.
    socket: Arc<TcpStream>,
    pub(crate) shared: &'a Shared,
    /// The body is in chunks, of at most so many bytes.
    chunks: Option<usize>,
}

impl<'a> Wire<'a> {
    pub(crate) fn new(socket: Arc<TcpStream>, shared: &'a Shared) -> io::Result<Self> {
        socket.set_nonblocking(false)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, shared, chunks: None })
    }

    /// The path that the client asks for.
    pub(crate) fn request(&mut self) -> io::Result<String> {
        let (mut request, mut room) = (Vec::new(), [0; 1024]);
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            self.check()?;
            match self.socket.as_ref().read(&mut room) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => request.extend_from_slice(&room[..length]),
                Err(why) if is_pause(&why) => {}
                Err(why) => return Err(why),
            }
            if request.len() > MAX_REQUEST {
                return Err(ErrorKind::InvalidData.into());
            }
        }
        let line = String::from_utf8_lossy(&request);
        Ok(line.split(' ').nth(1).unwrap_or_default().to_owned())
    }

    /// An error when there is nobody to talk to, or no time.
    fn check(&self) -> io::Result<()> {
        let faults = self.shared.faults();
        let gone = !faults.contains(&Fault::Deaf) && is_gone(&self.socket);
        match gone || faults.contains(&Fault::Refuse) || self.shared.stopping() {
            true => Err(ErrorKind::ConnectionAborted.into()),
            false => Ok(()),
        }
    }

    /// Does nothing until then, or as long as `wait` says.
    pub(crate) fn wait(&self, until: Instant, wait: impl Fn(&Shared) -> bool) -> io::Result<()> {
        // Whoever is late, as on a busy machine, does not wait at all.
        self.check()?;
        while Instant::now() < until || wait(self.shared) {
            self.check()?;
            thread::sleep(TICK.min(until.saturating_duration_since(Instant::now()).max(Duration::from_micros(200))));
        }
        Ok(())
    }

    /// The bytes as they are.
    pub(crate) fn raw(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.socket.as_ref().write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(why) if is_pause(&why) => self.check()?,
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }

    /// From here on the body is in chunks of at most so many bytes.
    pub(crate) fn begin_chunks(&mut self, most: Option<usize>) {
        self.chunks = most;
    }

    /// A piece of the body. An empty one is the chunk that ends a response, as with httpd_resp_send_chunk.
    pub(crate) fn piece(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(most) = self.chunks else { return self.raw(bytes) };
        if bytes.is_empty() {
            return self.raw(b"0\r\n\r\n");
        }
        for chunk in bytes.chunks(most) {
            let wrapped = [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat();
            self.raw(&wrapped)?;
        }
        Ok(())
    }

    /// Ends the connection by a reset.
    pub(crate) fn reset(self) {
        let _ = nix::sys::socket::setsockopt(
            &self.socket,
            nix::sys::socket::sockopt::Linger,
            &nix::libc::linger { l_onoff: 1, l_linger: 0 },
        );
    }
}

fn is_pause(why: &io::Error) -> bool {
    matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
