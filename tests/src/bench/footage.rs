//! Recordings and their way to a storage: `camera` and `upload` beside what people do with gst-launch-1.0 and awscli in
//! two shell scripts a camera. Both sides work at the same time, with the same settings, on the same pictures or the
//! same segments, so that whatever else the machine does falls on both.
//!
//! | module | what it does |
//! |---|---|
//! | `cameras`, `uploads` | the two measurements |
//! | `reel`, `projector` | pictures, and a camera that shows them |
//! | `ours`, `theirs` | how the programs are started |
//! | `storage` | a real S3 server with a bucket for each side |
//! | `usage` | what a side takes while time passes |

mod cameras;
mod ours;
mod projector;
mod reel;
mod storage;
mod theirs;
mod uploads;
mod usage;

pub use cameras::measure as cameras;
pub use uploads::measure as uploads;

use std::io;
use std::path::{Path, PathBuf};

/// The buckets, and the names of the sides.
const OURS: &str = "ours";
const THEIRS: &str = "theirs";

/// KiB a second that each camera has.
const RATE: u32 = 300;

/// What GStreamer knows of its plugins, beside all folders of this run: who comes first finds it out, before anything is
/// measured.
fn registry(folder: &Path) -> PathBuf {
    folder.with_file_name("gstreamer.registry")
}

/// A side that is not installed is named and left out.
fn unless_missing<T>(started: io::Result<T>) -> io::Result<Option<T>> {
    match started {
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            println!("  not measured: {why}");
            Ok(None)
        }
        started => started.map(Some),
    }
}
