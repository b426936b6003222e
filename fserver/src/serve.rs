//! The one loop of fserver: it feeds the machine with what sockets, signals, timers and hooks say, and performs
//! what the machine answers. No decision is taken here.

mod guard;
mod hooks;
mod opening;

use crate::announce::Probe;
use crate::config::Config;
use crate::gate::Gate;
use crate::keep::{self, Kept};
use crate::listen::Listeners;
use crate::local::Local;
use crate::logind::Said;
use crate::machine::{Action, ControlId, House, Input, Level, PeerId, Via};
use crate::peers::{Event, Peers, Read, Ready, Stream};
use bus::agent::{Agent, Order, Out};
use guard::List;
pub use opening::{Server, open};
use protocol::control::{Join, Reply, Request, ShutdownRequest};
use protocol::message::HookOutcome;
use protocol::shutdown::Afterwards;
use protocol::{Cause, Epoch};
use runner::clock::Clock;
use runner::exit::Failure;
use runner::signals::{Signal, Signals};
use runner::supervisor::{self, Meaning, Verdict};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Interval;
use tokio_util::task::TaskTracker;

/// How long the last bytes may take when the server ends.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What the loop holds besides the machine.
struct Loop {
    config: Config,
    epoch: Epoch,
    house: House,
    clock: Clock,
    peers: Peers,
    askers: HashMap<ControlId, mpsc::UnboundedSender<Reply>>,
    accepting: bool,
    hooks_ended: mpsc::UnboundedSender<Vec<HookOutcome>>,
    verdicts: mpsc::UnboundedSender<Verdict>,
    let_machine_go: mpsc::Sender<()>,
    bus: Option<Agent>,
    gate: Gate,
    list: List,
    /// What is read goes here first, from whomever it comes.
    buffer: Vec<u8>,
    arrived: u64,
    kept: Vec<Kept>,
    ending: bool,
    over: bool,
}

/// Where the loop hears of things. Each waits without losing anything.
struct Ears {
    signals: Signals,
    listeners: Listeners,
    event: mpsc::Receiver<Event>,
    probe: mpsc::Receiver<Probe>,
    local: mpsc::Receiver<Local>,
    hooks: mpsc::UnboundedReceiver<Vec<HookOutcome>>,
    verdict: mpsc::UnboundedReceiver<Verdict>,
    machine: mpsc::Receiver<Said>,
    out: Option<mpsc::UnboundedReceiver<Out>>,
    look: Interval,
    answering: TaskTracker,
}

/// Serves until the end that a signal brings.
pub async fn run(server: Server) -> Result<(), Failure> {
    let (mut this, mut ears, _state) = opening::begin(server)?;
    this.read_first_list();
    this.order(Order::Tell(this.house.own_state()));
    while !this.over {
        this.hear_next(&mut ears).await;
    }
    this.finish(&mut ears.event, ears.answering).await;
    Ok(())
}

/// What the bus asks for, if there is one.
async fn next_out(outs: &mut Option<mpsc::UnboundedReceiver<Out>>) -> Option<Out> {
    let out = outs.as_mut()?.recv().await;
    if out.is_none() {
        tracing::error!("the event bus has ended; everything else goes on, start this program again to have it back");
        *outs = None;
    }
    out
}

async fn sleep_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

impl Loop {
    /// Waits for the next thing that happens, and does what follows from it.
    async fn hear_next(&mut self, ears: &mut Ears) {
        let due = self.house.deadline().map(|at| self.clock.tokio(at));
        tokio::select! {
            ready = self.peers.ready() => self.sockets(&ready),
            Some(event) = ears.event.recv() => self.event(event),
            (stream, from) = ears.listeners.accept(), if self.accepting => self.link(stream, from),
            Some(local) = ears.local.recv() => self.local(local),
            Some(probe) = ears.probe.recv() => probe.answer(self.epoch),
            Some(verdict) = ears.verdict.recv() => self.verdict(verdict),
            Some(said) = ears.machine.recv() => self.machine(said),
            Some(out) = next_out(&mut ears.out) => self.out(out),
            Some(outcomes) = ears.hooks.recv() => self.feed(Input::HooksEnded(outcomes)),
            signal = ears.signals.next() => self.signal(signal),
            _ = ears.look.tick() => self.look_at_list(),
            () = sleep_until(due) => self.feed(Input::Tick),
        }
    }

