//! `http://[user:password@]host[:port][/path][?query]`, and nothing else: cameras of this kind speak plain HTTP.

use std::fmt::{self, Debug, Display, Formatter};
use std::str::FromStr;
use thiserror::Error;

/// Longer ones are a mistake.
const MAX_LENGTH: usize = 2048;

/// The address of a stream. Its `Debug` and `Display` leave the password out.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    host: String,
    port: u16,
    path: String,
    /// `user:password`, as basic authentication sends it.
    login: Option<String>,
}

/// Why a text is no address of a camera.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BadUrl {
    /// Anything but `http://`.
    #[error(
        "{0:?} does not begin with http://; write the address of the camera's stream, such as http://192.168.1.33/stream"
    )]
    Scheme(String),
    /// TLS.
    #[error("https is not spoken with cameras; write http:// if the camera has it, or put a proxy before it")]
    Https,
    /// No host, or one with odd letters.
    #[error("{0:?} is no host name or address; write http://HOST/PATH")]
    Host(String),
    /// Not 1..=65535.
    #[error("{0:?} is no port; write a number from 1 to 65535")]
    Port(String),
    /// Spaces, control characters, letters beyond ASCII.
    #[error("the address holds a character that no address may hold; write it as %XX")]
    Character,
    /// More than 2048 bytes.
    #[error("the address has more than 2048 characters")]
    TooLong,
}

impl FromStr for Url {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        if text.len() > MAX_LENGTH {
            return Err(BadUrl::TooLong);
        }
        let scheme = text.get(..8).unwrap_or(text).to_ascii_lowercase();
        if scheme.starts_with("https://") {
            return Err(BadUrl::Https);
        }
        if !scheme.starts_with("http://") {
            return Err(BadUrl::Scheme(without_login(text)));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadUrl::Character);
        }
        let rest = text[7..].split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(unescape(login)), place),
            None => (None, authority),
        };
        let (host, port) = host_and_port(place)?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { host: host.to_owned(), port, path, login })
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`; the host without brackets.
fn host_and_port(place: &str) -> Result<(&str, u16), BadUrl> {
    let bad = || BadUrl::Host(place.to_owned());
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or_else(bad)?;
            (host, after.strip_prefix(':').or(after.is_empty().then_some("80")).ok_or_else(bad)?)
        }
        None => place.split_once(':').unwrap_or((place, "80")),
    };
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:%".contains(&byte);
    if host.is_empty() || !host.bytes().all(letter) {
        return Err(bad());
    }
    match port.parse() {
        Ok(port) if port != 0 => Ok((host, port)),
        _ => Err(BadUrl::Port(port.to_owned())),
    }
}

/// `%XX` as a byte; a name or password may hold an `@`.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%')
            .then(|| after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()))
            .flatten();
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// For an error: a password is nobody's business.
fn without_login(text: &str) -> String {
    text.rsplit('@').next().unwrap_or_default().chars().take(100).collect()
}

impl Url {
    /// A name or an address, without the brackets of IPv6.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// 80 unless the address says another.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// With its query; `/` at least.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Another page of the same server.
    pub fn beside(&self, path: &str) -> Url {
        Url { path: path.to_owned(), ..self.clone() }
    }

    /// The bytes that ask for the stream. `close`, since the response ends with the connection anyway; `identity`, since nobody zips JPEGs.
    pub fn request(&self) -> Vec<u8> {
        let login = self.login.as_ref().map_or(String::new(), |login| {
            format!("Authorization: Basic {}\r\n", data_encoding::BASE64.encode(login.as_bytes()))
        });
        format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: pistop-camera\r\nAccept: multipart/x-mixed-replace, image/jpeg, */*\r\n\
             Accept-Encoding: identity\r\n{login}Connection: close\r\n\r\n",
            self.path,
            self.place(),
        )
        .into_bytes()
    }

    fn place(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 80 { host } else { format!("{host}:{}", self.port) }
    }
}

impl Display for Url {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.place(), self.path)
    }
}

impl Debug for Url {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_in_all_their_forms() {
        assert_eq!(url("http://192.168.1.33/stream").to_string(), "http://192.168.1.33/stream");
        assert_eq!(url("HTTP://cam:81").to_string(), "http://cam:81/");
        assert_eq!(url("http://cam?x=1#there").to_string(), "http://cam/?x=1");
        assert_eq!(
            (url("http://[fe80::1%eth0]:8080/s").host(), url("http://[::1]:8080/s").port()),
            ("fe80::1%eth0", 8080)
        );
        assert_eq!(url("http://[::1]/s").to_string(), "http://[::1]/s");
    }

    #[test]
    fn a_password_is_sent_and_not_shown() {
        let url = url("http://me:p%40ss@w@cam/s");
        assert_eq!((format!("{url:?}").as_str(), url.host()), ("http://cam/s", "cam"));
        let request = String::from_utf8(url.request()).unwrap();
        assert!(request.contains(&format!("Authorization: Basic {}\r\n", data_encoding::BASE64.encode(b"me:p@ss@w"))));
        assert!(request.starts_with("GET /s HTTP/1.1\r\nHost: cam\r\n") && request.ends_with("\r\n\r\n"));
    }

    #[test]
    fn what_is_no_address_is_told_why() {
        let why = |text: &str| Url::from_str(text).unwrap_err();
        assert_eq!(why("rtsp://me:secret@cam/"), BadUrl::Scheme("cam/".to_owned()));
        assert_eq!(why("https://cam/"), BadUrl::Https);
        assert_eq!(why("http:///stream"), BadUrl::Host(String::new()));
        assert_eq!(why("http://cam:0/"), BadUrl::Port("0".to_owned()));
        assert_eq!(why("http://cam:99999/"), BadUrl::Port("99999".to_owned()));
        assert_eq!(why("http://[::1/"), BadUrl::Host("[::1".to_owned()));
        assert_eq!(why("http://cam/a b"), BadUrl::Character);
        assert_eq!(why("http://cam/\r\nHost: evil"), BadUrl::Character);
        assert_eq!(why(&format!("http://cam/{}", "a".repeat(2048))), BadUrl::TooLong);
        assert!(Url::from_str("ä").is_err());
    }
}
