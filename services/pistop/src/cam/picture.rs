//! `pistop cam snapshot|live`: pictures from where the recorder serves them, so that the camera itself has one connection only.

use super::Cameras;
use super::ram::refused;
use crate::local_time::Zone;
use crate::words::{out, say, size};
use runner::clock::unix_now;
use runner::exit::Failure;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The recorder has so long to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// No picture is larger, with what stands before it.
const MOST: u64 = 16 << 20;

/// Writes the newest picture to a file.
///
/// # Errors
/// There is none, pictures are not served, or the file cannot be written.
pub async fn snapshot(cameras: &Cameras, word: &str, file: Option<&Path>) -> Result<(), Failure> {
    let name = cameras.one(word)?;
    let address = address(cameras)?;
    let fetched = timeout(ANSWER, fetch(reachable(address), &name)).await;
    let answer = fetched.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let answer = answer.map_err(|why| Failure::Temporary(format!("the recorder at {address}: {why}; does it run?")))?;
    let jpeg = body(&answer).map_err(|why| Failure::Temporary(format!("{name}: {why}")))?;
    if file == Some(Path::new("-")) {
        return io::stdout().write_all(jpeg).map_err(|why| Failure::Temporary(format!("standard output: {why}")));
    }
    let usual = || PathBuf::from(format!("{name}-{}.jpg", Zone::local().compact(unix_now())));
    let file = file.map_or_else(usual, Path::to_owned);
    put(&file, jpeg).map_err(|why| refused(&file, &why))?;
    say(&format!("{}: {}", file.display(), size(jpeg.len() as u64)));
    Ok(())
}

/// Whole or not at all: who looks there meanwhile sees the picture of before. What is no plain file, such as a pipe, is only written to.
fn put(file: &Path, jpeg: &[u8]) -> io::Result<()> {
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    if file.exists() && !file.is_file() {
        return fs::write(file, jpeg);
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let aside = file.with_file_name(format!(".{name}.{}", std::process::id()));
    let put = File::create_new(&aside).and_then(|mut aside| aside.write_all(jpeg));
    put.and_then(|()| fs::rename(&aside, &file)).inspect_err(|_| drop(fs::remove_file(&aside)))
}

/// Prints where it is to be seen.
///
/// # Errors
/// Pictures are not served.
pub fn live(cameras: &Cameras, word: &str) -> Result<(), Failure> {
    let name = cameras.one(word)?;
    let address = address(cameras)?;
    let host = match address.ip().is_unspecified() {
        true => nix::unistd::gethostname().map_or("localhost".into(), |host| host.to_string_lossy().into_owned()),
        false => SocketAddr::new(address.ip(), 0).to_string().trim_end_matches(":0").to_owned(),
    };
    out(&format!("http://{host}:{}/{name}/stream\n", address.port()))
}

/// Where the running recorder serves pictures.
fn address(cameras: &Cameras) -> Result<SocketAddr, Failure> {
    let live = cameras.running()?.live.and_then(|live| live.parse().ok());
    live.ok_or_else(|| {
        Failure::Permanent(format!(
            "the recorder serves no pictures; set LIVE, as in 127.0.0.1:8090, in {} and then `pistop cam restart camera`",
            cameras.config
        ))
    })
}

/// Who listens everywhere is here, too.
fn reachable(address: SocketAddr) -> SocketAddr {
    let here: IpAddr = if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    SocketAddr::new(if address.ip().is_unspecified() { here } else { address.ip() }, address.port())
}

/// The recorder closes behind its answer.
async fn fetch(address: SocketAddr, name: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET /{name}/snapshot.jpg HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// The picture in an answer, or what it says in its place.
fn body(answer: &[u8]) -> Result<&[u8], String> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("the recorder's answer is no HTTP")?;
    let (head, body) = (String::from_utf8_lossy(&answer[..end]), &answer[end + 4..]);
    match head.split_whitespace().nth(1) {
        Some("200") if body.starts_with(&[0xff, 0xd8]) && body.ends_with(&[0xff, 0xd9]) => Ok(body),
        Some("200") => Err("the picture is not whole; try again".into()),
        _ => Err(String::from_utf8_lossy(body).trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_whole_or_none() {
        assert_eq!(body(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n\xff\xd8x\xff\xd9"), Ok(&b"\xff\xd8x\xff\xd9"[..]));
        assert!(body(b"HTTP/1.1 200 OK\r\n\r\n\xff\xd8x").unwrap_err().contains("not whole"));
        let gone = body(b"HTTP/1.1 503 Service Unavailable\r\n\r\nthe camera sends no pictures\n");
        assert_eq!(gone, Err("the camera sends no pictures".into()));
        assert!(body(b"").is_err());
    }

    #[test]
    fn a_snapshot_takes_the_place_of_the_last_one_whole_and_no_device_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("now.jpg"), dir.path().join("link.jpg"));
        fs::write(&file, "the last one").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let mut before = File::open(&file).unwrap();
        put(&link, b"new").unwrap();
        let mut read = String::new();
        io::Read::read_to_string(&mut before, &mut read).unwrap();
        assert_eq!((read.as_str(), fs::read(&file).unwrap()), ("the last one", b"new".to_vec()));
        assert!(link.is_symlink() && fs::read_dir(dir.path()).unwrap().count() == 2);
        std::os::unix::fs::symlink("/dev/null", dir.path().join("null.jpg")).unwrap();
        put(&dir.path().join("null.jpg"), b"new").unwrap();
        assert!(put(&dir.path().join("none/now.jpg"), b"new").is_err());
    }

    #[test]
    fn who_listens_everywhere_is_reached_here() {
        for (address, reached) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("10.0.0.1:80", "10.0.0.1:80")]
        {
            assert_eq!(reachable(address.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
