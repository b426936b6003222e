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
    async fn an_end_inside_a_frame_is_no_clean_end() {
        let whole = frame::encode(&ID);
        for cut in 1..whole.len() {
            let why = read::<ShutdownId>(&mut &whole[..cut]).await.unwrap_err();
            assert_eq!(why.kind(), ErrorKind::UnexpectedEof, "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn what_is_too_long_or_nonsense_is_refused_with_a_reason() {
        let why = read::<ShutdownId>(&mut &[0xff; 8][..]).await.unwrap_err();
        assert!(why.to_string().contains("over the limit of 65536"), "{why}");
        let why = read::<HostName>(&mut &frame::encode_body(&[200])[..]).await.unwrap_err();
        assert!(why.to_string().contains("cannot be read"), "{why}");
        let why = write(&mut Vec::new(), &"x".repeat(MAX_BODY)).await.unwrap_err();
        assert!(why.to_string().contains("over the limit"), "{why}");
    }
}
