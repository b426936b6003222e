//! What must hold for any bytes from a camera: one function for each fuzz target of the same name. A test of `mjpeg` replays the seeds.

#![allow(dead_code, reason = "each fuzz target uses its own check")]

use mjpeg::cause::NoStream;
use mjpeg::jpeg::Eye;
use mjpeg::stream::head::MAX_HEAD;
use mjpeg::stream::{Piece, Stream};
use mjpeg::{Config, Flaw};
use std::time::{Duration, Instant};

/// Small, so that small inputs reach it.
pub const CAP: usize = 1500;

/// The first byte says how the rest is cut into reads; it changes nothing.
pub fn mjpeg_stream(bytes: &[u8]) {
    let Some((&cut, stream)) = bytes.split_first() else { return };
    assert_eq!(read(stream, usize::from(cut) + 1), read(stream, stream.len().max(1)));
}

/// All that comes out of a response, and how it ends.
pub fn read(bytes: &[u8], cut: usize) -> (Vec<Piece>, Result<Option<Flaw>, NoStream>) {
    let (mut stream, mut pieces) = (Stream::new(CAP), Vec::new());
    for read in bytes.chunks(cut) {
        if let Err(why) = stream.receive(read, |piece| pieces.push(piece)) {
            return (pieces, Err(why));
        }
        assert!(stream.held() <= CAP.max(MAX_HEAD + read.len()), "{} bytes held", stream.held());
    }
    for piece in &pieces {
        let Piece::Picture { jpeg, .. } = piece else { continue };
        assert!(jpeg.len() <= CAP && jpeg.starts_with(b"\xff\xd8") && jpeg.ends_with(b"\xff\xd9"));
    }
    let end = stream.finish();
    (pieces, Ok(end))
}

/// A picture of anything is looked at twice, since the second look compares.
pub fn mjpeg_picture(bytes: &[u8]) {
    let mut eye = Eye::new(&Config { looks: 100.0, ..Config::new("http://camera/".parse().expect("an address")) });
    let now = Instant::now();
    for second in 0..3 {
        if let Ok((size, look)) = eye.see(bytes, now + Duration::from_secs(second)) {
            assert!(size.width > 0 && size.height > 0);
            assert!(look.motion_percent.is_none_or(|percent| (0.0..=100.0).contains(&percent)));
        }
    }
}
