//! A process that may hang: what it said, how it ended, or that it did not return in time.
//!
//! What always holds: nobody is waited for longer than the limit and [`LAST_WAIT`]. Its output goes to a file in memory
//! and not to a pipe, because what is left behind in the kernel would hold a pipe open for ever. It stays in our process
//! group, so that whoever ends our group ends it, too.

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to die of SIGKILL. One that hangs inside the kernel, on a dead mount, never does.
const LAST_WAIT: Duration = Duration::from_millis(300);
/// How often we look whether it has ended.
const LOOK: Duration = Duration::from_millis(5);
/// More than this nobody reads.
const MOST_WORDS: usize = 64 * 1024;

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It ended well.
    Done(String),
    /// It ended otherwise.
    Failed(Fault),
    /// It did not return in time and was killed; what it had said by then.
    Silent(String),
}

/// Why something did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The exit code; of an errand that is the kernel's error number.
    pub code: i32,
    /// What it said.
    pub said: String,
}

impl From<io::Error> for Fault {
    fn from(why: io::Error) -> Fault {
        Fault { code: why.raw_os_error().unwrap_or(Errno::EIO as i32), said: why.to_string() }
    }
}

/// Runs a command until it ends, at most so long. Its working directory is `/`, so that it holds no mount.
pub fn run(command: &mut Command, limit: Duration) -> End {
    match start(command) {
        Ok((child, words)) => attend(child, &words, limit),
        Err(why) => {
            let said = format!("{} cannot be started: {why}", command.get_program().display());
            End::Failed(Fault { said, ..Fault::from(why) })
        }
    }
}

fn start(command: &mut Command) -> io::Result<(Child, File)> {
    let words = File::from(memfd_create(c"words", MFdFlags::MFD_CLOEXEC)?);
    command.stdin(Stdio::null()).stdout(words.try_clone()?).stderr(words.try_clone()?).current_dir("/");
    Ok((command.spawn()?, words))
}

fn attend(mut child: Child, words: &File, limit: Duration) -> End {
    let Some(status) = wait(&mut child, limit) else {
        put_down(&mut child);
        return End::Silent(said(words));
    };
    match status.success() {
        true => End::Done(said(words)),
        // One that was killed has no code.
        false => End::Failed(Fault { code: status.code().unwrap_or(Errno::EINTR as i32), said: said(words) }),
    }
}

fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let until = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            _ if Instant::now() >= until => return None,
            _ => std::thread::sleep(LOOK),
        }
    }
}

/// The helper of a mount command goes first: it would mount long after we have said that it failed.
fn put_down(child: &mut Child) {
    for pid in descendants(child.id()) {
        // One that has just ended is none the worse for it.
        let _ = kill(pid, Signal::SIGKILL);
    }
    let _ = child.kill();
    wait(child, LAST_WAIT);
}

fn descendants(pid: u32) -> Vec<Pid> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_ascii_whitespace().filter_map(|word| word.parse::<u32>().ok());
    let pids = |child| descendants(child).into_iter().chain(i32::try_from(child).ok().map(Pid::from_raw));
    children.flat_map(pids).collect()
}

/// By position: the offset is shared with the writer.
fn said(words: &File) -> String {
    let mut bytes = vec![0; MOST_WORDS];
    let length = words.read_at(&mut bytes, 0).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn shell(text: &str, limit: Duration) -> End {
        run(Command::new("sh").arg("-c").arg(text), limit)
    }

    #[test]
    fn its_words_and_its_code_come_back() {
        assert_eq!(shell("echo a; echo b >&2; pwd", LONG), End::Done("a\nb\n/".into()));
        assert_eq!(shell("echo no; exit 32", LONG), End::Failed(Fault { code: 32, said: "no".into() }));
        let End::Failed(fault) = run(&mut Command::new("/nowhere"), LONG) else { panic!() };
        assert_eq!(fault.code, Errno::ENOENT as i32);
        assert!(fault.said.starts_with("/nowhere cannot be started"), "{}", fault.said);
    }

    #[test]
    fn one_that_hangs_is_killed_with_its_helpers_and_what_it_said_stays() {
        let began = Instant::now();
        let End::Silent(said) = shell("sleep 1000 & echo $!; wait", Duration::from_millis(400)) else { panic!() };
        assert!(began.elapsed() < Duration::from_secs(20));
        let helper = Pid::from_raw(said.parse().unwrap());
        let until = Instant::now() + LONG;
        let runs = || std::fs::read_to_string(format!("/proc/{helper}/stat")).is_ok_and(|stat| !stat.contains(") Z"));
        while runs() {
            assert!(Instant::now() < until, "the helper still runs");
            std::thread::sleep(LOOK);
        }
    }

    #[test]
    fn somebody_who_keeps_the_output_open_delays_nothing() {
        let began = Instant::now();
        let End::Done(pid) = shell("sleep 30 & echo $!", LONG) else { panic!() };
        assert!(began.elapsed() < Duration::from_secs(20));
        kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
    }
}
