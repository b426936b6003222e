//! `camera` and `upload`.

use super::storage::{Storage, write_key};
use super::{OURS, RATE, registry};
use crate::bench::ground::agents::{command, program};
use crate::bench::ground::started::Started;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use tests::b2::REGION;

/// Where recordings are, in the folder of this side.
pub(super) const RAM: &str = "ram";

/// One `camera` for all; the first one is called cam1. Pictures are looked at for motion as always, and no motion makes
/// a segment shorter.
pub(super) fn record(folder: &Path, urls: &[String]) -> io::Result<Started> {
    let (cameras, ram) = (folder.join("cameras"), folder.join(RAM));
    fs::create_dir_all(&cameras)?;
    let names: Vec<String> = (1..=urls.len()).map(|number| format!("cam{number}")).collect();
    for (name, url) in names.iter().zip(urls) {
        fs::write(cameras.join(name), format!("URL={url}\nMOTION_PERCENT=0\n"))?;
    }
    let mut command = command(&program("camera")?, &[("ENCODER", "x264"), ("PISTOP_LOG", "info")]);
    command.env("CAMERAS", names.join(" ")).env("CAMERA_DIR", cameras).env("DEFAULTS_DIR", folder.join("default"));
    command.env("RAM_DIR", ram).env("DOOR", folder.join("no-door")).env("CLOCK_DIR", "/nonexistent");
    command.env("GST_REGISTRY", registry(folder)).stderr(File::create(folder.join("camera.log"))?);
    Started::new(command)
}

/// One `upload` for two cameras.
pub(super) fn upload(folder: &Path, storage: &Storage) -> io::Result<Started> {
    let (ram, key) = (folder.join(RAM), folder.join("key"));
    fs::create_dir_all(&ram)?;
    write_key(&key)?;
    let mut command = command(&program("upload")?, &[("BUCKET", OURS), ("REGION", REGION), ("PATH_STYLE", "1")]);
    command.env("RAM_DIR", ram).env("CREDENTIALS", key).env("PROFILE", "b2").env("ENDPOINT", storage.endpoint());
    command.env("RATE", (2 * RATE).to_string()).env("DOOR", folder.join("no-door"));
    command.stderr(File::create(folder.join("upload.log"))?);
    Started::new(command)
}
