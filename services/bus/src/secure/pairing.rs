//! Pairing: a machine joins with a code that is typed once. No clock, no authority; at the end each has the other's
//! key, and no key was believed without the code.
//!
//! The code is 85 random bits. Whoever records a pairing, or answers in place of the server, can try codes at home
//! against what he has, and at a million million a second would need a million years; so the code is not
//! stretched, and no password protocol is needed. At the server each offer takes [`offer::TRIES`] wrong tries.
//!
//! The code is used up when the client has proved it. The client trusts the server only after the fourth message, when
//! the server has put the client's key on its disk; if that message is lost, the pairing is done again with a new code.

mod code;
mod joiner;
mod offer;

pub use code::{BadCode, Code};
pub use joiner::{Joiner, JoinerWaits};
pub use offer::{Joined, MAX_REASON, Offer, Pending, TRIES};

use super::noise::BadStep;
use protocol::HostName;
use protocol::name::printable;
use std::time::Duration;

/// How long an offer stands if nobody says otherwise: time to walk to another machine and type.
pub const LASTS: Duration = Duration::from_secs(600);

/// Why a pairing does not come about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A message that is none.
    #[error(transparent)]
    Step(#[from] BadStep),
    /// Said by a server: the client has another code, or somebody guesses.
    #[error("the code is not the one that this server shows; {left} of {TRIES} tries are left, then make a new one")]
    WrongCode {
        /// How many wrong tries this offer still takes.
        left: u8,
    },
    /// Said by a server: nothing more is tried with this code.
    #[error("the code is void after {TRIES} wrong tries; make a new one on the server")]
    Void,
    /// Said by a server.
    #[error("the code is over its time; make a new one on the server")]
    Expired,
    /// Said by a server.
    #[error("the code was used already; make a new one on the server for each machine")]
    Used,
    /// Said by a client: the other end does not know the code.
    #[error(
        "the other end does not know this code: it is another machine than the one that shows it, or somebody is in \
         between; nothing was told to it"
    )]
    WrongServer,
    /// The name within differs from the one in the hello line.
    #[error("the other end calls itself {within} now and {before} before; it is not to be trusted")]
    OtherName {
        /// In its hello line.
        before: HostName,
        /// In the handshake.
        within: String,
    },
    /// The other end has a key that protects nothing.
    #[error("the other end has a key that protects nothing; have it make a new one: delete its key file")]
    WeakKey,
    /// Said by a client: the server has its reasons.
    #[error("the server does not take this machine: {0}")]
    Refused(String),
}

/// The name within must be the one of the hello line.
fn same_name(before: &HostName, within: &[u8]) -> Result<(), Failure> {
    if before.as_str().as_bytes() == within {
        return Ok(());
    }
    Err(Failure::OtherName { before: before.clone(), within: printable(within) })
}
