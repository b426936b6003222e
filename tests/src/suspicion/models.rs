//! What networks and client machines are like. Every number is either a measurement's, with its source, or a choice
//! that is meant to be worse than what a house sees.

/// Packets and how they fare.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// Median of the log-normal one-way delay, in milliseconds.
    pub delay_ms: f64,
    /// Its 99th percentile.
    pub delay_p99_ms: f64,
    /// Share of packets lost, each for itself. This is loss above the link layer, which on Wi-Fi has tried again itself
    /// several times already; 30 % of it means a link that people call dead.
    pub loss: f64,
    /// Bad periods.
    pub fades: Option<Fades>,
}

/// A Gilbert-Elliott channel with two states, in time rather than in packets so that a retransmission meets the state of
/// its own moment. Bad periods are Pareto distributed: measurements of 802.11 found the exponential ones of the plain
/// model too short (Cardoso and de Rezende, IEEE Communications Letters 13(6), 2009; Carvalho et al., IEEE
/// Transactions on Consumer Electronics, 2004). The numbers are a choice: a bad spot behind two walls.
#[derive(Debug, Clone, Copy)]
pub struct Fades {
    /// Mean length of a good period, in seconds (exponential).
    pub every: f64,
    /// The shortest bad period, in seconds.
    pub shortest: f64,
    /// The Pareto exponent; 1.5 gives a mean of three times the shortest.
    pub shape: f64,
    /// No bad period is longer, in seconds.
    pub longest: f64,
    /// Share of packets lost in it.
    pub loss: f64,
}

/// How often something happens to the client, on average, and for how long.
#[derive(Debug, Clone, Copy, Default)]
pub struct Troubles {
    /// Outages of 1 to 5 s while the client changes its access point, per hour. Nothing passes, and the interface does
    /// not show it.
    pub roams_per_hour: f64,
    /// The client's own link goes down, visibly, for 1 to 60 s, per hour.
    pub flaps_per_hour: f64,
    /// The machine is suspended for 1 minute to 8 hours, per day; two thirds are seen as a sleep, one third (a virtual
    /// machine that was paused) only as a jump of the clock. The network takes 2 to 6 s to come back.
    pub suspends_per_day: f64,
    /// The process does not run for 0.5 to 20 s while the kernel does, per hour.
    pub stalls_per_hour: f64,
    /// The wall clock is set. No code reads it; what is injected is the worst that it could be mistaken for, a sleep
    /// that never was, per day.
    pub clock_steps_per_day: f64,
}

/// A network and a client.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// Its name in the table.
    pub name: &'static str,
    /// How packets fare.
    pub link: Link,
    /// What else happens.
    pub troubles: Troubles,
}

const NONE: Troubles = Troubles {
    roams_per_hour: 0.0,
    flaps_per_hour: 0.0,
    suspends_per_day: 0.0,
    stalls_per_hour: 0.0,
    clock_steps_per_day: 0.0,
};

const WIRED: Link = Link { delay_ms: 0.2, delay_p99_ms: 1.0, loss: 0.000_01, fades: None };

const FADES: Fades = Fades { every: 20.0, shortest: 0.2, shape: 1.5, longest: 10.0, loss: 0.8 };

const fn wifi(loss: f64) -> Link {
    Link { delay_ms: 3.0, delay_p99_ms: 40.0, loss, fades: None }
}

const fn quiet(name: &'static str, link: Link) -> Model {
    Model { name, link, troubles: NONE }
}

/// All models, mildest first. The first is the clean link by which the detection time is held to its bound.
pub const ALL: [Model; 13] = [
    quiet("wired", WIRED),
    quiet("wi-fi, 1 % loss", wifi(0.01)),
    quiet("wi-fi, 5 % loss", wifi(0.05)),
    quiet("wi-fi, 10 % loss", wifi(0.10)),
    quiet("wi-fi, 20 % loss", wifi(0.20)),
    quiet("wi-fi, 30 % loss", wifi(0.30)),
    quiet("wi-fi, bursts", Link { fades: Some(FADES), ..wifi(0.005) }),
    quiet("jitter, p99 300 ms", Link { delay_ms: 20.0, delay_p99_ms: 300.0, loss: 0.01, fades: None }),
    Model { name: "roaming, 3 an hour", link: wifi(0.01), troubles: Troubles { roams_per_hour: 3.0, ..NONE } },
    Model { name: "own link flaps", link: wifi(0.01), troubles: Troubles { flaps_per_hour: 2.0, ..NONE } },
    Model { name: "laptop, 6 sleeps a day", link: wifi(0.01), troubles: Troubles { suspends_per_day: 6.0, ..NONE } },
    Model {
        name: "stalls, clock steps",
        link: WIRED,
        troubles: Troubles { stalls_per_hour: 2.0, clock_steps_per_day: 12.0, ..NONE },
    },
    Model {
        name: "all of it, 5 % loss",
        link: Link { delay_ms: 10.0, delay_p99_ms: 200.0, loss: 0.05, fades: Some(FADES) },
        troubles: Troubles {
            roams_per_hour: 1.0,
            flaps_per_hour: 0.5,
            suspends_per_day: 4.0,
            stalls_per_hour: 0.5,
            clock_steps_per_day: 2.0,
        },
    },
];
