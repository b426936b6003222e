//! The parts of `bench`: the ground, the load generator, the servers it is turned on, and one module a measurement.

pub mod bus;
pub mod cell;
pub mod detection;
pub mod fan_out;
pub mod footage;
#[allow(dead_code, reason = "two programs share it, and neither needs all of it")]
pub mod ground;
pub mod hold;
pub mod load;
pub mod memory;
pub mod mqtt;
pub mod report;
pub mod rivals;
pub mod sealed;
pub mod talk;

use std::time::Duration;

/// How much is measured.
pub struct Plan {
    /// Clients and rounds of the fan-out.
    pub fan_out: &'static [(usize, usize)],
    /// Clients whose memory is measured.
    pub memory: &'static [usize],
    /// How many clients are held for how long.
    pub hold: (usize, Duration),
    /// Servers side by side, and real clients of each.
    pub detection: (usize, usize),
    /// Followers of one event, turns, and rounds of each.
    pub followers: &'static [(usize, usize, usize)],
    /// So long events flow.
    pub flow: Duration,
    /// So long one camera is recorded, and then two.
    pub cameras: (Duration, Duration),
    /// So many times a segment of each of two cameras is closed.
    pub uploads: usize,
}

impl Plan {
    /// Everything that was promised.
    pub const FULL: Plan = Plan {
        fan_out: &[(10, 15), (100, 11), (1000, 9), (5000, 5)],
        memory: &[1000, 5000],
        hold: (10_000, Duration::from_secs(30)),
        detection: (10, 10),
        followers: &[(1000, 9, 5), (5000, 3, 3)],
        flow: Duration::from_secs(8),
        cameras: (Duration::from_secs(12), Duration::from_secs(62)),
        uploads: 3,
    };

    /// A look, in a minute.
    pub const QUICK: Plan = Plan {
        fan_out: &[(10, 3), (1000, 3)],
        memory: &[1000],
        hold: (2000, Duration::from_secs(5)),
        detection: (2, 5),
        followers: &[(10, 1, 2), (100, 1, 2), (1000, 3, 2)],
        flow: Duration::from_secs(2),
        cameras: (Duration::from_secs(5), Duration::from_secs(40)),
        uploads: 1,
    };
}
