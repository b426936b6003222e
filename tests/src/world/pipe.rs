//! A connection that is read in whole packets, each with a patience: what MQTT and the agent's door have in common.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Finds the first whole packet in some bytes, and how many it took; `None` means that more are needed.
pub type Take<P> = fn(&[u8]) -> Result<Option<(P, usize)>, String>;

/// A stream whose reads can be given a patience.
pub trait Stream: Read + Write + Send {
    /// The longest that a read or a write takes from here on.
    fn patience(&self, span: Duration) -> io::Result<()>;
    /// Ends it in both directions.
    fn end(&self);
}

impl Stream for TcpStream {
    fn patience(&self, span: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(span))?;
        self.set_write_timeout(Some(span))
    }

    fn end(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Stream for UnixStream {
    fn patience(&self, span: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(span))?;
        self.set_write_timeout(Some(span))
    }

    fn end(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

/// A connection, with what has arrived and was not yet taken.
pub struct Pipe<P> {
    stream: Box<dyn Stream>,
    take: Take<P>,
    arrived: Vec<u8>,
    taken: usize,
}

impl<P> Pipe<P> {
    /// Over a stream, whose packets are found by `take`.
    pub fn new(stream: impl Stream + 'static, take: Take<P>) -> Self {
        Self { stream: Box::new(stream), take, arrived: Vec::new(), taken: 0 }
    }

    /// Sends all of it.
    ///
    /// # Errors
    /// The other end is gone, or takes nothing for `patience`.
    pub fn say(&mut self, bytes: &[u8], patience: Duration) -> io::Result<()> {
        self.stream.patience(patience)?;
        self.stream.write_all(bytes)
    }

    /// The next packet; nothing if none comes in time.
    ///
    /// # Errors
    /// The other end is gone, or speaks another language.
    pub fn hear(&mut self, patience: Duration) -> io::Result<Option<P>> {
        let start = Instant::now();
        loop {
            if let Some(packet) = self.next_whole()? {
                return Ok(Some(packet));
            }
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() || !self.fill(left)? {
                return Ok(None);
            }
        }
    }

    fn next_whole(&mut self) -> io::Result<Option<P>> {
        let found = (self.take)(&self.arrived[self.taken..]).map_err(io::Error::other)?;
        let Some((packet, used)) = found else {
            self.arrived.drain(..self.taken);
            self.taken = 0;
            return Ok(None);
        };
        self.taken += used;
        Ok(Some(packet))
    }

    /// Reads once; says whether the time was enough.
    fn fill(&mut self, patience: Duration) -> io::Result<bool> {
        self.stream.patience(patience.max(Duration::from_millis(1)))?;
        let mut buffer = [0; 32 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.arrived.extend_from_slice(&buffer[..count]);
                Ok(true)
            }
            Err(why) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&why.kind()) => Ok(false),
            Err(why) if why.kind() == ErrorKind::Interrupted => Ok(true),
            Err(why) => Err(why),
        }
    }
}

/// Closing is not enough: a process that is just being started may hold a copy of the descriptor for a moment.
impl<P> Drop for Pipe<P> {
    fn drop(&mut self) {
        self.stream.end();
    }
}
