//! What presence asks for, and what the hooks have made of it so far.

use super::report::Report;
use protocol::{Cause, Epoch, Instant, ShutdownId};

/// What presence asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Goal {
    /// Nothing: the server has not been seen, or not since this client started.
    Unknown,
    /// Work with this run of the server.
    Up(Option<Epoch>),
    /// Let go.
    Gone(Gone),
}

/// One end of a server, as this client was told of it or concluded.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Gone {
    /// Tells two ends apart that look alike.
    pub number: u64,
    /// Why.
    pub cause: Cause,
    /// The shutdown, if it has an id.
    pub id: Option<ShutdownId>,
    /// The operator's words.
    pub reason: String,
    /// When the server waits no longer.
    pub deadline: Instant,
    /// There is no way back.
    pub committed: bool,
    /// An earlier run of this client concluded it.
    pub resumed: bool,
}

/// How far the hooks are with one end.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stop {
    /// Which end.
    pub gone: Gone,
    /// What the server is told of it.
    pub report: Report,
    /// The hook that has begun and not ended.
    pub begun: Option<String>,
    /// No hook is left to run.
    pub over: bool,
}

impl Stop {
    pub fn new(gone: Gone) -> Self {
        Self { report: Report::new(gone.id), gone, begun: None, over: false }
    }
}

/// What the hooks have made of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    /// Nothing has ever been begun.
    Nothing,
    /// The hooks of `server-up` have begun.
    Up {
        /// For this run of the server.
        epoch: Option<Epoch>,
        /// On this link.
        link: u64,
        /// They have also ended, other than by being cancelled.
        complete: bool,
    },
    /// The hooks that let go run, or have run and the server has not committed yet.
    LettingGo(Stop),
    /// The hooks of `power-off` run; or, if `done`, have run.
    PoweringOff {
        /// After this.
        stop: Stop,
        /// They have ended.
        done: bool,
    },
    /// Nothing is held.
    Down(Stop),
}

impl State {
    /// The end that this state is about.
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            State::LettingGo(stop) | State::PoweringOff { stop, .. } | State::Down(stop) => Some(stop),
            State::Nothing | State::Up { .. } => None,
        }
    }

    /// The same, to be changed.
    pub fn stop_mut(&mut self) -> Option<&mut Stop> {
        match self {
            State::LettingGo(stop) | State::PoweringOff { stop, .. } | State::Down(stop) => Some(stop),
            State::Nothing | State::Up { .. } => None,
        }
    }

    /// Whether this state is about that end.
    pub fn is_about(&self, gone: &Gone) -> bool {
        self.stop().is_some_and(|stop| stop.gone.number == gone.number)
    }
}
