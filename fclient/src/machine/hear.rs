//! What comes over the link, and what becomes of the link itself.

use super::state::{Goal, Gone, State};
use super::{Action, Level, Link, Machine, Pause, name};
use protocol::line::{ClientLine, ServerLine, VERSION};
use protocol::message::{BUS, Hello, Prepare, Progress, Stage};
use protocol::name::printable;
use protocol::presence::{self, Change, Phase};
use protocol::session::Heard;
use protocol::{Cause, Epoch, HostName, Instant, Message, ShutdownId};

impl Machine {
    pub(super) fn connected(&mut self) {
        self.link_begins();
        self.out.push(Action::SayLine(ClientLine::Hello(self.rules.hello.name.clone())));
        self.sense(presence::Input::Connected);
        // An old server says nothing more to one that knew it before: the link itself is the sign.
        self.seen_again(None);
    }

    /// The lines are over, and were said while the server proved itself.
    pub(super) fn proven(&mut self, server: HostName, epoch: Epoch) {
        self.link_begins();
        self.greeted();
        self.sense(presence::Input::Connected);
        self.sense(presence::Input::Greeted);
        self.frames(server, epoch);
    }

    fn link_begins(&mut self) {
        self.links += 1;
        self.refused = false;
        self.link = Some(Link {
            number: self.links,
            since: self.now,
            frames: false,
            greeted: false,
            strange: false,
            unknown: 0,
            bus: false,
        });
    }

    /// The server is the same as far as anybody knows, and has to prove that now: no verdict on it follows.
    pub(super) fn paired(&mut self) {
        self.note(Level::Info, "this machine is paired now; its link is made anew, sealed");
        self.refused = false;
        if self.link.is_some() {
            self.drop_link(Action::HangUp, Pause::Soon);
        }
    }

    /// The link of tcpclient is given another chance.
    pub(super) fn restart_link(&mut self) {
        self.sense(presence::Input::Connected);
        if let (true, Some(server), Some(epoch)) = (self.speaks_frames(), self.server.clone(), self.epoch()) {
            self.sense(presence::Input::Hello { server, epoch });
        }
    }

    pub(super) fn link_over(&mut self, how: presence::Input) {
        let Some(link) = self.link.take() else { return };
        self.close_bus(&link);
        let before = self.presence.phase();
        self.sense(how);
        self.end_drill("the link ended");
        let went = matches!(
            (before, self.presence.phase()),
            (Phase::Stopping { .. }, _) | (Phase::Up { .. }, Phase::Down { .. })
        );
        self.retry(if went && !link.frames { Pause::Rest } else { Pause::Soon });
    }

    /// What came in the same read as the words for which the link was given up is of no concern any more.
    pub(super) fn heard(&mut self, heard: Heard<ServerLine>) {
        match heard {
            _ if self.link.is_none() => {}
            Heard::Line(line) => self.line(line),
            Heard::Message(message) => self.message(message),
            Heard::Unknown(kind) => self.unknown(kind),
        }
    }

    fn unknown(&mut self, kind: u32) {
        let Some(link) = &mut self.link else { return };
        link.unknown += 1;
        let text = format!("frame {} of a kind that is newer than this client ({kind}); it is skipped", link.unknown);
        self.note(Level::Debug, text);
    }

    fn line(&mut self, line: ServerLine) {
        match line {
            ServerLine::Greeting(address) => {
                self.greeted();
                self.note(Level::Debug, format!("the server sees this machine as {address}"));
                self.sense(presence::Input::Greeted);
            }
            ServerLine::Text(text) if self.is_stranger(&text) => self.hang_up_on(&text),
            ServerLine::Text(text) => self.text(&text),
            ServerLine::Shutdown => {
                self.greeted();
                self.sense(presence::Input::ShutdownLine);
            }
            ServerLine::Hello { server, epoch } => self.frames(server, epoch),
        }
    }

    fn frames(&mut self, server: HostName, epoch: Epoch) {
        if let Some(link) = &mut self.link {
            link.frames = true;
        }
        self.stranger = None;
        (self.server, self.reached) = (Some(server.clone()), true);
        self.drop_power_off_before(epoch);
        self.say(Message::Hello(self.rules.hello.clone()));
        self.sense(presence::Input::Hello { server, epoch });
        self.send_decisions();
    }

    fn message(&mut self, message: Message) {
        match message {
            Message::Hello(hello) => self.hello(&hello),
            Message::Beat(beat) => {
                self.say(Message::Echo { number: beat.number });
                self.sense(presence::Input::Beat);
                self.seen_again(self.epoch());
            }
            Message::Prepare(prepare) if prepare.drill => self.prepare_drill(prepare),
            Message::Prepare(prepare) => self.prepare(prepare),
            Message::Cancel(id) if self.drills(id) => self.end_drill("the server cancelled it"),
            Message::Cancel(id) => self.sense(presence::Input::Cancel(id)),
            Message::Commit(id) => self.sense(presence::Input::Commit(id)),
            Message::Refused(why) => {
                self.refuse(format!("the server refuses this client: {}", printable(why.as_bytes())))
            }
            Message::Text(text) => self.note(Level::Info, format!("the server says: {}", printable(text.as_bytes()))),
            Message::Events(_) | Message::Kept(_) => self.out.push(Action::Bus(message)),
            Message::Handshake(_) => {
                self.note(Level::Debug, "the server shakes hands in the middle of a link; it is ignored")
            }
            Message::Echo { .. } | Message::Progress(_) | Message::Decision(_) | Message::Follow(_) => {
                self.note(Level::Debug, "the server sent what only clients say; it is ignored");
            }
        }
    }

