//! The head of a response, read as tolerantly as it can be understood: any version or none, lines that end with LF only, blank lines
//! before it, folded lines, a status without a reason, a body that begins without any head.

use crate::cause::NoStream;

/// The most a head may have. CameraWebServer's has 200 bytes.
pub const MAX_HEAD: usize = 16 << 10;

/// What is said of a response in a message.
const MAX_TOLD: usize = 100;

/// What a head says of its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// How the body is wrapped.
    pub coding: Coding,
    /// What it claims to be.
    pub content: Content,
}

/// How a body is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Transfer-Encoding: chunked.
    Chunked,
    /// Content-Length, or none: it goes on to the end of the connection.
    Plain(Option<u64>),
}

/// What a body claims to be. The claim decides only what is said when no pictures come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// multipart/..., whatever follows.
    Multipart,
    /// Some firmware says text/plain, or nothing, and streams.
    Other(String),
    /// There was no head.
    Bare,
}

/// The head at the beginning of `bytes`, and how many bytes it takes; `None`: more are needed.
pub fn take(bytes: &[u8]) -> Result<Option<(Response, usize)>, NoStream> {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    match begins(&bytes[blank..]) {
        Some(Beginning::Body) => {
            return Ok(Some((Response { coding: Coding::Plain(None), content: Content::Bare }, blank)));
        }
        Some(Beginning::Head) => {}
        Some(Beginning::Neither) => return Err(NoStream::NotHttp),
        None if bytes.len() > MAX_HEAD => return Err(NoStream::NotHttp),
        None => return Ok(None),
    }
    let Some(end) = end_of(&bytes[blank..]) else {
        return if bytes.len() > MAX_HEAD { Err(NoStream::EndlessHeaders) } else { Ok(None) };
    };
    if blank + end > MAX_HEAD {
        return Err(NoStream::EndlessHeaders);
    }
    let head = Fields::read(&bytes[blank..blank + end]);
    if (100..200).contains(&head.status) {
        return Ok(take(&bytes[blank + end..])?.map(|(response, used)| (response, blank + end + used)));
    }
    Ok(Some((head.response()?, blank + end)))
}

enum Beginning {
    Head,
    Body,
    Neither,
}

/// `None`: more bytes are needed to tell.
fn begins(bytes: &[u8]) -> Option<Beginning> {
    let may_be = |start: &[u8]| bytes.iter().zip(start).all(|(byte, wanted)| byte.to_ascii_lowercase() == *wanted);
    let mut more = false;
    for (start, beginning) in [
        (&b"http/"[..], Beginning::Head),
        (b"icy ", Beginning::Head),
        (b"--", Beginning::Body),
        (b"content-", Beginning::Body),
        (b"\xff\xd8", Beginning::Body),
    ] {
        match may_be(start) {
            true if bytes.len() >= start.len() => return Some(beginning),
            true => more = true,
            false => {}
        }
    }
    (!more).then_some(Beginning::Neither)
}

/// Where the blank line ends.
fn end_of(bytes: &[u8]) -> Option<usize> {
    let mut line = 0;
    for at in memchr::memchr_iter(b'\n', bytes) {
        if matches!(&bytes[line..at], [] | [b'\r']) {
            return Some(at + 1);
        }
        line = at + 1;
    }
    None
}

#[derive(Debug, Default)]
struct Fields {
    status: u16,
    kind: String,
    location: String,
    length: Option<u64>,
    chunked: bool,
}

impl Fields {
    fn read(head: &[u8]) -> Self {
        let text = String::from_utf8_lossy(head).replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", " ");
        let mut lines = text.lines();
        let status = lines.next().and_then(|line| line.split_whitespace().nth(1)).and_then(|word| word.parse().ok());
        let mut fields = Self { status: status.unwrap_or_default(), ..Self::default() };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "content-type" => fields.kind = printable(value),
                "location" => fields.location = printable(value),
                "content-length" => fields.length = value.parse().ok(),
                "transfer-encoding" => fields.chunked |= value.to_ascii_lowercase().contains("chunked"),
                _ => {}
            }
        }
        fields
    }

    fn response(self) -> Result<Response, NoStream> {
        match self.status {
            200..=299 => {}
            status @ (401 | 403) => return Err(NoStream::Password(status)),
            status @ (404 | 410) => return Err(NoStream::NotFound(status)),
            status @ 300..=399 => return Err(NoStream::Elsewhere { status, to: self.location }),
            0 => return Err(NoStream::NotHttp),
            status => return Err(NoStream::Status(status)),
        }
        let kind = self.kind.to_ascii_lowercase();
        let content = match kind.split(['/', ';']).next().unwrap_or_default() {
            "multipart" => Content::Multipart,
            "image" => return Err(NoStream::Snapshot),
            "text" if kind.starts_with("text/html") => return Err(NoStream::Page),
            _ => Content::Other(if self.kind.is_empty() { "nothing".to_owned() } else { self.kind }),
        };
        Ok(Response { coding: if self.chunked { Coding::Chunked } else { Coding::Plain(self.length) }, content })
    }
}

