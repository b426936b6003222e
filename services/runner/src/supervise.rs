//! What daemontools' supervise keeps beside a service: the folder `supervise/` with the record `status` and the FIFOs
//! `control`, by which it is told, and `ok`, which has a reader as long as it runs.
//!
//! [`Status`] is pure: bytes in and out, and the sentence that `svstat` prints about it. Source: supervise and svstat
//! 0.76, with which the tests compare both. indimail's fork writes more bytes, which are read too. No call here waits.

use crate::tai64n::{self, Stamp};
use nix::errno::Errno;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The length of the record in daemontools 0.76.
pub const LENGTH: usize = 18;
/// In indimail's longer record this byte tells whether the service is up; while it is down, the process id is supervise's own.
const UP: usize = 20;
/// What svstat says when nobody reads `ok`.
pub const NOT_RUNNING: &str = "supervise not running";

/// What supervise wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Up: it starts the service again when it ends.
    Up,
    /// Down: after `svc -d`.
    Down,
    /// Whatever it is: after `svc -o`, it is not started again.
    Once,
}

/// The record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Since when it is up or down.
    pub since: Stamp,
    /// The process, if there is one.
    pub pid: Option<u32>,
    /// It was told to stand still.
    pub paused: bool,
    /// What supervise wants.
    pub want: Want,
}

/// Why bytes are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadStatus {
    /// There are only so many.
    Short(usize),
    /// An unknown want.
    Want(u8),
}

impl fmt::Display for BadStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadStatus::Short(length) => write!(f, "has only {length} bytes"),
            BadStatus::Want(byte) => write!(f, "wants `{}`, which is not known", byte.escape_ascii()),
        }
    }
}

impl Status {
    /// From the content of `supervise/status`.
    ///
    /// # Errors
    /// It is too short, or wants what is not known.
    pub fn decode(bytes: &[u8]) -> Result<Status, BadStatus> {
        let short = BadStatus::Short(bytes.len());
        let (stamp, rest) = bytes.split_first_chunk::<{ tai64n::LENGTH }>().ok_or(short)?;
        let (pid, rest) = rest.split_first_chunk::<4>().ok_or(short)?;
        let [paused, want, ..] = rest else { return Err(short) };
        let up = bytes.get(UP).is_none_or(|&up| up != 0);
        let want = match want {
            b'u' => Want::Up,
            b'd' => Want::Down,
            0 => Want::Once,
            other => return Err(BadStatus::Want(*other)),
        };
        let pid = Some(u32::from_le_bytes(*pid)).filter(|&pid| pid != 0 && up);
        Ok(Status { since: Stamp::from_bytes(*stamp), pid, paused: *paused != 0, want })
    }

    /// As daemontools 0.76 writes it.
    pub fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..12].copy_from_slice(&self.since.bytes());
        bytes[12..16].copy_from_slice(&self.pid.unwrap_or(0).to_le_bytes());
        bytes[16] = u8::from(self.paused);
        bytes[17] = match self.want {
            Want::Up => b'u',
            Want::Down => b'd',
            Want::Once => 0,
        };
        bytes
    }

    /// What svstat says of it after the directory's name. `down_file`: whether the service has a file `down`, so that
    /// it is not started by itself.
    pub fn sentence(&self, down_file: bool, now: Stamp) -> String {
        let state = self.pid.map_or_else(|| "down ".to_owned(), |pid| format!("up (pid {pid}) "));
        let mut text = format!("{state}{} seconds", now.seconds_since(self.since));
        let up = self.pid.is_some();
        let facts = [
            (up && down_file, ", normally down"),
            (!up && !down_file, ", normally up"),
            (up && self.paused, ", paused"),
            (!up && self.want == Want::Up, ", want up"),
            (up && self.want == Want::Down, ", want down"),
        ];
        text.extend(facts.iter().filter(|(holds, _)| *holds).map(|(_, words)| *words));
        text
    }
}

/// What supervise can be told, as the byte that svc sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Order {
    /// Start it, and start it again whenever it ends.
    Up = b'u',
    /// End it with TERM and CONT, and leave it down.
    Down = b'd',
    /// Start it if it is down, and leave it down when it ends.
    Once = b'o',
    /// Send TERM.
    Terminate = b't',
    /// End when the service is down.
    Exit = b'x',
}

