//! What an uplink is told, and what it answers.

use super::desk::Message;
use super::flow::{Mark, Publication, Verdict};
use crate::journal::{Entry, Position};
use protocol::event::Event;
use protocol::fact::Fact;
use protocol::{Epoch, HostName, Instant};
use std::sync::Arc;
use std::time::Duration;

/// One reading of both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Monotonic.
    pub instant: Instant,
    /// Since 1970.
    pub unix: Duration,
}

/// Who we are.
#[derive(Debug, Clone)]
pub struct Host {
    /// The server.
    pub node: HostName,
    /// Its run.
    pub epoch: Epoch,
    /// Its program with its version.
    pub program: String,
    /// The broker, for people.
    pub broker: String,
    /// Our client id there.
    pub client_id: String,
}

/// What a broker says of itself when we come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Greeting {
    /// It remembers our subscriptions, and what we had not acknowledged.
    pub resumed: bool,
    /// The largest packet that it takes, in bytes.
    pub largest: Option<u32>,
    /// It keeps the last word for whoever comes later.
    pub keeps: bool,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The broker says that somebody else came with our client id.
    Taken,
    /// The broker closed the connection without a word.
    Closed,
    /// Anything else, in words with the remedy.
    Other(String),
}

/// What happens to the uplink.
#[derive(Debug)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// The broker takes us.
    Up(Greeting),
    /// It has answered what we subscribe to; what it refuses, with its reasons.
    Subscribed(Vec<String>),
    /// What became of a publication.
    Answered(Mark, Verdict),
    /// Something came that we subscribe to.
    Heard(Message),
    /// There is no connection any more, or none could be made.
    Down(Trouble),
    /// How everything is, as [`Action::ReadStates`] asked for.
    States(Vec<Arc<Entry>>),
    /// The next record.
    Record(Arc<Entry>),
    /// The journal has the command of this digest, or will never have it.
    Kept(u64, Result<(), String>),
    /// This program ends.
    Stop,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Connect, with this as our last will.
    Connect(Publication),
    /// Subscribe to commands and, if there is such a thing, to these topics of Home Assistant.
    Subscribe(String, Vec<String>),
    /// Publish at least once.
    Publish(Mark, Publication),
    /// Acknowledge what was heard, to the broker.
    Acknowledge(u64),
    /// The journal is told that we are done with it.
    Settle(Position),
    /// What is not settled is to come again.
    Rewind,
    /// Read how everything is.
    ReadStates,
    /// Keep this command in the journal; unless one of that digest is there already, if `search` says so.
    Keep {
        /// What it is recognized by.
        digest: u64,
        /// The command.
        event: Box<Event>,
        /// The broker has sent it before.
        search: bool,
    },
    /// Tell the house.
    Tell(Fact),
    /// End the connection in the agreed way.
    Disconnect,
    /// All is over.
    Finish,
}
