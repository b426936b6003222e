//! Day and night: cameras are told at the times in the settings, when this program starts, when the clock is set, and when a camera is
//! back, since one that started again has forgotten. What fails is tried again until it works, so no morning is missed. An ESP32 says yes to
//! whatever it is told, so what it was told by `/control` is read back from its `/status`.

use crate::config::Camera;
use jiff::Zoned;
use jiff::civil::Time;
use mjpeg::Url;
use runner::retry::Backoff;
use std::fmt;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

/// A camera has so long to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// So often the time of day is looked at, since clocks are set.
const LOOK: Duration = Duration::from_secs(20);
/// A camera that comes and goes is told again after this time at the earliest.
const AGAIN: Duration = Duration::from_secs(10);
/// More of an answer is not read.
const ANSWER: usize = 4096;

/// How the camera has to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// In light.
    Day,
    /// In the dark.
    Night,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Day => "day",
            Mode::Night => "night",
        })
    }
}

/// When which one holds.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// The day begins.
    pub day: Time,
    /// The night begins.
    pub night: Time,
}

impl Times {
    /// What holds at a time of day.
    pub fn mode(&self, now: Time) -> Mode {
        let between = |from: Time, to: Time| if from <= to { from <= now && now < to } else { from <= now || now < to };
        if between(self.day, self.night) { Mode::Day } else { Mode::Night }
    }

    /// Why, in a word.
    fn why(&self, now: Time) -> String {
        let (from, to, joint) = match self.mode(now) {
            Mode::Day => (self.day, self.night, "and"),
            Mode::Night => (self.night, self.day, "or"),
        };
        match from.minute() == 0 && to.minute() == 0 {
            true => format!("hour={:02} (>={} {joint} <{})", now.hour(), from.hour(), to.hour()),
            false => format!("time={} (>={} {joint} <{})", short(now), short(from), short(to)),
        }
    }
}

fn short(time: Time) -> String {
    format!("{:02}:{:02}", time.hour(), time.minute())
}

/// What a camera was told last.
struct Applied {
    url: Url,
    at: Instant,
}

/// Looks after one camera while it is recorded; `back` tells that it may have forgotten.
pub async fn keep(mut camera: watch::Receiver<Camera>, times: Times, mut back: mpsc::UnboundedReceiver<()>) {
    let mut backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(120));
    let (mut applied, mut forgot) = (None::<Applied>, false);
    loop {
        if forgot && applied.as_ref().is_none_or(|applied| applied.at.elapsed() >= AGAIN) {
            (applied, forgot) = (None, false);
        }
        let now = Zoned::now().time();
        let mode = times.mode(now);
        let url = address(&camera.borrow_and_update(), mode);
        let mut pause = if forgot { AGAIN / 10 } else { LOOK };
        if let Some(url) = url.filter(|url| applied.as_ref().is_none_or(|applied| applied.url != *url)) {
            match apply(&url, mode, &times.why(now)).await {
                true => (applied, _) = (Some(Applied { url, at: Instant::now() }), backoff.reset()),
                false => pause = backoff.next(),
            }
        }
        tokio::select! {
            again = back.recv() => match again {
                Some(()) => forgot = true,
                None => return,
            },
            Ok(()) = camera.changed() => {}
            () = sleep_until(Instant::now() + pause) => {}
        }
    }
}

/// What is to be called, if anything: one that is not recorded may have no power at all.
fn address(camera: &Camera, mode: Mode) -> Option<Url> {
    let url = if mode == Mode::Day { &camera.day_url } else { &camera.night_url };
    url.clone().filter(|_| camera.recording.on)
}

