//! How often does a client accuse a server that lives, and how soon does it miss one that died? The client's real
//! machine, [`protocol::presence::Presence`], lives through thousands of hours of bad networks in virtual time.
//!
//! | file | what it settles |
//! |---|---|
//! | `models` | what a network and a client's machine are like: loss, bursts, delays, outages, sleep |
//! | `air` | one packet at a time: does it arrive, and when |
//! | `tcp` | one direction of a connection: order, retransmission, backing off |
//! | `world` | one client and one server over all that, event by event |
//! | `client`, `server`, `life` | the three who act in it: the client's loop, the server, and fate |
//! | `fixed` | what plain fixed time-outs would have made of the same beats |
//! | `table` | the results, beside published figures |
//!
//! Everything is drawn from one seed, so a run can be repeated; no clock is read but for the final line.

mod air;
mod client;
mod fixed;
mod life;
pub mod models;
mod server;
pub mod table;
mod tcp;
pub mod world;

/// Virtual time, in nanoseconds.
pub type Time = u64;

/// Nanoseconds of a number of seconds.
pub fn seconds(seconds: f64) -> Time {
    (seconds * 1e9) as Time
}