    fn feed(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let actions = self.house.handle(input, self.clock.now());
            for action in actions {
                self.perform(action, &mut inputs);
            }
        }
    }

    fn perform(&mut self, action: Action, inputs: &mut VecDeque<Input>) {
        match action {
            Action::Send(peers, bytes) => inputs.extend(self.peers.send_all(&peers, &bytes)),
            Action::HalfClose(peers) => peers.into_iter().for_each(|peer| self.peers.half_close(peer)),
            Action::TurnAway(peer) => {
                self.gate.forget(peer);
                self.peers.turn_away(peer);
            }
            Action::Close(peer) => {
                self.gate.forget(peer);
                self.peers.close(peer);
            }
            Action::Reset(peer) => {
                self.gate.forget(peer);
                self.peers.reset(peer);
            }
            Action::Keep(peers) => self.keep(peers),
            Action::Accept(open) => self.accepting = open,
            Action::Reply(asker, reply) => inputs.extend(self.reply(asker, reply)),
            Action::RunHooks(released) => self.run_hooks(released),
            Action::LetMachineGo => self.let_machine_go(),
            Action::Tell(host, fact) => self.order(Order::TellOf(host, fact)),
            Action::BusUp(peer, host, roles, stranger) => {
                self.order(Order::LinkUp { link: peer.0, host, roles, stranger })
            }
            Action::Bus(peer, message) => self.order(Order::Heard(peer.0, message)),
            Action::BusForget(host) => self.order(Order::Forget(host)),
            Action::BusDown(peer) => self.order(Order::LinkDown(peer.0)),
            Action::Note(Level::Info, text) => tracing::info!("{text}"),
            Action::Note(Level::Warn, text) => tracing::warn!("{text}"),
            Action::Exit => self.over = true,
            secure @ (Action::Shake(..)
            | Action::Offer(..)
            | Action::Withdraw
            | Action::Enroll(..)
            | Action::Strike(..)) => inputs.extend(self.guard(secure)),
        }
    }

    fn order(&self, order: Order) {
        if let Some(bus) = &self.bus {
            bus.order(order);
        }
    }

    fn out(&mut self, out: Out) {
        match out {
            Out::Send(links, bytes) => {
                let peers: Vec<PeerId> = links.into_iter().map(PeerId).collect();
                self.peers.expect_answers(peers.len());
                self.peers.send_all(&peers, &bytes).into_iter().for_each(|ended| self.feed(ended));
            }
            Out::Refuse(link, why) => self.feed(Input::Ended(PeerId(link), Some(format!("is closed: {why}")))),
            Out::Known(hosts) => self.feed(Input::Known(hosts)),
            Out::Shutdown(restart, reason) => {
                let asker = ControlId(self.next_number());
                let restart = restart.then(|| self.config.settings.seconds("back-within").unwrap_or_default());
                let (deadline, dry_run, drill, then) = (None, false, false, Afterwards::Stays);
                let request = ShutdownRequest { deadline, reason, restart, dry_run, drill, then };
                self.feed(Input::Asked(asker, Request::Shutdown(request)));
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Input(input) => self.feed(input),
            Event::Enrolled(enrolled) => self.enrolled(enrolled),
        }
    }

    fn sockets(&mut self, ready: &[Ready]) {
        for &Ready { peer, readable, writable } in ready {
            if let Some(ended) = writable.then(|| self.peers.writable(peer)).flatten() {
                self.feed(ended);
            }
            if readable {
                self.read(peer);
            }
        }
    }

    fn read(&mut self, peer: PeerId) {
        let mut buffer = std::mem::take(&mut self.buffer);
        match self.peers.read(peer, &mut buffer) {
            Read::Bytes(count) => self.hear(peer, &buffer[..count]),
            Read::Nothing => {}
            Read::End(why) => self.feed(Input::Ended(peer, why)),
        }
        self.buffer = buffer;
    }

    /// What comes behind a handshake is opened with what the answer to it has settled.
    fn hear(&mut self, peer: PeerId, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (heard, result) = self.peers.hear(peer, &mut bytes);
            heard.into_iter().for_each(|thing| self.feed(Input::Heard(peer, thing)));
            if let Err(why) = result {
                return self.feed(Input::Ended(peer, Some(format!("is closed: {why}"))));
            }
        }
    }

    fn next_number(&mut self) -> u64 {
        self.arrived += 1;
        self.arrived
    }

    fn link(&mut self, stream: TcpStream, from: SocketAddr) {
        match stream.into_std() {
            Ok(stream) => self.arrived(Stream::Tcp(stream), Some(from.ip().to_canonical()), Via::Tcp, false),
            Err(why) => tracing::warn!("the link from {from} cannot be used: {why}"),
        }
    }

    fn arrived(&mut self, stream: Stream, address: Option<IpAddr>, via: Via, greeted: bool) {
        let peer = PeerId(self.next_number());
        let unwatched = self.peers.add(peer, stream, self.config.data_timeout);
        self.feed(Input::Arrived { peer, address, via, greeted });
        unwatched.into_iter().for_each(|ended| self.feed(ended));
    }

    fn local(&mut self, local: Local) {
        match local {
            Local::Asked(request, replies) => {
                let asker = ControlId(self.next_number());
                self.askers.insert(asker, replies);
                self.feed(Input::Asked(asker, request));
            }
            Local::Joined(Join { address, greeted }, stream) => match stream.into_std() {
                Ok(stream) => self.arrived(Stream::Unix(stream), address.parse().ok(), Via::Ucspi, greeted),
                Err(why) => tracing::warn!("the link of {address} cannot be used: {why}"),
            },
        }
    }

    /// The last reply of an answer ends the connection.
    fn reply(&mut self, asker: ControlId, reply: Reply) -> Option<Input> {
        let last = matches!(reply, Reply::Done { .. } | Reply::Refused(_));
        let gone = self.askers.get(&asker)?.send(reply).is_err();
        if last || gone {
            self.askers.remove(&asker);
        }
        gone.then_some(Input::AskerGone(asker))
    }

    fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Hangup => tracing::info!("settings are read at the start; restart fserver to read them again"),
            Signal::Interrupt if self.ending => {
                tracing::warn!("interrupted again: ending without waiting for anybody");
                self.over = true;
            }
            Signal::Terminate | Signal::Interrupt if self.ending => tracing::info!("already ending"),
            Signal::Terminate | Signal::Interrupt => self.find_out_why(),
        }
    }

    fn find_out_why(&mut self) {
        self.ending = true;
        runner::ready::stopping();
        let on_term = self.config.settings.text("on-term").map(str::to_owned);
        let systemctl = self.config.settings.text("systemctl").unwrap_or_default().to_owned();
        let verdicts = self.verdicts.clone();
        tokio::spawn(async move {
            let _ = verdicts.send(supervisor::meaning_of_term(on_term.as_deref(), &systemctl).await);
        });
    }

    fn verdict(&mut self, Verdict { meaning, evidence }: Verdict) {
        let (cause, then) = match meaning {
            Meaning::Shutdown => (Cause::Shutdown, Afterwards::Stays),
            Meaning::Restart => (Cause::Restart, Afterwards::Stays),
            Meaning::Reboot => (Cause::Shutdown, self.returns()),
        };
        runner::ready::extend(self.config.settings.seconds("shutdown-deadline").unwrap_or_default() + LAST_WORDS);
        self.feed(Input::Terminate { cause, then, evidence });
    }

    fn returns(&self) -> Afterwards {
        Afterwards::Returns(self.config.reboot_within)
    }

    fn machine(&mut self, said: Said) {
        self.feed(match said {
            Said::GoesDown => Input::MachineGoes(Afterwards::GoesDown),
            Said::StartsAgain => Input::MachineGoes(self.returns()),
            Said::Goes => Input::MachineGoes(Afterwards::Undecided),
            Said::Stays => Input::MachineStays,
        });
    }

    fn let_machine_go(&self) {
        tracing::info!("this machine may go down now");
        let _ = self.let_machine_go.try_send(());
    }

    fn keep(&mut self, peers: Vec<PeerId>) {
        let released = peers.into_iter().filter_map(|peer| self.peers.release(peer));
        self.kept.extend(released.map(|stream| {
            let address = stream.remote();
            (stream, address)
        }));
    }

    async fn finish(mut self, events: &mut mpsc::Receiver<Event>, answering: TaskTracker) {
        if !self.kept.is_empty()
            && let Err(why) = keep::start(&self.kept, &self.config.control)
        {
            let count = self.kept.len();
            tracing::error!(
                "the links of {count} old clients cannot be kept: {why}; they will take this for a shutdown"
            );
        }
        self.askers.clear();
        self.order(Order::Tell(self.house.last_state()));
        let _ = tokio::time::timeout(LAST_WORDS, self.part(events)).await;
        if let Some(bus) = &self.bus
            && tokio::time::timeout(2 * LAST_WORDS, bus.stop()).await.is_err()
        {
            tracing::warn!("the event bus did not end in time; what it was told last may be missing");
        }
        answering.close();
        let _ = tokio::time::timeout(LAST_WORDS, answering.wait()).await;
        tracing::info!("ended");
    }

    /// Sends what is left and reads everybody dry: a socket closed over unread bytes is a reset, which takes the last
    /// words away from a peer that has not read them yet.
    async fn part(&mut self, events: &mut mpsc::Receiver<Event>) {
        self.peers.half_close_all();
        while !self.peers.is_empty() {
            tokio::select! {
                ready = self.peers.ready() => self.read_dry(&ready),
                event = events.recv() => match event {
                    Some(Event::Input(Input::Ended(peer, _))) => self.peers.close(peer),
                    Some(Event::Input(_) | Event::Enrolled(_)) => {}
                    None => return,
                },
            }
        }
    }

    fn read_dry(&mut self, ready: &[Ready]) {
        for &Ready { peer, readable, writable } in ready {
            let broken = writable && self.peers.writable(peer).is_some();
            if broken || readable && matches!(self.peers.read(peer, &mut self.buffer), Read::End(_)) {
                self.peers.close(peer);
            }
        }
    }
}
