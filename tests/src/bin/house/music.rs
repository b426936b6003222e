//! Something to play: a tone, as a WAV file of the plainest kind, long enough that nobody reaches its end.

use std::f64::consts::TAU;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Samples a second.
const RATE: u32 = 44_100;

/// Writes a tone of this pitch; one channel, 16 bit.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, pitch: f64, seconds: u32) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&header(RATE * seconds * 2))?;
    for sample in 0..RATE * seconds {
        let height = (f64::from(sample) * pitch * TAU / f64::from(RATE)).sin() * 8_000.0;
        file.write_all(&(height as i16).to_le_bytes())?;
    }
    file.flush()
}

/// RIFF header, format chunk, and the beginning of the data chunk.
fn header(bytes: u32) -> Vec<u8> {
    let mut header = b"RIFF".to_vec();
    header.extend((36 + bytes).to_le_bytes());
    header.extend(b"WAVEfmt ");
    header.extend(16_u32.to_le_bytes());
    // Plain samples, one channel.
    header.extend([1, 0, 1, 0]);
    header.extend(RATE.to_le_bytes());
    header.extend((RATE * 2).to_le_bytes());
    // Two bytes a sample of sixteen bits.
    header.extend([2, 0, 16, 0]);
    header.extend(b"data");
    header.extend(bytes.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_the_length_of_what_follows() {
        let file = tempfile::NamedTempFile::new().expect("a scratch file");
        write(file.path(), 440.0, 1).expect("it can be written");
        let bytes = std::fs::read(file.path()).expect("it is there");
        assert_eq!(bytes.len(), 44 + 2 * RATE as usize);
        assert_eq!(bytes[40..44], (2 * RATE).to_le_bytes());
        assert_eq!(bytes[4..8], (36 + 2 * RATE).to_le_bytes());
    }
}
