//! The event bus: what one program of a house tells the others.
//!
//! What always holds: an event is kept before its publisher is told so, and it goes away only when a bound of its
//! owner says so, which is told as well.
//!
//! | module | what it does |
//! |---|---|
//! | [`journal`] | keeps records, in order, over a crash: the outbox of every agent |
//! | [`carry`] | events as records of a journal, and back |
//! | [`told`] | facts as bodies of events, and as the variables of hooks |
//! | [`command`] | commands and what became of them, as bodies of events |
//! | [`agent`] | the one who keeps a machine's events: a thread in fserver and in fclient |
//! | [`client`] | what programs use |
//! | [`mqtt`] | the uplink to an MQTT broker, and Home Assistant |
//! | [`options`] | the settings that agents share |
//! | `allowance` | how much is told about the mistakes of others |
//! | [`knock`] | the first words of a client on a link that is to be sealed |
//! | [`secure`] | who may do what: keys, sealed links, pairing |

pub mod agent;
mod allowance;
pub mod carry;
pub mod client;
pub mod command;
pub mod journal;
pub mod knock;
pub mod mqtt;
pub mod options;
pub mod secure;
pub mod told;

/// A number that no other run of a program on this machine has: nanoseconds since 1970, and some chance for machines
/// whose clock stands in the past at each start.
pub(crate) fn fresh_epoch() -> u64 {
    let nanoseconds = u64::try_from(runner::clock::unix_now().as_nanos()).unwrap_or(u64::MAX);
    (nanoseconds & !0xffff) | u64::from(fastrand::u16(..))
}

/// Milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    u64::try_from(runner::clock::unix_now().as_millis()).unwrap_or(u64::MAX)
}
