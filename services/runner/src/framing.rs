//! Values as frames over a local socket or a pipe, one after another: the length of 4 bytes and the limits of
//! [`protocol::frame`], the bytes of [`protocol::codec`]. For links that only our own programs speak on; the TCP link
//! has [`protocol::session`].

use protocol::codec;
use protocol::frame::{self, HEADER, MAX_BODY};
use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, ErrorKind};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The next value, or `None` if the other end closed between two frames. Not to be dropped half-way: what was read
/// of a frame is lost with the future.
///
/// # Errors
/// The link broke, or broke off inside a frame; the frame is over [`MAX_BODY`] (nothing is allocated for it) or is no `T`.
pub async fn read<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<T>> {
    let Some(header) = header(from).await? else { return Ok(None) };
    let mut body = vec![0; body_length(&header)?];
    from.read_exact(&mut body).await?;
    codec::decode(&body).map(Some).map_err(|bad| invalid(frame::BadFrame::Body(bad).to_string()))
}

/// Frames off a stream that carries nothing else: one reading may bring several.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    bytes: Vec<u8>,
    /// So many of them were taken.
    taken: usize,
}

/// One reading brings so many bytes, or more if there is room.
const READING: usize = 16 * 1024;
/// No more room is kept while nothing comes.
const ROOM: usize = 64 * 1024;

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Reads from here on.
    pub fn new(from: R) -> Reader<R> {
        Reader { from, bytes: Vec::new(), taken: 0 }
    }

    /// The next value, if all of it was read already.
    ///
    /// # Errors
    /// The frame is over [`MAX_BODY`] or is no `T`.
    pub fn take<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let bad = |bad: frame::BadFrame| invalid(bad.to_string());
        let Some((body, used)) = frame::take_body(&self.bytes[self.taken..]).map_err(bad)? else { return Ok(None) };
        let value = codec::decode(body).map_err(|body| bad(frame::BadFrame::Body(body)))?;
        self.taken += used;
        Ok(Some(value))
    }

    /// Reads once; false if the other end closed. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// The link broke, or broke off inside a frame.
    pub async fn more(&mut self) -> io::Result<bool> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        if self.bytes.is_empty() {
            self.bytes.shrink_to(ROOM);
        }
        self.bytes.reserve(READING);
        match self.from.read_buf(&mut self.bytes).await? {
            0 if self.bytes.is_empty() => Ok(false),
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(true),
        }
    }

    /// The next value, or `None` if the other end closed between two frames. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// Those of [`Reader::take`] and [`Reader::more`].
    pub async fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        loop {
            match self.take()? {
                None if self.more().await? => {}
                taken => return Ok(taken),
            }
        }
    }
}

/// Sends a value and flushes.
///
/// # Errors
/// The link broke, or the value is over [`MAX_BODY`] as bytes.
pub async fn write<T: Serialize>(to: &mut (impl AsyncWrite + Unpin), value: &T) -> io::Result<()> {
    let mut bytes = Vec::new();
    frame::put(&mut bytes, value);
    let length = bytes.len() - HEADER;
    if length > MAX_BODY {
        return Err(invalid(frame::BadFrame::TooLong(length).to_string()));
    }
    to.write_all(&bytes).await?;
    to.flush().await
}

