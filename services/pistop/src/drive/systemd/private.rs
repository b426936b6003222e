//! systemd's own socket as a connection of zbus. systemd names itself as the sender there, `org.freedesktop.systemd1`;
//! on a bus only the bus fills that field in, with names of another form, and zbus takes the message for broken. So the
//! sender is shown to it as the destination, which means nothing where there are only two ends.
//!
//! Source: the message format of the D-Bus specification, and what systemd 252 sends.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use zbus::connection::socket::{ReadHalf, Socket, Split, WriteHalf};
use zbus::export::async_trait::async_trait;

/// The part of a message that tells its length.
const START: usize = 16;
/// Longer than anything that systemd is asked for here.
const LONGEST: usize = 16 * 1024 * 1024;
/// The field SENDER, and the signature of its value; the field DESTINATION.
const SENDER: [u8; 4] = [7, 1, b's', 0];
const DESTINATION: u8 = 6;

/// A stream to systemd.
#[derive(Debug)]
pub(super) struct Private(pub(super) UnixStream);

impl Socket for Private {
    type ReadHalf = Reader;
    type WriteHalf = Writer;

    fn split(self) -> Split<Reader, Writer> {
        let (read, write) = self.0.into_split();
        Split::new(Reader { stream: read, ready: Vec::new() }, Writer(write))
    }
}

/// Takes in whole lines of the greeting and whole messages, one at a time.
#[derive(Debug)]
pub(super) struct Reader {
    stream: OwnedReadHalf,
    ready: Vec<u8>,
}

impl Reader {
    /// A line of the greeting begins with a capital letter, a message with the byte order `l`: systemd sends no other.
    async fn next(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![self.stream.read_u8().await?];
        if bytes == b"l" {
            bytes.resize(START, 0);
            self.stream.read_exact(&mut bytes[1..]).await?;
            bytes.resize(length(&bytes)?, 0);
            self.stream.read_exact(&mut bytes[START..]).await?;
            hide_sender(&mut bytes);
        } else {
            while bytes.last() != Some(&b'\n') && bytes.len() < LONGEST {
                bytes.push(self.stream.read_u8().await?);
            }
        }
        Ok(bytes)
    }
}

fn number(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..at + 4).map_or(0, |four| u32::from_le_bytes(four.try_into().expect("four bytes")) as usize)
}

/// Of the whole message: its start, its fields filled up to a multiple of eight, its body.
fn length(start: &[u8]) -> io::Result<usize> {
    let (body, fields) = (number(start, 4), number(start, 12));
    let whole = body.min(LONGEST) + fields.min(LONGEST).next_multiple_of(8) + START;
    (whole <= LONGEST).then_some(whole).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Each field begins at a multiple of eight.
fn hide_sender(message: &mut [u8]) {
    let end = (START + number(message, 12)).min(message.len());
    let mut fields = message[START..end].chunks_mut(8);
    if let Some(field) = fields.find(|field| field.starts_with(&SENDER)) {
        field[0] = DESTINATION;
    }
}

#[async_trait]
impl ReadHalf for Reader {
    async fn recvmsg(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        if self.ready.is_empty() {
            self.ready = self.next().await?;
        }
        let taken = self.ready.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&self.ready[..taken]);
        self.ready.drain(..taken);
        Ok((taken, Vec::new()))
    }
}

/// Sends as it is told.
#[derive(Debug)]
pub(super) struct Writer(OwnedWriteHalf);

#[async_trait]
impl WriteHalf for Writer {
    async fn sendmsg(&mut self, buffer: &[u8], _descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.0.write(buffer).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.0.flush().await
    }

    async fn close(&mut self) -> io::Result<()> {
        self.0.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message with two fields, the second of them the sender, and a body of three bytes.
    fn message() -> Vec<u8> {
        let mut bytes = b"l\x02\x00\x01\x03\0\0\0\x01\0\0\0\x17\0\0\0".to_vec();
        bytes.extend(b"\x05\x01u\0\x09\0\0\0");
        bytes.extend(b"\x07\x01s\0\x06\0\0\0a.b.cd\0\0xyz");
        bytes
    }

    #[test]
    fn the_sender_is_shown_as_the_destination() {
        let mut bytes = message();
        assert_eq!(length(&bytes).unwrap(), bytes.len());
        hide_sender(&mut bytes);
        let changed: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at] != message()[at]).collect();
        assert_eq!((changed, bytes[24]), (vec![24], DESTINATION));
    }

    #[test]
    fn what_claims_to_be_too_long_is_refused() {
        let mut bytes = message();
        bytes[4..8].fill(0xff);
        assert!(length(&bytes).is_err());
        bytes[12..16].fill(0xff);
        assert!(length(&bytes).is_err());
    }

    #[tokio::test]
    async fn lines_and_messages_come_whole_however_they_are_cut() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut reader = Private(ours).split().take().0;
        for byte in [b"OK 00ff\r\n".to_vec(), message()].concat() {
            theirs.write_all(&[byte]).await.unwrap();
        }
        let mut buffer = [0; 100];
        let (taken, _) = reader.recvmsg(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..taken], b"OK 00ff\r\n");
        assert_eq!(reader.recvmsg(&mut buffer[..START]).await.unwrap().0, START);
        assert_eq!(reader.recvmsg(&mut buffer[START..]).await.unwrap().0, message().len() - START);
        assert_eq!((buffer[0], buffer[24]), (b'l', DESTINATION));
        drop(theirs);
        assert!(reader.recvmsg(&mut buffer).await.is_err());
    }
}