    fn hello(&mut self, hello: &Hello) {
        let (name, program) = (&hello.name, printable(hello.program.as_bytes()));
        match hello.version == VERSION {
            true => {
                self.note(Level::Info, format!("linked with {name}, which runs {program}"));
                self.open_bus(hello);
            }
            false => self.refuse(format!(
                "{name} speaks version {} of the frame dialect, this client version {VERSION}; install {program} here too",
                hello.version
            )),
        }
    }

    /// An older server carries no events, which then wait for a newer one.
    fn open_bus(&mut self, hello: &Hello) {
        let carries = hello.capabilities.iter().any(|capability| capability == BUS);
        let Some(link) = self.link.as_mut().filter(|link| carries && !link.bus) else { return };
        link.bus = true;
        self.out.push(Action::BusUp(hello.name.clone()));
    }

    /// The server lives and does not want us: no verdict on it follows, so presence is not told, and its lease runs on.
    fn refuse(&mut self, why: String) {
        self.note(Level::Error, why);
        self.refused = true;
        self.drop_link(Action::HangUp, Pause::Refused);
    }

    /// The answer comes at once, in the stage that has been reached if this is not the first time.
    fn prepare(&mut self, prepare: Prepare) {
        let id = prepare.id;
        self.reason = Some((id, printable(prepare.reason.as_bytes())));
        self.sense(presence::Input::Prepare(prepare));
        self.report_local_end_as(id);
        match self.state.stop().is_some_and(|stop| stop.report.id == Some(id) && self.reports(&stop.gone)) {
            true => self.report(),
            false => self.say(Message::Progress(Progress { id, stage: Stage::Received, outcomes: Vec::new() })),
        }
    }

    /// A client that lets go on its own account is as good as one that was told to, and the server need not wait for it.
    fn report_local_end_as(&mut self, id: ShutdownId) {
        if let (Some(_), State::LettingGo(stop)) = (self.leaving, &mut self.state) {
            stop.report.id.get_or_insert(id);
        }
    }

    /// A server that presence knew before this client started says nothing new when it is still there; but now it is known.
    fn seen_again(&mut self, epoch: Option<Epoch>) {
        let here = matches!(self.presence.phase(), Phase::Up { epoch: known, hold: None } if known == epoch);
        if here && self.goal == Goal::Unknown {
            self.goal = Goal::Up(epoch);
        }
    }

    pub(super) fn changed(&mut self, change: Change) {
        let what = name(&change);
        match (change.phase, change.cause) {
            (Phase::Unknown, _) | (Phase::Up { .. } | Phase::Stopping { .. }, Some(Cause::Own)) => {}
            (Phase::Up { hold: Some(_), .. }, _) => self.held = true,
            (Phase::Up { epoch, hold: None }, _) => self.here(epoch),
            (Phase::Stopping { id, deadline, committed }, _) => self.stopping(id, deadline, committed),
            (Phase::Down { cause, id }, _) => self.gone(cause, id, self.now, true),
        }
        self.decided(change.cause, what, change.evidence);
    }

    /// A run of the server that had announced its restart, or that was first taken for an old server on the same link,
    /// is the one that we work with already.
    fn here(&mut self, seen: Option<Epoch>) {
        let held = std::mem::take(&mut self.held);
        let this_link = self.link.as_ref().map(|link| link.number);
        if let State::Up { epoch, link, .. } = &mut self.state {
            let same = held || (epoch.is_none() && Some(*link) == this_link);
            *epoch = if same { seen } else { *epoch };
        }
        self.goal = Goal::Up(seen);
    }

    fn stopping(&mut self, id: Option<ShutdownId>, deadline: Instant, committed: bool) {
        match &mut self.goal {
            Goal::Gone(gone) if committed && !gone.committed && gone.id == id => gone.committed = true,
            Goal::Gone(_) | Goal::Up(_) | Goal::Unknown => self.gone(Cause::Shutdown, id, deadline, committed),
        }
    }

    fn gone(&mut self, cause: Cause, id: Option<ShutdownId>, deadline: Instant, committed: bool) {
        self.held = false;
        self.goal = Goal::Gone(self.an_end(cause, id, deadline, committed));
    }

    pub(super) fn an_end(&mut self, cause: Cause, id: Option<ShutdownId>, deadline: Instant, committed: bool) -> Gone {
        self.goals += 1;
        let reason = self.reason.as_ref().filter(|(of, _)| Some(*of) == id).map(|(_, words)| words.clone());
        let reason = reason.unwrap_or_default();
        Gone { number: self.goals, cause, id, reason, deadline, committed, resumed: false }
    }
}
