//! The machines' disks: a root for each, from the base system, our packages and the files of `tests/house`, and the server's
//! disk with the music. The base system itself stays as it is; what a machine has of its own lies in an overlay.

use crate::base::Base;
use crate::{music, shell};
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the files of the guests are.
const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/house");
/// The name by which the example of `/etc/fstab` knows the server's disk.
const MUSIC_UUID: &str = "20bcc800-9dce-4734-947d-6d760b36a4de";
/// Pitch of each piece.
const PIECES: [(&str, f64); 3] = [("one.wav", 220.0), ("two.wav", 330.0), ("three.wav", 440.0)];
/// Its length: longer than any player reads ahead, and than any scene.
const SECONDS: u32 = 300;

/// Makes disks below one directory, from one base and one set of packages.
pub struct Workshop {
    base: PathBuf,
    packages: PathBuf,
    to: PathBuf,
}

impl Workshop {
    /// One that takes its packages from a directory.
    pub fn new(base: &Base, packages: &Path, to: &Path) -> Self {
        Self { base: base.root.clone(), packages: packages.into(), to: to.into() }
    }

    /// The root disk of a machine. It gets `tests/house/every`, the tree of its kind and its own, and then furnishes itself.
    ///
    /// # Errors
    /// A command failed; its words are in the message.
    pub fn root(&self, name: &str, kind: &str, address: Ipv4Addr) -> io::Result<PathBuf> {
        let root = self.overlay(name)?;
        let inside = root.join("house");
        fs::create_dir(&inside)?;
        for entry in fs::read_dir(&self.packages)?.filter_map(Result::ok) {
            fs::copy(entry.path(), inside.join(entry.file_name()))?;
        }
        let tree = |name: &str| Path::new(FILES).join(name);
        for from in [tree("every"), tree(&format!("{kind}s")), tree(name)].iter().filter(|from| from.is_dir()) {
            shell::copy_tree(from, &root)?;
        }
        fs::copy(tree("furnish"), inside.join("furnish"))?;
        shell::run(Command::new("chroot").arg(&root).arg("/house/furnish").args([name, &address.to_string()]))?;
        let image = self.image(name, &root, "3G", None)?;
        shell::run(Command::new("umount").arg(&root))?;
        Ok(image)
    }

    /// The disk that the server shares.
    ///
    /// # Errors
    /// As for [`Workshop::root`].
    pub fn music(&self) -> io::Result<PathBuf> {
        let content = self.to.join("music");
        let mpd = self.user("mpd")?;
        for folder in ["Music", "playlists", "data", "cache"] {
            fs::create_dir_all(content.join(folder))?;
            std::os::unix::fs::chown(content.join(folder), Some(mpd), None)?;
        }
        for (name, pitch) in PIECES {
            music::write(&content.join("Music").join(name), pitch, SECONDS)?;
        }
        self.image("music", &content, "256M", Some(MUSIC_UUID))
    }

    /// The number of a user of the machines, who is somebody else here.
    fn user(&self, name: &str) -> io::Result<u32> {
        let users = fs::read_to_string(self.base.join("etc/passwd"))?;
        let line = users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":x:"));
        let number = line.and_then(|line| line.split(':').next()?.parse().ok());
        number.ok_or_else(|| io::Error::other(format!("the base system has no user {name}")))
    }

    fn overlay(&self, name: &str) -> io::Result<PathBuf> {
        let of = |part: &str| self.to.join(name).join(part);
        for part in ["upper", "work", "root"] {
            fs::create_dir_all(of(part))?;
        }
        let layers = [("lowerdir", self.base.clone()), ("upperdir", of("upper")), ("workdir", of("work"))];
        let layers = layers.map(|(key, path)| format!("{key}={}", path.display())).join(",");
        shell::run(Command::new("mount").args(["-t", "overlay", "overlay", "-o", &layers]).arg(of("root")))?;
        Ok(of("root"))
    }

    fn image(&self, name: &str, content: &Path, size: &str, uuid: Option<&str>) -> io::Result<PathBuf> {
        let image = self.to.join(format!("{name}.img"));
        let mut mke2fs = Command::new("mke2fs");
        mke2fs.args(["-q", "-F", "-t", "ext4", "-m", "0"]).args(uuid.iter().flat_map(|uuid| ["-U", uuid]));
        shell::run(mke2fs.arg("-d").arg(content).arg(&image).arg(size))?;
        Ok(image)
    }
}
