//! What daemontools' supervise, our parent, wants of the service that it runs: it writes it to `supervise/status`.
//!
//! On `svc -d` supervise sends SIGTERM first and writes the status after it, so a want of `u` counts only if it still
//! stands when that has had time to happen. In the first second after it started a service, supervise hears no command
//! at all (measured with 0.76): a signal that comes then was not sent by it.

use crate::supervise::{Status, Want};
use std::path::Path;
use std::time::Duration;
use std::{fs, io};
use tokio::time::{Instant, sleep};

/// How long `u` must stand. supervise needs microseconds; a loaded single-core machine gets some time more.
const SETTLE: Duration = Duration::from_millis(300);
const LOOK: Duration = Duration::from_millis(20);

/// What our parent wants, if it is supervise. The text says why that could not be found out.
pub(super) async fn want() -> Result<Option<Want>, String> {
    let parent = std::os::unix::process::parent_id();
    match fs::read_to_string(format!("/proc/{parent}/comm")) {
        Ok(comm) if comm.trim_end() == "supervise" => settled(|| read(Path::new("supervise/status"))).await.map(Some),
        _ => Ok(None),
    }
}

/// The want that still stands after [`SETTLE`], or the first two equal readings of another one: `svc -du` passes
/// through `d` on its way to `u`.
async fn settled(mut read: impl FnMut() -> Result<Want, String>) -> Result<Want, String> {
    let end = Instant::now() + SETTLE;
    let mut last = read()?;
    loop {
        sleep(LOOK).await;
        let now = read()?;
        if Instant::now() >= end || (now == last && now != Want::Up) {
            return Ok(now);
        }
        last = now;
    }
}

fn read(status: &Path) -> Result<Want, String> {
    let unreadable = |why: io::Error| format!("{} of our parent supervise cannot be read ({why})", status.display());
    let bytes = fs::read(status).map_err(unreadable)?;
    Status::decode(&bytes).map(|status| status.want).map_err(|why| format!("{} {why}", status.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(want: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        bytes[17] = want;
        bytes
    }

    #[test]
    fn both_lengths_of_status_are_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for length in [18, 20, 21] {
            for (byte, want) in [(b'u', Want::Up), (b'd', Want::Down), (0, Want::Once)] {
                fs::write(&file, status(byte, length)).unwrap();
                assert_eq!(read(file.path()), Ok(want));
            }
        }
        fs::write(&file, status(b'p', 18)).unwrap();
        assert!(read(file.path()).unwrap_err().contains("wants `p`"));
        fs::write(&file, [0; 17]).unwrap();
        assert!(read(file.path()).unwrap_err().contains("only 17 bytes"));
    }

    /// Reads these wants one after another, and the last one ever after.
    async fn settled_on(wants: &[Want]) -> Want {
        let mut rest = wants.iter();
        let mut now = wants[0];
        let next = || {
            now = *rest.next().unwrap_or(&now);
            Ok(now)
        };
        settled(next).await.unwrap()
    }

    /// supervise sends the signal and then writes the status.
    #[tokio::test]
    async fn a_want_of_up_counts_only_if_it_stands() {
        use Want::{Down, Once, Up};
        assert_eq!(settled_on(&[Up, Up, Up, Down]).await, Down);
        assert_eq!(settled_on(&[Up, Once]).await, Once);
        assert_eq!(settled_on(&[Up]).await, Up);
    }

    #[tokio::test]
    async fn down_and_up_again_is_a_restart() {
        assert_eq!(settled_on(&[Want::Up, Want::Down, Want::Up]).await, Want::Up);
    }
}
