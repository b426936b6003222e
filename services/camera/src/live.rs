//! Pictures for others: one connection to the camera feeds all of them. `/CAM/stream` is what the camera sends, as a browser and Home
//! Assistant take it; `/CAM/snapshot.jpg` is the newest picture; `/` is the status as JSON. Only what is new is sent: who is slow sees
//! fewer pictures, and nobody waits for him.

use crate::status::Board;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

/// So many may look at a time.
const VIEWERS: usize = 16;
/// The longest request.
const REQUEST: usize = 8 * 1024;
/// A request, and each picture, has so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// An address that cannot be had is tried again after this time.
const AGAIN: Duration = Duration::from_secs(5);
/// A viewer may have vanished without a word: his stream ends when there was no picture for so long.
const IDLE: Duration = Duration::from_secs(60);
const BOUNDARY: &str = "pistop-picture";

/// The newest picture of each camera; there may be more cameras later.
pub type Pictures = Arc<Mutex<BTreeMap<String, watch::Receiver<Option<Bytes>>>>>;

/// What is there to be seen.
#[derive(Debug)]
pub struct Show {
    /// By the names of their cameras.
    pub pictures: Pictures,
    /// How they are.
    pub board: Board,
}

/// Serves at an address as soon as that can be had, for which no recording waits.
pub async fn open(address: SocketAddr, show: Show) {
    let listener = bind(address).await;
    if let Ok(address) = listener.local_addr() {
        tracing::info!("pictures are served at http://{address}/");
        show.board.serves_at(address);
    }
    serve(listener, show).await;
}

async fn bind(address: SocketAddr) -> TcpListener {
    let mut told = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(why) if !std::mem::replace(&mut told, true) => tracing::warn!(
                "pictures cannot be served at {address}: {why}; it is tried again each {} s; set LIVE to an address of this machine and a \
                 port that nobody else has",
                AGAIN.as_secs()
            ),
            Err(_) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn serve(listener: TcpListener, show: Show) {
    let (show, places) = (Arc::new(show), Arc::new(Semaphore::new(VIEWERS)));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Beyond the limit the connection is closed at once.
                let Ok(place) = places.clone().try_acquire_owned() else { continue };
                let show = show.clone();
                tokio::spawn(async move {
                    if let Err(why) = answer(stream, &show).await {
                        tracing::debug!("a viewer went: {why}");
                    }
                    drop(place);
                });
            }
            Err(why) => {
                tracing::warn!("viewers cannot be let in: {why}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, show: &Show) -> io::Result<()> {
    let path = timeout(PATIENCE, request(&mut stream)).await??;
    let mut parts = path.trim_matches('/').splitn(2, '/');
    let (camera, what) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let pictures = show.pictures.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match (pictures.get(camera), what) {
        (Some(pictures), "stream") => stream_pictures(stream, pictures.clone()).await,
        (Some(pictures), "snapshot.jpg") => {
            let picture = pictures.borrow().clone();
            match picture {
                Some(jpeg) => reply(&mut stream, "200 OK", "image/jpeg", &jpeg).await,
                None => {
                    reply(&mut stream, "503 Service Unavailable", "text/plain", b"the camera sends no pictures\n").await
                }
            }
        }
        (None, "") if camera.is_empty() => {
            reply(&mut stream, "200 OK", "application/json", show.board.status().json().as_bytes()).await
        }
        _ => {
            let there: Vec<_> = pictures.keys().map(|name| format!("/{name}/stream /{name}/snapshot.jpg\n")).collect();
            reply(&mut stream, "404 Not Found", "text/plain", there.concat().as_bytes()).await
        }
    }
}

/// The path of a GET.
async fn request(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    loop {
        if stream.read_buf(&mut head).await? == 0 || head.len() > REQUEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        if request.parse(&head).map_err(io::Error::other)?.is_complete() {
            let path = request.path.filter(|_| request.method == Some("GET")).ok_or(io::ErrorKind::Unsupported)?;
            return Ok(path.split('?').next().unwrap_or_default().to_owned());
        }
    }
}

async fn reply(stream: &mut TcpStream, status: &str, kind: &str, body: &[u8]) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    );
    timeout(PATIENCE, async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        stream.shutdown().await
    })
    .await?
}

/// Whether there is another picture, and somebody who sees it: a viewer who goes while there is none must not keep his place.
async fn changes(pictures: &mut watch::Receiver<Option<Bytes>>, viewer: &mut TcpStream) -> bool {
    let mut more = [0; 256];
    loop {
        tokio::select! {
            changed = pictures.changed() => return changed.is_ok(),
            said = viewer.read(&mut more) => match said {
                Ok(1..) => {}
                Ok(0) | Err(_) => return false,
            },
            () = tokio::time::sleep(IDLE) => return false,
        }
    }
}

async fn stream_pictures(mut stream: TcpStream, mut pictures: watch::Receiver<Option<Bytes>>) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary={BOUNDARY}\r\nCache-Control: no-store\r\n\
         Connection: close\r\n\r\n"
    );
    timeout(PATIENCE, stream.write_all(head.as_bytes())).await??;
    pictures.mark_changed();
    while changes(&mut pictures, &mut stream).await {
        let Some(jpeg) = pictures.borrow_and_update().clone() else { continue };
        let head = format!("--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
        timeout(PATIENCE, async {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&jpeg).await?;
            stream.write_all(b"\r\n").await
        })
        .await??;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_viewer_who_goes_while_there_is_no_picture_gives_up_his_place() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let viewer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut served, _) = listener.accept().await.unwrap();
        let (_camera, mut pictures) = watch::channel(None);
        drop(viewer);
        assert!(!timeout(PATIENCE, changes(&mut pictures, &mut served)).await.unwrap());
    }
}