async fn header(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<[u8; HEADER]>> {
    let mut header = [0; HEADER];
    match from.read(&mut header).await? {
        0 => Ok(None),
        n => from.read_exact(&mut header[n..]).await.map(|_| Some(header)),
    }
}

/// The length that a header announces, checked against the limit.
pub(crate) fn body_length(header: &[u8]) -> io::Result<usize> {
    frame::take_body(header).map_err(|bad| invalid(bad.to_string()))?;
    let bytes = header.first_chunk().expect("the caller read a whole header");
    Ok(u32::from_be_bytes(*bytes) as usize)
}

fn invalid(why: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::name::ShutdownId;
    use protocol::{Epoch, HostName};

    const ID: ShutdownId = ShutdownId { epoch: Epoch(9), number: 2 };

    #[tokio::test]
    async fn values_come_out_as_they_went_in_until_the_end() {
        let (mut near, mut far) = tokio::io::duplex(7);
        let attic = HostName::parse("attic").unwrap();
        let sent = async {
            write(&mut near, &ID).await.unwrap();
            write(&mut near, &attic).await.unwrap();
            drop(near);
        };
        let heard = async {
            assert_eq!(read(&mut far).await.unwrap(), Some(ID));
            assert_eq!(read(&mut far).await.unwrap(), Some(attic.clone()));
            assert_eq!(read::<ShutdownId>(&mut far).await.unwrap(), None);
        };
        tokio::join!(sent, heard);
    }

    #[tokio::test]
    async fn one_reading_brings_several_and_a_wait_that_ends_early_loses_nothing() {
        let (mut near, far) = tokio::io::duplex(1024);
        let mut reader = Reader::new(far);
        let bytes = frame::encode(&ID);
        let two_and_a_half = [&bytes[..], &bytes[..], &bytes[..3]].concat();
        near.write_all(&two_and_a_half).await.unwrap();
        assert!(reader.more().await.unwrap());
        assert_eq!(
            [reader.take().unwrap(), reader.take().unwrap(), reader.take().unwrap()],
            [Some(ID), Some(ID), None]
        );
        let waits = reader.next::<ShutdownId>();
        assert!(tokio::time::timeout(std::time::Duration::from_millis(1), waits).await.is_err(), "half is missing");
        near.write_all(&bytes[3..]).await.unwrap();
        drop(near);
        assert_eq!(reader.next().await.unwrap(), Some(ID));
        assert_eq!(reader.next::<ShutdownId>().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_long_frame_takes_room_only_while_it_is_there() {
        let (long, short) = ("x".repeat(MAX_BODY - 8), "x".to_owned());
        let bytes = [long.clone(), long.clone(), short.clone()].map(|text| frame::encode(&text)).concat();
        let mut reader = Reader::new(&bytes[..]);
        for text in [long.clone(), long, short] {
            assert_eq!(reader.next().await.unwrap(), Some(text));
        }
        assert_eq!(reader.next::<String>().await.unwrap(), None);
        assert!(reader.bytes.capacity() <= ROOM + READING, "{}", reader.bytes.capacity());
    }

    #[tokio::test]
    async fn an_end_inside_a_frame_is_no_clean_end() {
        let whole = frame::encode(&ID);
        for cut in 1..whole.len() {
            let why = read::<ShutdownId>(&mut &whole[..cut]).await.unwrap_err();
            assert_eq!(why.kind(), ErrorKind::UnexpectedEof, "cut at {cut}");
            let why = Reader::new(&whole[..cut]).next::<ShutdownId>().await.unwrap_err();
            assert_eq!(why.kind(), ErrorKind::UnexpectedEof, "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn what_is_too_long_or_nonsense_is_refused_with_a_reason() {
        let why = read::<ShutdownId>(&mut &[0xff; 8][..]).await.unwrap_err();
        assert!(why.to_string().contains("over the limit of 65536"), "{why}");
        let why = Reader::new(&[0xff; 8][..]).next::<ShutdownId>().await.unwrap_err();
        assert!(why.kind() == ErrorKind::InvalidData && why.to_string().contains("over the limit of 65536"), "{why}");
        let why = read::<HostName>(&mut &frame::encode_body(&[200])[..]).await.unwrap_err();
        assert!(why.to_string().contains("cannot be read"), "{why}");
        let why = Reader::new(&frame::encode_body(&[200])[..]).next::<HostName>().await.unwrap_err();
        assert!(why.kind() == ErrorKind::InvalidData && why.to_string().contains("cannot be read"), "{why}");
        let why = write(&mut Vec::new(), &"x".repeat(MAX_BODY)).await.unwrap_err();
        assert!(why.to_string().contains("over the limit"), "{why}");
    }
}