/// The words of the log are those of the script that did this before.
async fn apply(url: &Url, mode: Mode, why: &str) -> bool {
    let host = url.host();
    tracing::info!("daynight: Applying {mode} preset to {host} because {why}");
    let answer = timeout(PATIENCE, call(url)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    match answer {
        Ok((200..=299, text)) => {
            let line = first_line(&text);
            tracing::info!("daynight: Response from {host}: {}", if line.is_empty() { "OK" } else { &line });
            is_so(url).await
        }
        Ok((status, text)) => {
            let text = first_line(&text);
            tracing::warn!("daynight: Response from {host}: HTTP {status} {text}; is {url} right? it is tried again");
            false
        }
        Err(why) => {
            tracing::warn!("daynight: Response from {host}: <no response> ({why}); it is tried again");
            false
        }
    }
}

/// Reads back what an ESP32 was told; where that cannot be read its answer has to do.
async fn is_so(url: &Url) -> bool {
    let Some((var, val)) = asked(url.path()) else { return true };
    let host = url.host();
    let status = timeout(PATIENCE, call(&url.beside("/status"))).await;
    let text = if let Ok(Ok((200..=299, text))) = status { text } else { String::new() };
    match setting(&text, var) {
        Some(now) if now == val => {
            tracing::info!("daynight: {host} has {var}={val}");
            true
        }
        Some(now) => {
            tracing::warn!("daynight: {host} has {var}={now}, though it was told {val}; it is told again");
            false
        }
        None => {
            tracing::info!("daynight: {var}={val} of {host} is not verified: its /status does not tell");
            true
        }
    }
}

/// The setting and the value in the address of a CameraWebServer, `/control?var=framesize&val=8`.
fn asked(path: &str) -> Option<(&str, &str)> {
    let query = path.strip_prefix("/control?")?;
    let value = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key));
    Some((value("var=")?, value("val=")?))
}

/// What its status says of a setting.
fn setting(status: &str, var: &str) -> Option<String> {
    let status: serde_json::Value = serde_json::from_str(status).ok()?;
    match status.get(var)? {
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The status and the text of the answer.
async fn call(url: &Url) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect((url.host(), url.port())).await?;
    stream.write_all(&url.request()).await?;
    let mut answer = Vec::new();
    // An ESP32 may reset the connection behind its answer.
    let read = stream.take(ANSWER as u64).read_to_end(&mut answer).await;
    parsed(&answer).ok_or_else(|| read.err().unwrap_or_else(|| io::Error::other("that is no HTTP")))
}

fn parsed(answer: &[u8]) -> Option<(u16, String)> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let head = response.parse(answer).ok()?;
    let body = if let httparse::Status::Complete(length) = head { &answer[length..] } else { &[] };
    Some((response.code?, String::from_utf8_lossy(body).into_owned()))
}

fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::time;

    const TIMES: Times = Times { day: Time::constant(6, 0, 0, 0), night: Time::constant(18, 0, 0, 0) };

    #[test]
    fn the_day_is_from_six_to_six() {
        for (hour, minute, mode) in [(5, 59, Mode::Night), (6, 0, Mode::Day), (17, 59, Mode::Day), (18, 0, Mode::Night)]
        {
            assert_eq!(TIMES.mode(time(hour, minute, 0, 0)), mode);
        }
        let late = Times { day: time(20, 0, 0, 0), night: time(4, 30, 0, 0) };
        assert_eq!(late.mode(time(23, 0, 0, 0)), Mode::Day);
        assert_eq!(late.mode(time(4, 30, 0, 0)), Mode::Night);
    }

    #[test]
    fn the_reason_reads_as_it_always_did() {
        assert_eq!(TIMES.why(time(19, 5, 0, 0)), "hour=19 (>=18 or <6)");
        assert_eq!(TIMES.why(time(7, 0, 0, 0)), "hour=07 (>=6 and <18)");
        let half = Times { day: time(6, 30, 0, 0), ..TIMES };
        assert_eq!(half.why(time(7, 0, 0, 0)), "time=07:00 (>=06:30 and <18:00)");
    }

    #[test]
    fn an_answer_is_its_status_and_its_first_line() {
        let (status, text) = parsed(b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n\r\nnight on\r\nmore").unwrap();
        assert_eq!((status, first_line(&text).as_str()), (200, "night on"));
        assert_eq!(parsed(b"HTTP/1.1 404 Not Found\r\n\r\n"), Some((404, String::new())));
        assert_eq!(parsed(b"garbage"), None);
    }

    #[test]
    fn what_an_esp32_was_told_is_compared_with_its_status() {
        assert_eq!(asked("/control?var=aec_value&val=300"), Some(("aec_value", "300")));
        assert_eq!((asked("/control?var=aec"), asked("/day"), asked("/status?var=a&val=b")), (None, None, None));
        let status = r#"{"framesize":8,"quality":10,"aec_value":204,"name":"attic"}"#;
        assert_eq!((setting(status, "aec_value"), setting(status, "name")), (Some("204".into()), Some("attic".into())));
        assert_eq!((setting(status, "gain"), setting("<html>", "gain")), (None, None));
    }
}
