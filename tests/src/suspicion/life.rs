//! Fate: what strikes the client, its network and its server, when, and what counts as a right verdict on it.

use super::air::exponential;
use super::world::{Event, World};
use super::{Time, seconds};
use protocol::ShutdownId;
use std::time::Duration;

/// What may strike.
#[derive(Debug, Clone, Copy)]
pub enum Fate {
    Roam,
    Flap,
    Suspend,
    Stall,
    ClockStep,
    /// The server's machine loses power.
    Death,
    /// And is back, after the death of this number.
    Revival(u64),
    /// The server announces a restart.
    Restart,
    /// Its process ends.
    Exit,
    /// And is back.
    Return,
    /// Its process crashes.
    Crash,
    /// And crashes again as soon as it is back.
    CrashAgain,
}

/// A server dies about so often, in hours, and is not back before somebody has noticed.
const DEATH_EVERY: f64 = 2.0;
const REVIVAL_AFTER: f64 = 60.0;
/// An announced restart, and a crash of the process, about so often.
const RESTART_EVERY: f64 = 12.0;
const CRASH_EVERY: f64 = 24.0;
/// A process that has just come back crashes at once with this probability: services loop.
const CRASHES_AGAIN: f64 = 0.3;
/// What a restart promises.
pub const BACK_WITHIN: Duration = Duration::from_secs(30);
/// A death or a restart that would meet other trouble waits.
const WAIT: f64 = 60.0;
/// While the server's process is not there, and for so long after it has returned, `lost` is no wrong verdict: the client
/// was never told, or its link ended. (Whoever was told of a restart does not say `lost` at all.)
const EXCUSED: f64 = 5.0;
/// A death that is not noticed after this long is reported as noticed then.
const NEVER: f64 = 600.0;

impl World {
    pub fn begin_fate(&mut self) {
        use Fate::*;
        for fate in [Roam, Flap, Suspend, Stall, ClockStep, Death, Restart, Crash] {
            self.next(fate);
        }
    }

    /// The next of its kind, at random.
    fn next(&mut self, fate: Fate) {
        let hours = self.every(fate);
        if hours.is_finite() {
            let at = self.now + exponential(hours * 3600.0, &mut self.rng);
            self.at(at, Event::Fate(fate));
        }
    }

    /// The mean time between two strikes, in hours.
    fn every(&self, fate: Fate) -> f64 {
        let troubles = &self.model.troubles;
        match fate {
            Fate::Roam => 1.0 / troubles.roams_per_hour,
            Fate::Flap => 1.0 / troubles.flaps_per_hour,
            Fate::Suspend => 24.0 / troubles.suspends_per_day,
            Fate::Stall => 1.0 / troubles.stalls_per_hour,
            Fate::ClockStep => 24.0 / troubles.clock_steps_per_day,
            Fate::Death => DEATH_EVERY,
            Fate::Restart => RESTART_EVERY,
            Fate::Crash => CRASH_EVERY,
            Fate::Revival(_) | Fate::Exit | Fate::Return | Fate::CrashAgain => f64::INFINITY,
        }
    }

    /// A death is only told apart from other trouble if it does not meet any.
    fn waits(&self, fate: Fate) -> bool {
        let quiet = self.dead_since.is_none() && self.server.runs && self.server.restart.is_none();
        match fate {
            Fate::Revival(_) | Fate::Exit | Fate::Return => false,
            Fate::Roam | Fate::Flap | Fate::ClockStep => self.dead_since.is_some(),
            Fate::Suspend | Fate::Stall => self.dead_since.is_some() || self.asleep(),
            Fate::Crash | Fate::CrashAgain => !quiet,
            Fate::Death | Fate::Restart => {
                let troubled = self.air.deaf_until.max(self.air.unplugged_until) > self.now;
                !quiet || troubled || !self.client.is_well(self.now)
            }
        }
    }

