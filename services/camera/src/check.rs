//! `camera check`: what would be recorded and how, and everything that stands in its way, each with its remedy. Nothing is changed.

use crate::config::{self, Config, Options};
use crate::pipeline::{self, encoder};
use runner::exit::Failure;
use std::io::Write;

/// Says it on standard output.
///
/// # Errors
/// Something stands in the way.
pub fn run(options: &Options) -> Result<(), Failure> {
    let config = Config::load(options)?;
    pipeline::init()?;
    let (_, why) = encoder::choose(config.encoder);
    let mut lines = vec![why, format!("recordings are kept in {}", config.ram_dir.display())];
    for camera in &config.cameras {
        let recording = &camera.recording;
        lines.push(format!(
            "{}: {} at {} pictures a second at most and {} kbit/s, in segments of {} s{}",
            camera.name,
            camera.url,
            recording.fps,
            recording.bitrate,
            recording.segment.as_secs_f64(),
            if recording.on { "" } else { ", but RECORD or its switch says no" }
        ));
    }
    lines.extend(config::shared_streams(&config.cameras));
    lines.extend(config.unusable.iter().map(|(name, bad)| format!("{name}: is not recorded: {bad}")));
    // With standard output closed there is nobody to tell.
    let _ = writeln!(std::io::stdout(), "{}", lines.join("\n"));
    match config.unusable.len() {
        0 => Ok(()),
        count => Err(Failure::Permanent(format!("{count} cameras are not recorded; see above"))),
    }
}
