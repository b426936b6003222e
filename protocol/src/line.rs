//! The line dialect: what old pistop peers say, and the one line by which two new peers recognise each other.
//!
//! A line ends with `\n`; a `\r` before it is dropped. It holds at most [`MAX_LINE`] bytes, and bytes may arrive
//! split or glued at will: only whole lines mean anything. (Old servers test prefixes of whatever one read gave
//! them, which is why a split verb was lost and `xuit` + `q` could quit.)

use crate::name::{BadName, Epoch, HostName, printable};

/// The longest line without its end: an old server reads 256 bytes at a time and takes each block for a command.
pub const MAX_LINE: usize = 255;

/// The word that opens the new dialect, in both directions.
pub const DIALECT: &str = "pistop/";

/// The version of the frame dialect that this code speaks.
pub const VERSION: u16 = 2;

/// A line that never ended: more than [`MAX_LINE`] bytes without `\n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// Takes the first whole line off `bytes`: the line without its end, and how many bytes it used up.
/// `Ok(None)` means that more bytes are needed.
pub fn take(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, TooLong> {
    let window = &bytes[..bytes.len().min(MAX_LINE + 2)];
    match window.iter().position(|&b| b == b'\n') {
        Some(end) => {
            let line = window[..end].strip_suffix(b"\r").unwrap_or(&window[..end]);
            if line.len() > MAX_LINE { Err(TooLong) } else { Ok(Some((line, end + 1))) }
        }
        None if bytes.len() > MAX_LINE + 1 || (bytes.len() == MAX_LINE + 1 && !bytes.ends_with(b"\r")) => Err(TooLong),
        None => Ok(None),
    }
}

/// What a client may say in lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientLine {
    /// An old client has finished its start hook and waits.
    Wait,
    /// A new client asks for frames.
    Hello(HostName),
    /// A new client whose name is none.
    BadHello(BadName),
    /// Asks the server to power off; obeyed only for those whose role allows it.
    Shutdown,
    /// Leaves without a word.
    Quit,
    /// Anything else, for the log; made printable.
    Text(String),
}

impl ClientLine {
    /// Reads one line without its end.
    pub fn parse(line: &[u8]) -> Self {
        match line {
            b"wait" => ClientLine::Wait,
            b"shutdown" => ClientLine::Shutdown,
            b"quit" => ClientLine::Quit,
            _ => match hello_name(line) {
                Some(Ok(name)) => ClientLine::Hello(name),
                Some(Err(why)) => ClientLine::BadHello(why),
                None => ClientLine::Text(printable(line)),
            },
        }
    }

    /// The bytes of this line, with its end.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            ClientLine::Wait => b"wait\n".to_vec(),
            ClientLine::Hello(name) => format!("wait {DIALECT}{VERSION} {name}\n").into_bytes(),
            ClientLine::BadHello(_) => Vec::new(),
            ClientLine::Shutdown => b"shutdown\n".to_vec(),
            ClientLine::Quit => b"quit\n".to_vec(),
            ClientLine::Text(text) => format!("{text}\n").into_bytes(),
        }
    }
}

/// `wait pistop/2 NAME`: the name, or why it is none. Any version from 2 on is answered with ours.
fn hello_name(line: &[u8]) -> Option<Result<HostName, BadName>> {
    let text = String::from_utf8_lossy(line.strip_prefix(b"wait pistop/")?);
    let (version, name) = text.split_once(' ').unwrap_or((&text, ""));
    version.parse::<u16>().ok().filter(|&v| v >= VERSION)?;
    Some(HostName::parse(name.trim()))
}

/// What a server may say in lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerLine {
    /// `Connection from <address>`: whom the server sees.
    Greeting(String),
    /// The server goes down.
    Shutdown,
    /// A new server takes up the offer of frames, which begin with the next byte.
    Hello {
        /// The server's own name.
        server: HostName,
        /// Which run of it this is.
        epoch: Epoch,
    },
    /// Anything else, for the log; made printable.
    Text(String),
}

impl ServerLine {
    /// Reads one line without its end.
    pub fn parse(line: &[u8]) -> Self {
        if line == b"shutdown" {
            return ServerLine::Shutdown;
        }
        let text = printable(line);
        if let Some(address) = text.strip_prefix("Connection from ") {
            return ServerLine::Greeting(address.to_owned());
        }
        server_hello(&text).unwrap_or(ServerLine::Text(text))
    }

    /// The bytes of this line, with its end.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            ServerLine::Greeting(address) => format!("Connection from {address}\n").into_bytes(),
            ServerLine::Shutdown => b"shutdown\n".to_vec(),
            ServerLine::Hello { server, epoch } => format!("{DIALECT}{VERSION} {server} {epoch}\n").into_bytes(),
            ServerLine::Text(text) => format!("{text}\n").into_bytes(),
        }
    }
}

fn server_hello(text: &str) -> Option<ServerLine> {
    let mut words = text.split(' ');
    let version = words.next()?.strip_prefix(DIALECT)?.parse::<u16>().ok()?;
    let server = HostName::parse(words.next()?).ok()?;
    let epoch = Epoch(words.next()?.parse().ok()?);
    (version == VERSION && words.next().is_none()).then_some(ServerLine::Hello { server, epoch })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_enough_is_not_wrong() {
        assert_eq!(take(b""), Ok(None));
        assert_eq!(take(b"wai"), Ok(None));
        assert_eq!(take(b"wait\nquit"), Ok(Some((&b"wait"[..], 5))));
        assert_eq!(take(b"wait\r\n"), Ok(Some((&b"wait"[..], 6))));
    }

    #[test]
    fn the_longest_line_has_255_bytes() {
        for end in ["\n", "\r\n"] {
            let fits = format!("{}{end}", "x".repeat(MAX_LINE));
            assert_eq!(take(fits.as_bytes()).unwrap().unwrap().0.len(), MAX_LINE);
            let long = format!("{}{end}", "x".repeat(MAX_LINE + 1));
            assert_eq!(take(long.as_bytes()), Err(TooLong));
        }
        assert_eq!(take(&[b'x'; MAX_LINE]), Ok(None));
        assert_eq!(take(&[b'x'; MAX_LINE + 1]), Err(TooLong));
    }

    /// Defect 6: the old server took any read that begins with a verb for the verb.
    #[test]
    fn defect_06_a_prefix_of_a_verb_is_text() {
        for text in ["quitXYZ", "shutdown now", "waiting", "xuit", "QUIT", " quit"] {
            assert_eq!(ClientLine::parse(text.as_bytes()), ClientLine::Text(text.into()));
        }
    }

    #[test]
    fn a_later_version_is_still_a_hello() {
        let kitchen = HostName::parse("kitchen").unwrap();
        assert_eq!(ClientLine::parse(b"wait pistop/2 kitchen"), ClientLine::Hello(kitchen.clone()));
        assert_eq!(ClientLine::parse(b"wait pistop/9 kitchen"), ClientLine::Hello(kitchen));
        assert_eq!(ClientLine::parse(b"wait pistop/2 "), ClientLine::BadHello(BadName::Empty));
        assert_eq!(ClientLine::parse(b"wait pistop/1 kitchen"), ClientLine::Text("wait pistop/1 kitchen".into()));
    }
}
