//! A real S3 server on this machine, with a bucket for each side.

use super::{OURS, THEIRS};
use crate::bench::ground::agents::{command, program};
use crate::bench::ground::started::Started;
use crate::bench::ground::wait;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tests::b2::KEY;
use tests::world::uploads::SECRET;

const START: Duration = Duration::from_secs(10);

/// The server, until it is dropped.
pub(super) struct Storage {
    _process: Started,
    root: PathBuf,
    address: SocketAddr,
}

impl Storage {
    /// Starts it on a port that was free a moment ago.
    pub(super) fn start(folder: &Path) -> io::Result<Storage> {
        let root = folder.join("storage");
        for bucket in [OURS, THEIRS] {
            fs::create_dir_all(root.join(bucket))?;
        }
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = command(&program("s3server")?, &[]);
        command.arg(&root).args([&address.to_string(), KEY, SECRET]);
        let process = Started::new(command)?;
        wait::until("the storage listening", START, || Ok(TcpStream::connect(address).ok()))?;
        Ok(Storage { _process: process, root, address })
    }

    /// As a setting.
    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Segments in a bucket that a camera of this name has; each is there as a whole or not at all.
    pub(super) fn segments(&self, bucket: &str, camera: &str) -> Vec<PathBuf> {
        files(&self.root.join(bucket).join(camera))
    }
}

/// Puts the key where both sides look for it: the section `b2`.
pub(super) fn write_key(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let text = format!("[b2]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n");
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let all = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    all.filter(|path| path.extension().is_some_and(|kind| kind == "ts")).collect()
}
