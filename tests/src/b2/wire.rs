//! Bytes in and out: requests with a length, answers, and the ways of not answering.

use super::answer::{self, Answer};
use super::{Fault, Seen, State, is_segment, state};
use socket2::SockRef;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// With the bucket, without the query.
    pub(super) path: String,
    pub(super) query: String,
    /// In lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The version that it is about.
    pub(super) fn version(&self) -> Option<&str> {
        self.query.split('&').find_map(|word| word.strip_prefix("versionId="))
    }

    /// Without the bucket.
    pub(super) fn key(&self) -> &str {
        self.path.trim_start_matches('/').split_once('/').map_or("", |(_, key)| key)
    }
}

/// Answers one connection until it ends.
pub(super) fn serve(socket: TcpStream, all: &Mutex<State>) -> io::Result<()> {
    let mut reader = BufReader::new(socket.try_clone()?);
    while let Some(mut request) = head(&mut reader)? {
        let at = Instant::now();
        let fault = fault(&request, all);
        let place = {
            let mut state = state(all);
            let (method, key) = (request.method.clone(), request.key().to_owned());
            state.seen.push(Seen { at, method, key, status: 0 });
            state.seen.len() - 1
        };
        body(&mut reader, &mut request, fault.as_ref(), all)?;
        if fault == Some(Fault::Reset) {
            return reset(&socket);
        }
        if fault == Some(Fault::BlackHole) {
            // Until the other side has had enough.
            let mut rest = [0; 1024];
            while reader.read(&mut rest)? > 0 {}
            return Ok(());
        }
        let answer = answer::of(&request, fault.as_ref(), &mut state(all));
        if fault == Some(Fault::KeptAndReset) {
            return reset(&socket);
        }
        state(all).seen[place].status = answer.status;
        write(&socket, &request, &answer, state(all).ahead)?;
    }
    Ok(())
}

fn fault(request: &Request, all: &Mutex<State>) -> Option<Fault> {
    if request.method != "PUT" || !is_segment(request.key()) {
        return None;
    }
    let mut state = state(all);
    state.faults.pop_front().or_else(|| state.always.clone())
}

fn head(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut request =
        Request { method, path: path.into(), query: query.into(), headers: BTreeMap::new(), body: Vec::new() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { return Ok(Some(request)) };
        request.headers.insert(name.to_ascii_lowercase(), value.trim().into());
    }
}

fn body(
    reader: &mut BufReader<TcpStream>,
    request: &mut Request,
    fault: Option<&Fault>,
    all: &Mutex<State>,
) -> io::Result<()> {
    let length: usize = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let wanted = if fault == Some(&Fault::Reset) { length / 2 } else { length };
    let segment = is_segment(request.key());
    let mut piece = [0; 8192];
    while request.body.len() < wanted {
        let most = piece.len().min(wanted - request.body.len());
        let some = reader.read(&mut piece[..most])?;
        if some == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if segment {
            state(all).arrivals.push((Instant::now(), some));
        }
        request.body.extend_from_slice(&piece[..some]);
        if let Some(Fault::Slow(rate)) = fault {
            thread::sleep(Duration::from_secs_f64(some as f64 / *rate as f64));
        }
    }
    Ok(())
}

fn reset(socket: &TcpStream) -> io::Result<()> {
    SockRef::from(socket).set_linger(Some(Duration::ZERO))
}

fn write(mut socket: &TcpStream, request: &Request, answer: &Answer, ahead: Duration) -> io::Result<()> {
    let date = date(ahead);
    let mut text = format!("HTTP/1.1 {} X\r\nDate: {date}\r\n", answer.status);
    for (name, value) in &answer.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if answer.status != 204 {
        text.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    }
    text.push_str("\r\n");
    if request.method != "HEAD" {
        text.push_str(&answer.body);
    }
    socket.write_all(text.as_bytes())
}

/// The time of day as HTTP writes it.
fn date(ahead: Duration) -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "-d", &format!("{} seconds", ahead.as_secs()), "+%a, %d %b %Y %T GMT"])
        .env("LC_ALL", "C")
        .output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
