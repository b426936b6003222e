//! Descriptors by number, as UCSPI hands them to a child (0 and 1, or 6 and 7), and descriptors sent to another
//! process. The only file of the project with `unsafe` in it: numbers become owners here and nowhere else.
//!
//! A descriptor that was inherited over `exec` has no close-on-exec flag, and whatever we open ourselves has it. So
//! only what was inherited can be adopted, and only once: adopting sets the flag.
#![allow(unsafe_code)]

use crate::framing::body_length;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, Shutdown, UnixAddr, recvmsg, sendmsg, shutdown};
use protocol::frame::{HEADER, MAX_BODY, encode_body};
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// The most descriptors in one message. The kernel's own limit is 253 (`SCM_MAX_FD`).
pub const MAX_DESCRIPTORS: usize = 250;
const KERNEL_MOST: usize = 253;

/// Takes over a descriptor that was open when the program started. Best called first of all: a runtime opens
/// descriptors of its own, and may get the very number that nobody provided. It is refused then, too.
///
/// # Errors
/// It is not open, or it was not inherited; the message says what should have provided it.
pub fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    let missing = |kind, what: &str| {
        let why = format!("descriptor {fd} {what}; start this program under {}", provider(fd));
        io::Error::new(kind, why)
    };
    if fd < 0 {
        return Err(missing(io::ErrorKind::InvalidInput, "cannot exist"));
    }
    // SAFETY: the number is not -1, and the borrow ends with this call, whose only use of it is to ask the kernel
    // whether it is open at all.
    let flags = unsafe { fcntl(BorrowedFd::borrow_raw(fd), FcntlArg::F_GETFD) };
    let flags = flags.map_err(|_| missing(io::ErrorKind::NotFound, "is not open"))?;
    if FdFlag::from_bits_truncate(flags).contains(FdFlag::FD_CLOEXEC) {
        return Err(missing(io::ErrorKind::NotFound, "was not inherited"));
    }
    // SAFETY: it is open and has no close-on-exec flag, so it came over `exec` and nothing in this process has made an
    // owner of it yet; the flag set on the next line keeps it from getting a second one.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    fcntl(&owned, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(owned)
}

/// Keeps what a careless parent left open above 2 from the programs that we start: a hook that goes on in the background
/// would hold it for ever. Called once [`adopt`] has taken what is wanted.
pub fn keep_inherited_to_ourselves() {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers: Vec<RawFd> = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in numbers.into_iter().filter(|&fd| fd > 2) {
        // SAFETY: the number is not -1, and the borrow ends with this call, which fails where the number is no longer
        // open and otherwise changes nothing that its owner can see.
        let _ = unsafe { fcntl(BorrowedFd::borrow_raw(fd), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)) };
    }
}

fn provider(fd: RawFd) -> &'static str {
    match fd {
        0 | 1 => "tcpserver, or another UCSPI server that gives its child 0 and 1",
        6 | 7 => "tcpclient, or another UCSPI client that gives its child 6 and 7",
        _ => "a program that opens it",
    }
}

/// A two-way link over one descriptor to read and one to write: the same socket, or two pipes.
#[derive(Debug)]
pub struct Duplex {
    from: AsyncFd<OwnedFd>,
    to: Option<AsyncFd<OwnedFd>>,
}

impl Duplex {
    /// Makes a link of them; both become non-blocking. Needs a running tokio runtime with IO.
    ///
    /// # Errors
    /// One of them is no socket, pipe or terminal (a plain file cannot be waited for).
    pub fn new(read: OwnedFd, write: OwnedFd) -> io::Result<Duplex> {
        Ok(Duplex { from: waitable(read, Interest::READABLE)?, to: Some(waitable(write, Interest::WRITABLE)?) })
    }
}

/// A descriptor that is waited for and that somebody else reads, as the epoll of many sockets is.
#[derive(Debug)]
pub struct Woken(AsyncFd<OwnedFd>);

impl Woken {
    /// Needs a running tokio runtime with IO.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn new(fd: OwnedFd) -> io::Result<Woken> {
        waitable(fd, Interest::READABLE).map(Woken)
    }

    /// Looks whenever it may be readable, until there is something to be seen. May be dropped and called again at any
    /// time.
    pub async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        loop {
            // There is no runtime any more that could wake us.
            let Ok(mut guard) = self.0.readable().await else { return std::future::pending().await };
            if let Some(seen) = look() {
                guard.retain_ready();
                return seen;
            }
            guard.clear_ready();
        }
    }
}

