//! Takes a body out of its wrapping. A chunk of length zero ends a response, says HTTP; an ESP32 that sends an empty picture means nothing
//! by it and goes on. So nothing but the end of the connection is an end here, and a wrapping that makes no sense is taken for none.

use super::head::Coding;

/// The longest line of a chunk's size, extensions and trailers included.
const MAX_LINE: usize = 256;

/// The state of the wrapping.
#[derive(Debug)]
pub struct Body {
    state: State,
    over: bool,
}

#[derive(Debug)]
enum State {
    /// The line of the next chunk's size, as far as it has come.
    Size(Vec<u8>),
    /// Bytes of the chunk still to come.
    Chunk(u64),
    /// Bytes of the body still to come, if it was said.
    Plain(Option<u64>),
}

impl Body {
    /// Before its first byte.
    pub fn new(coding: Coding) -> Self {
        let state = match coding {
            Coding::Chunked => State::Size(Vec::new()),
            Coding::Plain(length) => State::Plain(length),
        };
        Self { over: matches!(state, State::Plain(Some(0))), state }
    }

    /// The wrapping says that nothing more comes.
    pub fn maybe_over(&self) -> bool {
        self.over
    }

    /// Gives `out` what is in the wrapping.
    pub fn receive(&mut self, mut bytes: &[u8], mut out: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Plain(left) => {
                    if let Some(left) = left {
                        *left = left.saturating_sub(bytes.len() as u64);
                        self.over = *left == 0;
                    }
                    out(bytes);
                    return;
                }
                State::Chunk(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    out(&bytes[..here]);
                    *left -= here as u64;
                    if *left == 0 {
                        self.state = State::Size(Vec::new());
                    }
                    bytes = &bytes[here..];
                }
                State::Size(line) => {
                    let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1).min(MAX_LINE - line.len());
                    line.extend_from_slice(&bytes[..end]);
                    bytes = &bytes[end..];
                    if line.ends_with(b"\n") || line.len() == MAX_LINE {
                        let line = std::mem::take(line);
                        self.line(line, &mut out);
                    }
                }
            }
        }
    }

    fn line(&mut self, line: Vec<u8>, out: &mut impl FnMut(&[u8])) {
        match read(&line) {
            Line::Chunk(0) => self.over = true,
            Line::Chunk(length) => (self.over, self.state) = (false, State::Chunk(length)),
            Line::Blank => {}
            Line::Trailer if self.over => {}
            Line::Trailer | Line::Nonsense => {
                (self.over, self.state) = (false, State::Plain(None));
                out(&line);
            }
        }
    }
}

enum Line {
    Chunk(u64),
    Blank,
    Trailer,
    Nonsense,
}

fn read(line: &[u8]) -> Line {
    let Ok(text) = std::str::from_utf8(line) else { return Line::Nonsense };
    let text = text.trim();
    let size = text.split(';').next().unwrap_or_default().trim_end();
    match u64::from_str_radix(size, 16) {
        _ if text.is_empty() => Line::Blank,
        Ok(size) if line.ends_with(b"\n") => Line::Chunk(size),
        _ if text.contains(':') => Line::Trailer,
        _ => Line::Nonsense,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out, whole and byte by byte, which must be the same.
    fn unwrap(coding: Coding, bytes: &[u8]) -> (String, bool) {
        let run = |cut: usize| {
            let (mut body, mut out) = (Body::new(coding), Vec::new());
            bytes.chunks(cut).for_each(|bytes| body.receive(bytes, |bytes| out.extend_from_slice(bytes)));
            (String::from_utf8_lossy(&out).into_owned(), body.maybe_over())
        };
        let whole = run(bytes.len().max(1));
        assert_eq!(whole, run(1));
        whole
    }

    fn chunked(bytes: &[u8]) -> (String, bool) {
        unwrap(Coding::Chunked, bytes)
    }

    #[test]
    fn chunks() {
        assert_eq!(chunked(b"5\r\nhello\r\n1;x=y\r\n \r\nA\nabcdefghij"), ("hello abcdefghij".to_owned(), false));
        assert_eq!(chunked(b"0000005\r\nhe"), ("he".to_owned(), false));
    }

    #[test]
    fn a_zero_chunk_is_maybe_the_end() {
        assert_eq!(chunked(b"2\r\nab\r\n0\r\n\r\n"), ("ab".to_owned(), true));
        assert_eq!(chunked(b"2\r\nab\r\n0\r\nX-Trailer: 1\r\n\r\n2\r\ncd\r\n"), ("abcd".to_owned(), false));
    }

    #[test]
    fn nonsense_is_taken_for_no_wrapping() {
        assert_eq!(chunked(b"2\r\nabxy\r\nxyz\r\n"), ("abxy\r\nxyz\r\n".to_owned(), false));
        assert_eq!(chunked(b"fffffffffffffffff\r\nx"), ("fffffffffffffffff\r\nx".to_owned(), false));
        assert_eq!(chunked(&[b'1'; 300]).0.len(), 300);
    }

    #[test]
    fn plain_bodies_go_on_beyond_their_length() {
        assert_eq!(unwrap(Coding::Plain(None), b"abc"), ("abc".to_owned(), false));
        assert_eq!(unwrap(Coding::Plain(Some(4)), b"abc"), ("abc".to_owned(), false));
        assert_eq!(unwrap(Coding::Plain(Some(3)), b"abc"), ("abc".to_owned(), true));
        assert_eq!(unwrap(Coding::Plain(Some(2)), b"abc"), ("abc".to_owned(), true));
        assert!(Body::new(Coding::Plain(Some(0))).maybe_over());
    }
}
