//! `pistop cam getdur|setdur`: how long segments are. The recorder takes a new length over while it records, so no picture is lost.

use super::Cameras;
use super::drive::until;
use crate::words::{out, say};
use clap::Args;
use runner::envfile;
use runner::exit::Failure;
use segments::places::{SEGMENT_RANGE, SEGMENT_SEC};
use segments::{Status, status};
use std::time::Duration;
use tokio::time::Instant;

/// The flags of `setdur`.
#[derive(Debug, Clone, Args)]
pub struct SetFlags {
    /// The camera, or all
    pub name: String,
    /// How long a recording is to be
    #[arg(value_parser = length)]
    pub seconds: f64,
    /// Seconds to wait until it is so
    #[arg(long, value_name = "S", value_parser = crate::config::seconds, default_value = "30")]
    pub deadline: Duration,
}

/// A length on a command line.
fn length(text: &str) -> Result<f64, String> {
    let (least, most) = (SEGMENT_RANGE.start(), SEGMENT_RANGE.end());
    let number = text.parse().ok().filter(|number| SEGMENT_RANGE.contains(number));
    number.ok_or_else(|| format!("give seconds from {least} to {most}, as in 20"))
}

/// Prints the number alone, for scripts, and beside it what is in force.
///
/// # Errors
/// The settings cannot be used.
pub fn get(cameras: &Cameras, word: &str) -> Result<(), Failure> {
    let name = cameras.one(word)?;
    let told = cameras.told(&name)?.segment_sec;
    out(&format!("{told}\n"))?;
    let force = match cameras.status()?.as_ref().and_then(|status| status.camera(&name)) {
        Some(camera) => format!("{} s are in force", camera.segment_sec),
        None => "no recorder runs".into(),
    };
    eprintln!("{name}: {told} s by its settings; {force}");
    Ok(())
}

/// Sets it, and waits until it is in force.
///
/// # Errors
/// It cannot be written, or the recorder does not take it over.
pub async fn set(cameras: &Cameras, flags: &SetFlags) -> Result<(), Failure> {
    let names = cameras.meant(std::slice::from_ref(&flags.name))?;
    for name in &names {
        let file = cameras.places.defaults(name);
        envfile::set(&file, &SEGMENT_SEC.variable(), &flags.seconds.to_string())?;
        say(&format!("Updated {} -> {}={}", file.display(), SEGMENT_SEC.variable(), flags.seconds));
    }
    if cameras.status()?.is_none() {
        say("no recorder runs; it counts when one does");
        return Ok(());
    }
    let so = |camera: Option<&status::Camera>| camera.is_none_or(|camera| camera.segment_sec == flags.seconds);
    let all = |status: &Status| names.iter().all(|name| so(status.camera(name)));
    until(cameras, Instant::now() + flags.deadline, all).await?;
    names.iter().for_each(|name| say(&format!("{name}: segments of {} s from now on", flags.seconds)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_out_of_range_is_refused_with_the_range() {
        assert_eq!(
            (length("20"), length("2.5"), length("1"), length("3600")),
            (Ok(20.0), Ok(2.5), Ok(1.0), Ok(3600.0))
        );
        for text in ["0", "3601", "-20", "20s", "", "NaN", "inf"] {
            assert!(length(text).unwrap_err().contains("from 1 to 3600"), "{text}");
        }
    }
}
