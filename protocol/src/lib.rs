//! What two pistop processes must agree on: bytes, names, messages, and the decisions taken from them.
//!
//! Everything here is pure. Time comes in as an argument, bytes come in as slices, and what is to be done comes
//! out as values; no clock, socket, file, environment or log is touched. Read it in this order:
//!
//! | module | what it settles |
//! |---|---|
//! | [`time`], [`name`], [`cause`] | the vocabulary: instants, host names, epochs, why a presence changed |
//! | [`line`] | the dialect of old pistop peers, and the one line by which new peers find each other |
//! | [`codec`], [`frame`], [`message`] | the dialect of new peers: length, kind, body |
//! | [`datagram`] | the announcement and the probe, over UDP |
//! | [`session`] | one link, either end: bytes in, events out, and which dialect is spoken |
//! | [`detector`], [`presence`] | how a client knows that the server is there, leaving, or lost |
//! | [`shutdown`] | how a server lets everybody go before it stops |
//! | [`control`] | what `pistop` and a `--ucspi` child say to the running fserver |
//! | [`topic`], [`event`], [`fact`] | what is said on the event bus: its names, its envelope, its facts |
//! | [`door`] | what a program says to the agent of its own machine |
//! | [`hook`] | event names, variables and exit codes that hook scripts rely on |

pub mod cause;
pub mod codec;
pub mod control;
pub mod datagram;
pub mod detector;
pub mod door;
pub mod event;
pub mod fact;
pub mod frame;
pub mod hook;
pub mod line;
pub mod message;
pub mod name;
pub mod presence;
pub mod session;
pub mod shutdown;
pub mod time;
pub mod topic;

pub use cause::Cause;
pub use event::Event;
pub use fact::Fact;
pub use message::Message;
pub use name::{Epoch, HostName, ShutdownId};
pub use time::Instant;
pub use topic::{Filter, Topic};
