//! How roughly something is unmounted, as a plan of steps, and how far we are in it. Pure: no clock, no kernel; the time
//! is a parameter that counts from the beginning.
//!
//! What always holds: the steps get rougher and never gentler, each has its time, together they have no more than the
//! whole, and nothing counts as gone but what the table does not show any more.

use crate::order;
use crate::table::Mount;
use nix::errno::Errno;
use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two attempts at something busy.
const PAUSE: Duration = Duration::from_millis(200);
/// How long somebody who keeps it busy is waited for before it is done without him.
const MOMENT: Duration = Duration::from_secs(3);
/// How long cutting off a server may take.
const CUTTING_OFF: Duration = Duration::from_secs(2);

/// One way to unmount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// Everything is written back, and nobody uses it. With a dead server this may hang.
    Plain,
    /// Whoever waits for the server gets an error.
    Force,
    /// It goes out of sight at once; whoever holds a file of it keeps that.
    Detach,
}

impl How {
    /// The word by which it is named.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            How::Plain => "plain",
            How::Force => "force",
            How::Detach => "detach",
        }
    }

    /// The one that is named so.
    #[must_use]
    pub fn of_word(word: &str) -> Option<How> {
        [How::Plain, How::Force, How::Detach].into_iter().find(|how| how.word() == word)
    }
}

/// How rough it may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Wait until nobody uses it; else it stays.
    Patient,
    /// Wait for a moment, then do it anyway.
    Forcing,
    /// The server is dead: ask nobody.
    Lazy,
}

/// One way to unmount, and how long it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The way.
    pub how: How,
    /// How long.
    pub time: Duration,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.how {
            How::Plain => "unmount it when nobody uses it",
            How::Force => "cut off its server",
            How::Detach => "detach it though it is in use",
        };
        write!(f, "{what}, within {:.1} s", self.time.as_secs_f64())
    }
}

impl Policy {
    /// The plan for so much time.
    #[must_use]
    pub fn steps(self, whole: Duration) -> Vec<Step> {
        let moment = MOMENT.min(whole / 3);
        let cutting = CUTTING_OFF.min(whole / 3);
        let step = |how, time| Step { how, time };
        match self {
            Policy::Patient => vec![step(How::Plain, whole)],
            Policy::Forcing => vec![
                step(How::Plain, moment),
                step(How::Force, cutting),
                step(How::Detach, whole.saturating_sub(moment + cutting)),
            ],
            Policy::Lazy => vec![step(How::Force, cutting), step(How::Detach, whole.saturating_sub(cutting))],
        }
    }
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Try this one, and do not wait for longer.
    Try(PathBuf, How, Duration),
    /// Wait.
    Pause(Duration),
    /// Nothing is there any more.
    Gone,
    /// It will not work in this time, or not at all.
    GiveUp,
}

/// How an attempt went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The kernel says that it is done. The table has the last word.
    Done,
    /// The kernel's error.
    Refused(Errno),
    /// It did not return in time.
    Silent,
}

/// What stood in the way last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Somebody uses it.
    Busy(PathBuf),
    /// The kernel did not come back from it.
    Silent(PathBuf),
    /// The kernel refused for another reason.
    Refused(PathBuf, Errno),
}

/// One directory being unmounted, with everything on it.
#[derive(Debug)]
pub struct Unmounting {
    target: PathBuf,
    steps: VecDeque<Step>,
    /// When the first of the steps ends.
    ends: Duration,
    rest_until: Duration,
    /// Ids that the present step is done with.
    tried: Vec<u32>,
    attempt: Option<(u32, PathBuf, How)>,
    obstacle: Option<Obstacle>,
}

impl Unmounting {
    /// It begins at time zero.
    #[must_use]
    pub fn new(target: &Path, steps: Vec<Step>) -> Unmounting {
        let ends = steps.first().map_or(Duration::ZERO, |step| step.time);
        let (target, steps) = (target.to_owned(), steps.into());
        Unmounting { target, steps, ends, rest_until: Duration::ZERO, tried: Vec::new(), attempt: None, obstacle: None }
    }

    /// What is to be done, seeing this table.
    pub fn next(&mut self, mounts: &[Mount], now: Duration) -> Next {
        let doomed = order::doomed(mounts, &self.target);
        if doomed.is_empty() {
            return Next::Gone;
        }
        while let Some(&Step { how, .. }) = self.steps.front() {
            let left = self.ends.saturating_sub(now);
            let one = self.choose(how, mounts, &doomed).filter(|_| !left.is_zero());
            let Some(one) = one else {
                self.go_on(now);
                continue;
            };
            if now < self.rest_until {
                return Next::Pause((self.rest_until - now).min(left));
            }
            self.attempt = Some((one.id, one.target.clone(), how));
            return Next::Try(one.target.clone(), how, left);
        }
        Next::GiveUp
    }

    /// How the attempt went.
    pub fn heard(&mut self, heard: Heard, now: Duration) {
        let Some((id, target, how)) = self.attempt.take() else { return };
        let obstacle = match heard {
            Heard::Done => return self.done(id, now),
            Heard::Refused(Errno::EBUSY) => Obstacle::Busy(target),
            Heard::Refused(errno) => Obstacle::Refused(target, errno),
            Heard::Silent => Obstacle::Silent(target),
        };
        self.rest_until = if how == How::Plain { now + PAUSE } else { now };
        self.tried.push(id);
        let hopeless = matches!(obstacle, Obstacle::Refused(_, Errno::EPERM));
        let hangs = how == How::Plain && matches!(obstacle, Obstacle::Silent(_));
        self.obstacle = Some(obstacle);
        match (hopeless, hangs) {
            (true, _) => self.steps.clear(),
            // Nobody comes back from there by being asked again.
            (_, true) => self.go_on(now),
            _ => (),
        }
    }

    /// A call that succeeded and changed nothing must not be repeated without a pause.
    fn done(&mut self, id: u32, now: Duration) {
        self.rest_until = if self.tried.contains(&id) { now + PAUSE } else { now };
        self.tried.push(id);
    }

    /// What stood in the way last.
    #[must_use]
    pub fn obstacle(&self) -> Option<&Obstacle> {
        self.obstacle.as_ref()
    }

    fn choose<'a>(&self, how: How, mounts: &[Mount], doomed: &[&'a Mount]) -> Option<&'a Mount> {
        let fresh = |mount: &&&Mount| !self.tried.contains(&mount.id);
        match how {
            How::Plain => order::innermost(mounts, doomed),
            How::Force => order::outermost(doomed).find(|mount| fresh(&mount) && mount.can_be_cut_off()),
            How::Detach => order::outermost(doomed).find(|mount| fresh(&mount)),
        }
    }

    fn go_on(&mut self, now: Duration) {
        self.steps.pop_front();
        self.tried.clear();
        self.rest_until = now;
        self.ends = now + self.steps.front().map_or(Duration::ZERO, |step| step.time);
    }
}

#[cfg(test)]
mod tests;