/// The folder of one supervise.
#[derive(Debug, Clone)]
pub struct Supervise(PathBuf);

impl Supervise {
    /// Of a service directory, or of its `log`.
    pub fn of(service: &Path) -> Supervise {
        Supervise(service.join("supervise"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether a supervise has it open.
    ///
    /// # Errors
    /// This user may not know.
    pub fn runs(&self) -> io::Result<bool> {
        open(&self.0.join("ok")).map(|fifo| fifo.is_some())
    }

    /// The record.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn status(&self) -> io::Result<Status> {
        let bytes = fs::read(self.0.join("status"))?;
        Status::decode(&bytes).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why.to_string()))
    }

    /// Tells it something; `false` if no supervise is there to hear it.
    ///
    /// # Errors
    /// This user may not tell it anything, or so much stands in the FIFO that supervise must be stuck.
    pub fn tell(&self, orders: &[Order]) -> io::Result<bool> {
        let Some(mut control) = open(&self.0.join("control"))? else { return Ok(false) };
        let bytes: Vec<u8> = orders.iter().map(|&order| order as u8).collect();
        control.write_all(&bytes).map(|()| true)
    }
}

/// A FIFO that somebody reads; nobody does if it is not there.
fn open(path: &Path) -> io::Result<Option<File>> {
    match File::options().write(true).custom_flags(nix::libc::O_NONBLOCK).open(path) {
        Ok(fifo) => Ok(Some(fifo)),
        Err(why) if [Errno::ENXIO, Errno::ENOENT].map(|errno| Some(errno as i32)).contains(&why.raw_os_error()) => {
            Ok(None)
        }
        Err(why) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::time::Duration;

    fn at(seconds: u64) -> Stamp {
        Stamp::from_unix(Duration::from_secs(seconds))
    }

    fn up() -> Status {
        Status { since: at(100), pid: Some(0x0102_0304), paused: false, want: Want::Up }
    }

    #[test]
    fn a_record_goes_there_and_back() {
        let all =
            [up(), Status { pid: None, want: Want::Down, ..up() }, Status { paused: true, want: Want::Once, ..up() }];
        for status in all {
            assert_eq!(Status::decode(&status.encode()), Ok(status));
        }
        assert_eq!(up().encode()[12..], [4, 3, 2, 1, 0, b'u']);
    }

    #[test]
    fn a_longer_record_tells_itself_whether_the_service_is_up() {
        let record = |rest: &[u8]| Status::decode(&[&up().encode()[..], rest].concat()).unwrap();
        assert_eq!(record(&[0, 60]), up());
        assert_eq!(record(&[0, 60, 1]), up());
        assert_eq!(record(&[0, 60, 0]).pid, None, "the process id is supervise's own");
        assert_eq!(record(&[0, 60, 0]).sentence(true, at(103)), "down 3 seconds, want up");
    }

    #[test]
    fn what_is_no_record_is_told() {
        assert_eq!(Status::decode(&[0; 17]), Err(BadStatus::Short(17)));
        assert_eq!(Status::decode(&[]), Err(BadStatus::Short(0)));
        let mut bytes = up().encode();
        bytes[17] = b'p';
        assert_eq!(Status::decode(&bytes).unwrap_err().to_string(), "wants `p`, which is not known");
    }

    #[test]
    fn supervise_hears_what_it_is_told_if_it_is_there() {
        let service = tempfile::tempdir().unwrap();
        let supervise = Supervise::of(service.path());
        assert!(!supervise.runs().unwrap() && !supervise.tell(&[Order::Down]).unwrap());
        fs::create_dir(supervise.path()).unwrap();
        let fifo = |name: &str| {
            let path = supervise.path().join(name);
            nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
            path
        };
        let (ok, control) = (fifo("ok"), fifo("control"));
        assert!(!supervise.runs().unwrap() && !supervise.tell(&[Order::Down]).unwrap());
        let reader = |path: &Path| File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path).unwrap();
        let (_ok, mut control) = (reader(&ok), reader(&control));
        assert!(supervise.runs().unwrap() && supervise.tell(&[Order::Down, Order::Exit]).unwrap());
        let mut told = String::new();
        control.read_to_string(&mut told).unwrap();
        assert_eq!(told, "dx");
    }
}
