//! Looking at what the kernel has counted. A process that ends meanwhile is left out.

use super::{Counts, Disk, device, write_bytes};
use mounts::table;
use runner::exit::Failure;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

/// Looks twice.
///
/// # Errors
/// There is no `/proc`.
pub async fn between(proc: &Path, span: Duration) -> Result<Disk, Failure> {
    let before = counts(proc)?;
    tokio::time::sleep(span).await;
    Ok(Disk::between(&before, counts(proc)?, span))
}

fn counts(proc: &Path) -> Result<Counts, Failure> {
    let bad = |why| Failure::Temporary(format!("{}: {why}", proc.display()));
    let mut counts = Counts { device: root(proc), ..Counts::default() };
    for entry in fs::read_dir(proc).map_err(bad)?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        match fs::read_to_string(entry.path().join("io")) {
            Ok(io) => {
                let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                let bytes = write_bytes(&io).unwrap_or_default();
                counts.processes.insert(pid, (name.trim_end().to_owned(), bytes));
            }
            Err(why) if why.kind() == ErrorKind::PermissionDenied => counts.unseen += 1,
            Err(_) => {}
        }
    }
    Ok(counts)
}

/// The device that holds `/`.
fn root(proc: &Path) -> Option<(String, u64)> {
    let mounts = table::parse(&fs::read(proc.join("self/mountinfo")).ok()?);
    let root = table::topmost(&mounts, Path::new("/"))?;
    let name = Path::new(&root.source).file_name().unwrap_or_default().to_string_lossy().into_owned();
    device(&fs::read_to_string(proc.join("diskstats")).ok()?, root.device, &name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_disk_and_the_processes_are_found_in_the_kernels_files() {
        let scratch = tempfile::tempdir().unwrap();
        let proc = scratch.path();
        let write = |path: &str, text: &str| {
            fs::create_dir_all(proc.join(path).parent().unwrap()).unwrap();
            fs::write(proc.join(path), text).unwrap();
        };
        write("self/mountinfo", "22 1 179:2 / / rw,noatime shared:1 - ext4 /dev/root rw\n");
        write("diskstats", " 179 2 mmcblk0p2 1 0 1 0 3 0 16 0 0 0 0\n");
        write("77/comm", "camera\n");
        write("77/io", "write_bytes: 512\n");
        write("version", "no process\n");
        let counts = counts(proc).unwrap();
        assert_eq!(counts.device, Some(("mmcblk0p2".into(), 8192)));
        assert_eq!(counts.processes.into_iter().collect::<Vec<_>>(), [(77, ("camera".into(), 512))]);
        let disk = between(proc, Duration::from_millis(1)).await.unwrap();
        assert_eq!((disk.writers.len(), disk.device), (0, Some(("mmcblk0p2".into(), 0))));
        assert!(between(&proc.join("none"), Duration::ZERO).await.is_err());
    }
}
