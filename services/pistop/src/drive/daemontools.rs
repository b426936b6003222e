//! Drives a service of daemontools by `supervise/control` and the file `down`, and waits by `supervise/status`.

use super::Verb;
use super::name::Directory;
use runner::exit::Failure;
use runner::supervise::{Order, Status, Want};
use std::fs::{self, File};
use std::io;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// An svscan that runs looks every five seconds, and starts a supervise then for a directory that was just made.
const SVSCAN: Duration = Duration::from_secs(6);
/// Between two looks at the status.
const LOOK: Duration = Duration::from_millis(25);

/// Does it, and waits until it is so.
///
/// # Errors
/// No supervise runs, it did not get so far in time, or this user may not.
pub async fn run(verb: Verb, service: &Directory, left: Duration) -> Result<(), Failure> {
    match verb {
        Verb::Enable => enable(service),
        Verb::Disable => disable(service),
        Verb::Start | Verb::Stop | Verb::Restart => drive(verb, service, left).await,
    }
}

/// What supervise is told, from how the service is.
pub fn orders(verb: Verb, now: &Status) -> &'static [Order] {
    match (verb, now.pid, now.want) {
        (Verb::Stop, ..) => &[Order::Down],
        // Up first: what is meant to go down would not come back.
        (Verb::Restart, Some(_), Want::Down | Want::Once) => &[Order::Up, Order::Terminate],
        (Verb::Restart, Some(_), Want::Up) => &[Order::Terminate],
        _ => &[Order::Up],
    }
}

async fn drive(verb: Verb, service: &Directory, left: Duration) -> Result<(), Failure> {
    let end = Instant::now() + left;
    let refused = |why: io::Error| refused(service, &why);
    // Before the time of all is over, so that it is said what is missing.
    let patience = (Instant::now() + SVSCAN).min(end - 4 * LOOK);
    while !service.supervise.runs().map_err(refused)? {
        if verb == Verb::Stop || Instant::now() >= patience {
            return unsupervised(verb, service);
        }
        sleep(LOOK).await;
    }
    let before = first_status(service, end).await.map_err(refused)?;
    service.supervise.tell(orders(verb, &before)).map_err(refused)?;
    loop {
        let now = service.supervise.status().map_err(refused)?;
        if is_done(verb, &before, &now) {
            return Ok(());
        }
        if Instant::now() + LOOK >= end {
            let state = now.pid.map_or_else(|| "still down".into(), |pid| format!("still up, pid {pid}"));
            let place = service.path.display();
            return Err(Failure::Temporary(format!(
                "{place} was not {} in {:.0} s: it is {state}",
                verb.past(),
                left.as_secs_f64()
            )));
        }
        sleep(LOOK).await;
    }
}

/// A supervise that has just been started writes its status a moment after it opened its FIFOs.
async fn first_status(service: &Directory, end: Instant) -> io::Result<Status> {
    loop {
        match service.supervise.status() {
            Err(why) if why.kind() == io::ErrorKind::NotFound && Instant::now() < end => sleep(LOOK).await,
            status => return status,
        }
    }
}

fn is_done(verb: Verb, before: &Status, now: &Status) -> bool {
    match verb {
        Verb::Stop => now.pid.is_none() && now.want == Want::Down,
        Verb::Restart => now.pid.is_some() && now.pid != before.pid,
        _ => now.pid.is_some() && now.want == Want::Up,
    }
}

/// Without a supervise nothing runs, so that stopping is done already.
fn unsupervised(verb: Verb, service: &Directory) -> Result<(), Failure> {
    match verb {
        Verb::Stop => Ok(()),
        _ => Err(Failure::Temporary(format!(
            "no supervise runs for {}; start svscan on {}, by init or by systemd; one that runs looks every five seconds",
            service.path.display(),
            service.path.parent().unwrap_or(&service.path).display()
        ))),
    }
}

fn enable(service: &Directory) -> Result<(), Failure> {
    match fs::remove_file(service.path.join("down")) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(refused(service, &why)),
        _ => Ok(()),
    }
}

fn disable(service: &Directory) -> Result<(), Failure> {
    let down = File::options().write(true).create(true).truncate(false).open(service.path.join("down"));
    down.map(drop).map_err(|why| refused(service, &why))
}

/// What the service directory refused.
pub fn refused(service: &Directory, why: &io::Error) -> Failure {
    let place = service.path.display();
    match why.kind() {
        io::ErrorKind::PermissionDenied => Failure::Permanent(format!("{place}: {why}; become root")),
        _ => Failure::Temporary(format!("{place}: {why}; does its supervise run?")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner::tai64n::Stamp;

    fn status(pid: Option<u32>, want: Want) -> Status {
        Status { since: Stamp::from_unix(Duration::ZERO), pid, paused: false, want }
    }

    #[test]
    fn a_restart_is_a_term_for_what_runs_and_a_start_for_what_does_not() {
        use Order::{Down, Terminate, Up};
        let up = Some(7);
        assert_eq!(orders(Verb::Restart, &status(up, Want::Up)), [Terminate]);
        assert_eq!(orders(Verb::Restart, &status(up, Want::Down)), [Up, Terminate]);
        assert_eq!(orders(Verb::Restart, &status(up, Want::Once)), [Up, Terminate]);
        assert_eq!(orders(Verb::Restart, &status(None, Want::Down)), [Up]);
        assert_eq!(orders(Verb::Start, &status(up, Want::Up)), [Up]);
        assert_eq!(orders(Verb::Stop, &status(None, Want::Up)), [Down]);
    }

    #[test]
    fn it_is_done_when_the_status_says_so() {
        let (up, down) = (status(Some(7), Want::Up), status(None, Want::Down));
        assert!(is_done(Verb::Stop, &up, &down) && !is_done(Verb::Stop, &up, &status(Some(7), Want::Down)));
        assert!(!is_done(Verb::Stop, &up, &status(None, Want::Up)), "between two runs");
        assert!(is_done(Verb::Restart, &up, &status(Some(8), Want::Up)) && !is_done(Verb::Restart, &up, &up));
        assert!(is_done(Verb::Start, &down, &up) && !is_done(Verb::Start, &down, &down));
    }
}
