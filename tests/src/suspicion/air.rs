//! The medium between the two machines: one packet at a time, does it arrive, and when. TCP and UDP share it, each way
//! is drawn for itself, and a bad period is bad for both.

use super::models::{Fades, Link};
use super::{Time, seconds};
use fastrand::Rng;

/// The 99th percentile of the standard normal distribution.
const P99: f64 = 2.326;

pub struct Air {
    link: Link,
    sigma: f64,
    /// Nothing passes before this instant: the client changes its access point.
    pub deaf_until: Time,
    /// The client's interface is down, and says so.
    pub unplugged_until: Time,
    /// The client's machine does not run.
    pub client_off: bool,
    /// The server's machine runs.
    pub server_on: bool,
    bad: bool,
    state_until: Time,
}

impl Air {
    pub fn new(link: Link) -> Self {
        let sigma = (link.delay_p99_ms / link.delay_ms).ln() / P99;
        let (deaf_until, unplugged_until) = (0, 0);
        Self { link, sigma, deaf_until, unplugged_until, client_off: false, server_on: true, bad: true, state_until: 0 }
    }

    /// When a packet that is sent now arrives; `None` if it never does.
    pub fn carry(&mut self, now: Time, rng: &mut Rng) -> Option<Time> {
        if now < self.deaf_until.max(self.unplugged_until) || self.client_off || !self.server_on {
            return None;
        }
        (rng.f64() >= self.loss(now, rng)).then(|| now + self.delay(rng))
    }

    fn loss(&mut self, now: Time, rng: &mut Rng) -> f64 {
        let Some(fades) = self.link.fades else { return self.link.loss };
        while self.state_until <= now {
            self.bad = !self.bad;
            self.state_until += period(&fades, self.bad, rng);
        }
        if self.bad { fades.loss } else { self.link.loss }
    }

    fn delay(&self, rng: &mut Rng) -> Time {
        seconds(self.link.delay_ms / 1000.0 * (self.sigma * normal(rng)).exp())
    }
}

fn period(fades: &Fades, bad: bool, rng: &mut Rng) -> Time {
    if !bad {
        return exponential(fades.every, rng);
    }
    let length = fades.shortest * (1.0 - rng.f64()).powf(-1.0 / fades.shape);
    seconds(length.min(fades.longest))
}

/// A span with this mean, in seconds, between events that know nothing of each other.
pub fn exponential(mean: f64, rng: &mut Rng) -> Time {
    seconds(-mean * (1.0 - rng.f64()).ln())
}

/// The standard normal distribution, by Box and Muller.
fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}
