//! What people do without our programs: for each camera a script that becomes gst-launch-1.0, and one that goes round
//! with lsof, pv and aws.

use super::storage::{Storage, write_key};
use super::{RATE, THEIRS, registry};
use crate::bench::ground::agents::command;
use crate::bench::ground::started::Started;
use crate::bench::rivals::found;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use tests::b2::REGION;

const RECORD: &str = include_str!("record.sh");
const UPLOAD: &str = include_str!("upload.sh");

/// A script with all that it starts.
pub(super) struct Script(Started);

impl Script {
    /// The script itself.
    pub(super) fn pid(&self) -> i32 {
        self.0.pid()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // Not reaped, so the number is still its own.
        let _ = killpg(Pid::from_raw(self.pid()), Signal::SIGKILL);
    }
}

/// Records one camera into its folder.
pub(super) fn record(folder: &Path, camera: &str, url: &str) -> io::Result<Script> {
    found("gst-launch-1.0")?;
    let to = folder.join(camera).display().to_string();
    script(folder, &format!("record-{camera}"), RECORD, &[url, &to])
}

/// Uploads what is in a camera's folder.
pub(super) fn upload(folder: &Path, camera: &str, storage: &Storage) -> io::Result<Script> {
    for program in ["lsof", "pv", "aws"] {
        found(program)?;
    }
    let aws = folder.join(".aws");
    fs::create_dir_all(&aws)?;
    write_key(&aws.join("credentials"))?;
    let config = "s3 =\n    signature_version = s3v4\n    addressing_style = path\n";
    fs::write(aws.join("config"), format!("[profile b2]\nregion = {REGION}\n{config}"))?;
    let from = folder.join(camera).display().to_string();
    let words = [camera, &from, THEIRS, &storage.endpoint(), &RATE.to_string()];
    script(folder, &format!("upload-{camera}"), UPLOAD, &words)
}

fn script(folder: &Path, name: &str, text: &str, words: &[&str]) -> io::Result<Script> {
    let (path, log) = (folder.join(name).with_extension("sh"), folder.join(name).with_extension("log"));
    fs::create_dir_all(words.iter().map(Path::new).find(|word| word.starts_with(folder)).unwrap_or(folder))?;
    fs::write(&path, text)?;
    let mut command = command(Path::new("/bin/bash"), &[]);
    command.arg(path).args(words).env("HOME", folder).env("GST_REGISTRY", registry(folder));
    command.stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?).process_group(0);
    Started::new(command).map(Script)
}
