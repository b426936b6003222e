//! Pictures in a row, as JPEGs of 640 by 480 with colours in 4:2:2, as from an OV2640; made before anything is
//! measured.

use crate::bench::ground::cleanup::Scratch;
use crate::bench::rivals::found;
use esp32::scene::Scene;
use std::fs;
use std::io;
use std::process::Command;
use std::sync::Arc;

/// Six seconds.
const PICTURES: u32 = 90;

/// Pictures that are shown again and again.
#[derive(Clone)]
pub(super) struct Reel {
    /// What it shows.
    pub(super) name: &'static str,
    /// Its pictures.
    pub(super) pictures: Arc<[Vec<u8>]>,
}

impl Reel {
    /// GStreamer's test card at quality 80: still bars, and a corner of snow.
    pub(super) fn card(scratch: &Scratch) -> io::Result<Reel> {
        let folder = scratch.fresh("card")?;
        let mut make = Command::new(found("gst-launch-1.0")?);
        make.args(["-q", "videotestsrc", &format!("num-buffers={PICTURES}"), "!"]);
        make.args(["video/x-raw,format=Y42B,width=640,height=480,framerate=15/1", "!", "jpegenc", "quality=80", "!"]);
        make.args(["multifilesink", &format!("location={}/%03d.jpg", folder.display())]);
        let made = make.env("GST_REGISTRY", super::registry(&folder)).output()?;
        let read = |number| fs::read(folder.join(format!("{number:03}.jpg")));
        let pictures = (0..PICTURES).map(read).collect::<io::Result<_>>();
        let why = |why| io::Error::other(format!("gst-launch-1.0: {why}: {}", String::from_utf8_lossy(&made.stderr)));
        Ok(Reel { name: "test card", pictures: pictures.map_err(why)? })
    }

    /// What the camera of our tests shows: noise all over, and something that goes round.
    pub(super) fn scene() -> Reel {
        let scene = Scene::new(640, 480, false);
        Reel { name: "noisy scene", pictures: (0..PICTURES).map(|number| scene.jpeg(number, false)).collect() }
    }

    /// Bytes of a picture.
    pub(super) fn mean(&self) -> usize {
        self.pictures.iter().map(Vec::len).sum::<usize>() / self.pictures.len()
    }
}