    pub fn strikes(&mut self, fate: Fate) {
        if self.waits(fate) {
            return self.at(self.now + seconds(WAIT), Event::Fate(fate));
        }
        match fate {
            Fate::Roam => self.air.deaf_until = self.now + self.between(1.0, 5.0),
            Fate::Flap => self.air.unplugged_until = self.now + self.log_between(1.0, 60.0),
            Fate::Suspend => self.suspend(),
            Fate::Stall => {
                let span = self.log_between(0.5, 20.0);
                self.sleeps(span, false, false);
            }
            Fate::ClockStep => self.clock_step(),
            Fate::Death => self.death(),
            Fate::Revival(death) => self.revival(death),
            Fate::Restart => self.restart(),
            Fate::Exit => self.exit(),
            Fate::Return => self.returns(),
            Fate::Crash | Fate::CrashAgain => self.crash(),
        }
        self.next(fate);
    }

    fn suspend(&mut self) {
        let (span, seen) = (self.log_between(60.0, 8.0 * 3600.0), self.rng.f64() < 2.0 / 3.0);
        self.sleeps(span, true, seen);
        self.air.unplugged_until = self.now + span + self.between(2.0, 6.0);
    }

    fn clock_step(&mut self) {
        if self.client.is_well(self.now) {
            self.input(protocol::presence::Input::Slept(Duration::from_secs(3600)));
        }
    }

    fn death(&mut self) {
        (self.air.server_on, self.dead_since) = (false, Some(self.now));
        self.report.deaths += 1;
        let clock = self.client_clock();
        self.report.fixed.death(clock);
        self.at(self.now + seconds(NEVER), Event::Fate(Fate::Revival(self.report.deaths)));
    }

    /// `lost`: the right verdict on a server that is gone, and the wrong one on one that runs. Whether it was wrong.
    pub fn verdict(&mut self) -> bool {
        let Some(since) = self.dead_since else {
            let wrong = self.server_is_there();
            self.report.wrong += u64::from(wrong);
            return wrong;
        };
        if !std::mem::replace(&mut self.noticed, true) {
            self.report.noticed.push(self.now - since);
            let death = self.report.deaths;
            self.at(self.now + seconds(REVIVAL_AFTER), Event::Fate(Fate::Revival(death)));
        }
        false
    }

    /// Its process runs, and has for long enough to be found.
    pub fn server_is_there(&self) -> bool {
        self.air.server_on && self.server.runs && self.now > self.absent_at + seconds(EXCUSED)
    }

    fn revival(&mut self, death: u64) {
        if death != self.report.deaths || self.dead_since.take().is_none() {
            return;
        }
        if !std::mem::take(&mut self.noticed) {
            self.report.noticed.push(seconds(NEVER));
        }
        self.air.server_on = true;
        self.server.boots();
        self.perhaps_crashes_again();
    }

    fn restart(&mut self) {
        let id = ShutdownId { epoch: self.server.epoch, number: 1 };
        self.server.restart = Some(id);
        self.say(super::world::End::Server, super::world::Word::Prepare(id));
        self.at(self.now + seconds(1.0), Event::Fate(Fate::Exit));
    }

    fn exit(&mut self) {
        self.server_closes();
        self.server.runs = false;
        let back = self.between(2.0, 20.0);
        self.at(self.now + back, Event::Fate(Fate::Return));
    }

    fn returns(&mut self) {
        self.absent_at = self.now;
        self.server.starts();
        self.perhaps_crashes_again();
    }

    fn perhaps_crashes_again(&mut self) {
        if self.rng.f64() < CRASHES_AGAIN {
            let soon = self.between(0.0, 3.0);
            self.at(self.now + soon, Event::Fate(Fate::CrashAgain));
        }
    }

    /// The kernel closes the link cleanly, and a supervisor starts the process again.
    fn crash(&mut self) {
        self.server_closes();
        self.server.runs = false;
        let back = self.between(1.0, 3.0);
        self.at(self.now + back, Event::Fate(Fate::Return));
    }

    fn between(&mut self, least: f64, most: f64) -> Time {
        seconds(least + (most - least) * self.rng.f64())
    }

    fn log_between(&mut self, least: f64, most: f64) -> Time {
        seconds(least * (most / least).powf(self.rng.f64()))
    }
}
