//! What the loop tells the house, and what the house has it do.

use super::{OldPeers, Shaken};
use crate::address::Network;
use bus::secure::{Authorized, Peer as Paired, Roles};
use core::net::IpAddr;
use protocol::control::{Reply, Request};
use protocol::fact::Fact;
use protocol::line::ClientLine;
use protocol::message::HookOutcome;
use protocol::name::Identity;
use protocol::session::Heard;
use protocol::shutdown::Afterwards;
use protocol::{Cause, Epoch, HostName, Instant, Message};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// One link, in the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u64);

/// One connection on the control socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ControlId(pub u64);

/// How a peer reached us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// A TCP connection of our own.
    Tcp,
    /// The local socket of a `--ucspi` child.
    Ucspi,
}

/// What the machine has to know of the settings.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Our own name.
    pub name: HostName,
    /// Where we listen, for people.
    pub listening: Vec<String>,
    /// Which run this is.
    pub epoch: Epoch,
    /// Our own machine.
    pub identity: Identity,
    /// Program and version.
    pub program: String,
    /// Peers in all.
    pub most_peers: usize,
    /// Peers from one address.
    pub most_per_address: usize,
    /// A new peer that stays silent for so long is gone.
    pub lease: Duration,
    /// How long a shutdown waits if nobody says otherwise.
    pub deadline: Duration,
    /// When a restarted service is back if nobody says otherwise.
    pub back_within: Duration,
    /// When our machine is back after it has started again.
    pub reboot_within: Duration,
    /// Who may ask for a shutdown over the network.
    pub shutdown_from: Vec<IpAddr>,
    /// Which old clients are let in.
    pub old_peers: OldPeers,
    /// New clients that are not paired are let in from here, for presence alone.
    pub presence_only_from: Vec<Network>,
}

/// What the loop tells the machine.
#[derive(Debug)]
pub enum Input {
    /// A link was made.
    Arrived {
        /// Its number.
        peer: PeerId,
        /// The other end, if it is known.
        address: Option<IpAddr>,
        /// How it came.
        via: Via,
        /// An earlier run of this server has greeted it.
        greeted: bool,
    },
    /// A peer said something.
    Heard(PeerId, Heard<ClientLine>),
    /// A link ended; for a clean end there are no words.
    Ended(PeerId, Option<String>),
    /// Something was asked on the control socket; never [`Request::Join`].
    Asked(ControlId, Request),
    /// Nobody waits for that answer any more.
    AskerGone(ControlId),
    /// We are to end, and what that means.
    Terminate {
        /// [`Cause::Shutdown`] or [`Cause::Restart`].
        cause: Cause,
        /// What becomes of our machine, in a shutdown.
        then: Afterwards,
        /// What the verdict rests on.
        evidence: Vec<String>,
    },
    /// Our machine is about to go down and waits for us: [`Action::LetMachineGo`] is expected.
    MachineGoes(Afterwards),
    /// It does not, after all.
    MachineStays,
    /// The hooks of a shutdown have ended.
    HooksEnded(Vec<HookOutcome>),
    /// The machines that an earlier run of this server knew as here.
    Known(Vec<HostName>),
    /// How a handshake went on, after [`Action::Shake`].
    Shaken(PeerId, Shaken),
    /// Who is paired, and whether only they may follow.
    Listed(Arc<Authorized>, bool),
    /// A machine that has joined is written down, or why it is not; and the bytes that tell it so.
    Enrolled(PeerId, Vec<u8>, Result<(), String>),
    /// A machine is off the list; whether it was on it, or why it still is.
    Struck(ControlId, HostName, Result<bool, String>),
    /// Nothing but time.
    Tick,
}

/// What the loop is to do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send these bytes to each of these peers.
    Send(Vec<PeerId>, Rc<[u8]>),
    /// When everything is sent, tell these peers that nothing more follows, and let them close.
    HalfClose(Vec<PeerId>),
    /// The same, and close soon, whatever the other end does.
    TurnAway(PeerId),
    /// Close this link now; what was not sent is lost.
    Close(PeerId),
    /// Close it by reset: an old client takes a reset for an error and not for the server's end.
    Reset(PeerId),
    /// Keep these old peers' links open beyond our own end, for the next run of this server.
    Keep(Vec<PeerId>),
    /// Take new links, or leave them waiting in the kernel.
    Accept(bool),
    /// Answer a question.
    Reply(ControlId, Reply),
    /// Run the hooks of a shutdown that has been committed.
    RunHooks(Released),
    /// Our machine need not wait for us any longer.
    LetMachineGo,
    /// Say something about this machine on the event bus.
    Tell(HostName, Fact),
    /// Take a handshake one step further with these bytes; this is the client's name. Answered by [`Input::Shaken`].
    Shake(PeerId, HostName, Vec<u8>),
    /// Make a code that is good until then, and tell it to that asker alone.
    Offer(ControlId, Instant),
    /// The code is good no longer.
    Withdraw,
    /// Write this machine down as paired, and answer with [`Input::Enrolled`].
    Enroll(PeerId, Paired),
    /// Take this machine off the list, and answer with [`Input::Struck`].
    Strike(ControlId, HostName),
    /// The link to this host carries events from now on, as far as these roles go; if it proves nothing, where it is.
    BusUp(PeerId, HostName, Roles, Option<IpAddr>),
    /// What it carries.
    Bus(PeerId, Message),
    /// Nothing waits for this host any more.
    BusForget(HostName),
    /// It carries none any more.
    BusDown(PeerId),
    /// Write a line to the log.
    Note(Level, String),
    /// Flush and end.
    Exit,
}

/// What the hooks of `clients-released` and `going-down` are told.
#[derive(Debug, Clone, PartialEq)]
pub struct Released {
    /// The shutdown's id.
    pub id: protocol::ShutdownId,
    /// The operator's words.
    pub reason: String,
    /// Who did not finish.
    pub late: Vec<String>,
    /// Our machine goes down, and nothing else stops sharing and unmounts.
    pub going_down: bool,
    /// It starts again: a restart, and no shutdown.
    pub returns: bool,
}

impl Released {
    /// What the hooks are told.
    pub fn cause(&self) -> Cause {
        if self.returns { Cause::Restart } else { Cause::Shutdown }
    }
}

/// How important a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Info,
    /// Somebody should look at it.
    Warn,
}