/// For a message: short, and without anything that a terminal obeys.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(MAX_TOLD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(head: &[u8]) -> Result<Response, NoStream> {
        let (response, used) = take(head)?.unwrap();
        assert_eq!(used, head.len());
        for cut in 0..used {
            assert_eq!(take(&head[..cut]), Ok(None), "{cut}");
        }
        Ok(response)
    }

    const MULTIPART: Content = Content::Multipart;

    #[test]
    fn heads_of_all_kinds() {
        let plain = Response { coding: Coding::Plain(None), content: MULTIPART };
        for head in [
            "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\r\n",
            "HTTP/1.0 200\nCONTENT-TYPE:multipart/x-mixed-replace\n\n",
            "\r\nHTTP/1.1  200 OK\r\nContent-Type: \r\n multipart/mixed\r\n\r\n",
            "ICY 200 OK\r\ncontent-type : Multipart/x-mixed-replace\r\n\r\n",
            "http/2 200 \r\nContent-Type: multipart/x-mixed-replace\r\n\n",
        ] {
            assert_eq!(response(head.as_bytes()).unwrap(), plain, "{head:?}");
        }
        let chunked = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: multipart/mixed\r\nTransfer-Encoding: Chunked\r\n\r\n";
        assert_eq!(take(chunked).unwrap().unwrap().0, Response { coding: Coding::Chunked, content: MULTIPART });
        let length = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n";
        assert_eq!(
            response(length).unwrap(),
            Response { coding: Coding::Plain(Some(7)), content: Content::Other("nothing".to_owned()) }
        );
    }

    #[test]
    fn no_head_at_all() {
        for body in [&b"--b\r\n"[..], b"\xff\xd8\xff", b"Content-Type: image/jpeg\r\n"] {
            assert_eq!(take(body).unwrap().unwrap().0.content, Content::Bare);
        }
        assert_eq!(take(b"SSH-2.0-OpenSSH"), Err(NoStream::NotHttp));
        assert_eq!(take(b"HTTP/1.1 OK\r\n\r\n"), Err(NoStream::NotHttp));
    }

    #[test]
    fn answers_without_a_stream() {
        let why = |head: &str| take(head.as_bytes()).unwrap_err();
        assert_eq!(why("HTTP/1.1 401 Unauthorized\r\n\r\n"), NoStream::Password(401));
        assert_eq!(why("HTTP/1.1 404 Not Found\r\n\r\n"), NoStream::NotFound(404));
        assert_eq!(why("HTTP/1.1 500 Oh\r\n\r\n"), NoStream::Status(500));
        let to = |to: &str| NoStream::Elsewhere { status: 302, to: to.to_owned() };
        assert_eq!(why("HTTP/1.1 302 Found\r\nLocation: http://cam/\x1b[2Jlogin\r\n\r\n"), to("http://cam/[2Jlogin"));
        assert_eq!(why("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"), NoStream::Page);
        assert_eq!(why("HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n"), NoStream::Snapshot);
    }

    #[test]
    fn heads_are_bounded() {
        let endless = [&b"HTTP/1.1 200 OK\r\n"[..], &b"X-Nonsense: 1\r\n".repeat(MAX_HEAD)].concat();
        assert_eq!(take(&endless[..MAX_HEAD]), Ok(None));
        assert_eq!(take(&endless), Err(NoStream::EndlessHeaders));
        assert_eq!(take(&[&endless[..], b"\r\n"].concat()), Err(NoStream::EndlessHeaders));
        assert_eq!(take(&vec![b'\n'; MAX_HEAD + 1]), Err(NoStream::NotHttp));
    }
}