fn waitable(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    // SAFETY: an `OwnedFd` is open and the same descriptor for as long as it lives, and it lives in the `AsyncFd`,
    // which this file never takes apart.
    let registered = unsafe { AsyncFd::register_with_interest(fd, interest) };
    registered.map_err(|refused| {
        let (fd, why) = refused.into_parts();
        match why.kind() {
            io::ErrorKind::PermissionDenied => plain_file(fd.as_raw_fd()),
            _ => why,
        }
    })
}

fn plain_file(fd: RawFd) -> io::Error {
    let why = format!("descriptor {fd} is a plain file; a socket or a pipe is needed");
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

impl AsyncRead for Duplex {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.from.poll_read_ready(cx))?;
            let space = buf.initialize_unfilled();
            if let Ok(read) = guard.try_io(|fd| Ok(nix::unistd::read(fd, space)?)) {
                return Poll::Ready(read.map(|n| buf.advance(n)));
            }
        }
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(to) = &self.to else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        loop {
            let mut guard = ready!(to.poll_write_ready(cx))?;
            if let Ok(written) = guard.try_io(|fd| Ok(nix::unistd::write(fd, bytes)?)) {
                return Poll::Ready(written);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The other end reads an end of file; what it still has to say can be read.
    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(to) = self.to.take() else { return Poll::Ready(Ok(())) };
        Poll::Ready(match shutdown(to.as_raw_fd(), Shutdown::Write) {
            // A pipe has no half to close: dropping our end is the end. A link that is gone needs no end.
            Ok(()) | Err(Errno::ENOTSOCK | Errno::ENOTCONN) => Ok(()),
            Err(why) => Err(why.into()),
        })
    }
}

/// Sends a payload with descriptors over a blocking socket; [`receive_fds`] takes them off at the other end.
///
/// # Errors
/// The socket broke, there are more than [`MAX_DESCRIPTORS`], or the payload is over [`MAX_BODY`].
pub fn send_fds(socket: &UnixStream, payload: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    bounded(payload.len(), MAX_BODY, "bytes")?;
    bounded(fds.len(), MAX_DESCRIPTORS, "descriptors")?;
    let numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let frame = encode_body(payload);
    let control = if numbers.is_empty() { &rights[..0] } else { &rights };
    let flags = MsgFlags::MSG_NOSIGNAL;
    // The descriptors travel with the first byte; a full socket may leave the rest of the bytes to us.
    let sent = sendmsg::<UnixAddr>(socket.as_raw_fd(), &[IoSlice::new(&frame)], control, flags, None)?;
    let mut socket = socket;
    socket.write_all(&frame[sent..])
}

/// Takes one payload with its descriptors off a blocking socket. Give it a read time-out if the other end is not ours.
///
/// # Errors
/// The socket broke or ended, or more came than [`send_fds`] sends; all descriptors that came are closed then.
pub fn receive_fds(socket: &UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut fds = Vec::new();
    let mut header = [0; HEADER];
    fill(socket, &mut header, &mut fds)?;
    let mut payload = vec![0; body_length(&header)?];
    fill(socket, &mut payload, &mut fds)?;
    Ok((payload, fds))
}

fn fill(socket: &UnixStream, mut space: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<()> {
    while !space.is_empty() {
        let read = receive_some(socket, space, fds)?;
        bounded(fds.len(), MAX_DESCRIPTORS, "descriptors")?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        space = &mut space[read..];
    }
    Ok(())
}

fn receive_some(socket: &UnixStream, space: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
    // Room for all that the kernel can send at once, so that none is cut off and stays open without an owner.
    let mut control = nix::cmsg_space!([RawFd; KERNEL_MOST]);
    let mut slices = [IoSliceMut::new(space)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags)?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = part {
            // SAFETY: the kernel has just made these descriptors for this process, and this is the only place that
            // sees their numbers.
            fds.extend(numbers.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok(message.bytes)
}

fn bounded(count: usize, limit: usize, of: &str) -> io::Result<()> {
    let why =
        || io::Error::new(io::ErrorKind::InvalidInput, format!("{count} {of} in one message; the limit is {limit}"));
    if count <= limit { Ok(()) } else { Err(why()) }
}

#[cfg(test)]
mod tests;
