//! A small picture of each segment, and one sheet with all of them, made by ffmpeg.

use crate::stage::Stage;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use tests::world::stored::Stored;

/// Pictures beside each other on the sheet.
const ACROSS: usize = 6;

/// JPEGs by key.
pub type Thumbnails = BTreeMap<String, Vec<u8>>;

/// Makes them, and leaves `recorded.png` in the folder.
pub fn leave(stage: &Stage, stored: &[Stored], folder: &Path) -> Thumbnails {
    let thumbnail = |stored: &Stored| (stored.key.clone(), first_picture(&stage.s3.bucket().join(&stored.key)));
    let thumbnails: Thumbnails = stored.iter().map(thumbnail).collect();
    let together = stage.world().path("thumbnails.mjpeg");
    fs::write(&together, thumbnails.values().flatten().copied().collect::<Vec<u8>>())
        .expect("the scratch directory can be written");
    let tile = format!("tile={ACROSS}x{}:padding=4:margin=4", thumbnails.len().div_ceil(ACROSS).max(1));
    let sheet = folder.join("recorded.png").display().to_string();
    ffmpeg(&[
        "-f",
        "mjpeg",
        "-i",
        &together.display().to_string(),
        "-vf",
        &tile,
        "-frames:v",
        "1",
        "-update",
        "1",
        "-y",
        &sheet,
    ]);
    thumbnails
}

/// The first picture of a segment, as a JPEG; empty if there is none.
fn first_picture(segment: &Path) -> Vec<u8> {
    let segment = segment.display().to_string();
    ffmpeg(&["-i", &segment, "-frames:v", "1", "-vf", "scale=160:120", "-c:v", "mjpeg", "-f", "image2pipe", "-"])
}

fn ffmpeg(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("ffmpeg").args(["-v", "error", "-nostdin"]).args(arguments).output();
    let output = output.unwrap_or_else(|why| panic!("ffmpeg: {why}; install it"));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
