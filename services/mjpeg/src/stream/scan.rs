//! Where a JPEG ends, by its own structure: marker segments are jumped over, so that the end of a thumbnail in one is not taken for the end of
//! the picture, and picture data are searched. It is looked at as far as it has come, and goes on where it stopped.

/// A picture has about ten segments, a progressive one thirty; this bounds the work that a hostile one can make.
const MAX_SEGMENTS: u8 = 64;

/// How far a picture has been looked at; its SOI is at 0.
#[derive(Debug)]
pub struct Scan {
    at: usize,
    in_data: bool,
    segments: u8,
    /// Components of the frame.
    components: u8,
    /// More than one scan: segments come between them.
    many: bool,
}

/// What was found. Positions are from the SOI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing yet.
    More,
    /// EOI, which ends here. Looking on continues behind it.
    End(usize),
    /// Another picture begins here.
    Start(usize),
    /// No header of a JPEG.
    Broken,
}

impl Default for Scan {
    fn default() -> Self {
        Self { at: 2, in_data: false, segments: 0, components: 0, many: false }
    }
}

impl Scan {
    /// Whether the data have been reached; before that, what looks like a header may be chance.
    pub fn in_data(&self) -> bool {
        self.in_data
    }

    /// Looks on in `bytes`, the picture as far as it has come.
    pub fn go_on(&mut self, bytes: &[u8]) -> Found {
        loop {
            let Some(marker) = self.next_marker(bytes) else { return Found::More };
            let Some(marker) = marker else { return Found::Broken };
            match marker {
                0x01 | 0xd0..=0xd7 => self.at += 2,
                0xd8 if !self.in_data => return Found::Start(self.at),
                // A start is believed with the marker after it.
                0xd8 => match bytes.get(self.at + 2..self.at + 4) {
                    None => return Found::More,
                    Some([0xff, 0xc0..=0xfe]) => return Found::Start(self.at),
                    Some(_) => self.at += 2,
                },
                0xd9 => {
                    (self.at, self.in_data) = (self.at + 2, true);
                    return Found::End(self.at);
                }
                _ if self.in_data && !(self.many && is_between_scans(marker)) => self.at += 2,
                marker => match self.segment(bytes, marker) {
                    Some(true) => {}
                    Some(false) => return Found::Broken,
                    None => return Found::More,
                },
            }
        }
    }

    /// The marker at `at`, after `at` was moved there. `Some(None)`: there is none where one must be.
    fn next_marker(&mut self, bytes: &[u8]) -> Option<Option<u8>> {
        loop {
            if self.in_data {
                let rest = bytes.get(self.at..)?;
                self.at += memchr::memchr(0xff, rest).unwrap_or(rest.len());
            }
            match (*bytes.get(self.at)?, *bytes.get(self.at + 1)?) {
                (0xff, 0xff) => self.at += 1,
                (0xff, 0) if self.in_data => self.at += 2,
                (0xff, marker) if marker != 0 => return Some(Some(marker)),
                _ => return Some(None),
            }
        }
    }

    /// Jumps over a segment; `None`: more of it must be seen first.
    fn segment(&mut self, bytes: &[u8], marker: u8) -> Option<bool> {
        let body = bytes.get(self.at + 2..)?;
        let length = usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
        self.segments += 1;
        if length < 2 || self.segments > MAX_SEGMENTS {
            return Some(false);
        }
        match marker {
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                self.components = *body.get(7)?;
                self.many |= matches!(marker, 0xc2 | 0xc6 | 0xca | 0xce);
            }
            0xda => {
                self.many |= *body.get(2)? < self.components;
                self.in_data = true;
            }
            _ => self.in_data = false,
        }
        self.at += 2 + length;
        Some(true)
    }
}

/// DHT, SOS, DQT, DNL, DRI, APPn, COM.
fn is_between_scans(marker: u8) -> bool {
    matches!(marker, 0xc4 | 0xda..=0xdd | 0xe0..=0xef | 0xfe)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOF: &[u8] = b"\xff\xc0\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00";
    const SOS: &[u8] = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00";

    /// Found in all of it, and found when it comes byte by byte, which must be the same.
    fn scan(parts: &[&[u8]]) -> (Found, Scan) {
        let bytes = parts.concat();
        let mut whole = Scan::default();
        let found = whole.go_on(&bytes);
        let mut scan = Scan::default();
        let slow = (0..=bytes.len()).map(|end| scan.go_on(&bytes[..end])).find(|found| *found != Found::More);
        assert_eq!(slow.unwrap_or(Found::More), found);
        (found, whole)
    }

    #[test]
    fn an_end() {
        assert_eq!(scan(&[b"\xff\xd8", SOF, SOS, b"ab\xff\x00c\xff\xd3d\xff\xff\xd9"]).0, Found::End(2 + 13 + 10 + 11));
        assert_eq!(scan(&[b"\xff\xd8", SOF, SOS, b"ab\xff\x00c\xff"]).0, Found::More);
    }

    #[test]
    fn a_thumbnail_is_no_end() {
        let (found, mut scan) = scan(&[b"\xff\xd8\xff\xe1\x00\x08\xff\xd8\xff\xd9zz", SOF, SOS, b"a\xff\xd9"]);
        assert_eq!(found, Found::End(2 + 10 + 13 + 10 + 3));
        assert!(scan.in_data());
        assert_eq!(scan.go_on(&[0; 100]), Found::More);
    }

    #[test]
    fn the_next_start() {
        assert_eq!(scan(&[b"\xff\xd8", SOF, SOS, b"a\xff\xd8bc\xff\xd8\xff\xe0"]).0, Found::Start(2 + 13 + 10 + 5));
        assert_eq!(scan(&[b"\xff\xd8\xff\xd8"]).0, Found::Start(2));
    }

    #[test]
    fn several_scans() {
        let progressive = [&SOF[..1], b"\xc2", &SOF[2..]].concat();
        let dht = b"\xff\xc4\x00\x04\xff\xd9";
        assert_eq!(
            scan(&[b"\xff\xd8", &progressive, SOS, b"a", dht, SOS, b"b\xff\xd9"]).0,
            Found::End(2 + 13 + 10 + 1 + 6 + 10 + 3)
        );
        assert_eq!(scan(&[b"\xff\xd8", SOF, SOS, b"a", dht]).0, Found::End(2 + 13 + 10 + 1 + 6));
    }

    #[test]
    fn no_header() {
        for bytes in [&b"\xff\xd8\xff\x00"[..], b"\xff\xd8\xff\xe0\x00\x02ab", b"\xff\xd8\xff\xe0\x00\x01"] {
            assert_eq!(scan(&[bytes]).0, Found::Broken);
        }
        assert_eq!(scan(&[b"\xff\xd8", &b"\xff\xe0\x00\x02".repeat(65)]).0, Found::Broken);
    }
}
