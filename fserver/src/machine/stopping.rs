//! The part of the machine that lets everybody go: announcements, progress, commit, cancel, drills, and what
//! SIGTERM leads to.

use super::{Action, ControlId, House, Level, PeerId, Released, Speaker, Via, cut, info, warn};
use protocol::control::{CANCELLED, Moment, Reply, ShutdownRequest};
use protocol::line::ServerLine;
use protocol::message::{HookOutcome, HookResult, Prepare, Progress};
use protocol::shutdown::{Afterwards, Committed, Order, Party, Shutdown};
use protocol::{Cause, HostName, Instant, Message, ShutdownId, frame};
use std::rc::Rc;

/// How many bytes the operator's words may have; they travel in every announcement and in every hook's environment.
const MOST_REASON: usize = 4096;
/// How many hooks one report may tell of.
const MOST_OUTCOMES: usize = 64;

impl House {
    /// A `shutdown` line: eight bytes from anywhere must not power a server off.
    pub(super) fn asked_by_line(&mut self, id: PeerId, now: Instant) -> Vec<Action> {
        let address = self.peers.get(&id).and_then(|peer| peer.address).map(|address| address.to_canonical());
        let who = self.address(id);
        let allowed = address.is_some_and(|address| self.rules.shutdown_from.contains(&address));
        if !allowed {
            return vec![warn(format!(
                "{who} asked for a shutdown and has no right to; list it in SHUTDOWN_FROM if it should"
            ))];
        }
        let order = self.order(Cause::Shutdown, format!("asked by {who}"));
        self.begin(order, now).unwrap_or_else(|why| vec![warn(why)])
    }

    pub(super) fn asked_to_shut_down(
        &mut self,
        asker: ControlId,
        request: ShutdownRequest,
        now: Instant,
    ) -> Vec<Action> {
        let cause = if request.restart.is_some() { Cause::Restart } else { Cause::Shutdown };
        let within = request.restart.or(request.deadline).unwrap_or(self.rules.deadline);
        let order = Order { cause, within, reason: request.reason, drill: request.drill, then: request.then };
        if request.dry_run {
            return vec![Action::Reply(asker, Reply::Plan(self.plan(&order))), done(asker, Vec::new())];
        }
        match self.begin(order, now) {
            Ok(actions) => {
                self.watchers.push(asker);
                actions
            }
            Err(why) => vec![Action::Reply(asker, Reply::Refused(why))],
        }
    }

    pub(super) fn asked_to_cancel(&mut self, asker: ControlId) -> Vec<Action> {
        match self.cancel() {
            Ok(mut actions) => {
                actions.push(done(asker, Vec::new()));
                actions
            }
            Err(why) => vec![Action::Reply(asker, Reply::Refused(why))],
        }
    }

    /// SIGTERM, and what it means. A restart that somebody announced makes every end within its time a restart, and the
    /// time that was named still holds.
    pub(super) fn terminate(
        &mut self,
        cause: Cause,
        then: Afterwards,
        mut evidence: Vec<String>,
        now: Instant,
    ) -> Vec<Action> {
        let promised = self.returning.filter(|until| now < *until).map(|until| until.since(now));
        let cause = if promised.is_some() { Cause::Restart } else { cause };
        if promised.is_some() {
            evidence.push("a restart was announced and its time has not passed".into());
        }
        let mut actions = vec![info(format!("told to end; this is a {cause}: {}", evidence.join("; ")))];
        self.memory.record(&self.rules.name.clone(), "server", format!("ends by {cause}"), evidence, now);
        self.terminating = true;
        actions.extend(self.end_drill());
        match (&self.shutdown, self.hooks_running) {
            (Some(shutdown), _) if shutdown.order().then == Afterwards::Undecided => {
                actions.extend(self.decide(then, now));
                actions.extend(self.exit_if_over(now));
            }
            (Some(_), _) | (None, true) => {
                actions.push(info("a shutdown is in progress; the end comes with its end".into()));
                actions.extend(self.exit_if_over(now));
            }
            (None, false) => {
                let mut order = self.order(cause, "the service is being stopped".into());
                (order.within, order.then) = (promised.unwrap_or(order.within), then);
                actions.extend(self.begin(order, now).unwrap_or_else(|why| vec![warn(why), Action::Exit]));
            }
        }
        actions
    }

    fn order(&self, cause: Cause, reason: String) -> Order {
        let within = if cause == Cause::Restart { self.rules.back_within } else { self.rules.deadline };
        Order { cause, within, reason, drill: false, then: Afterwards::Stays }
    }

    /// Our machine is about to go down and gives us the time to let everybody go while all else still serves.
    pub(super) fn machine_goes(&mut self, then: Afterwards, now: Instant) -> Vec<Action> {
        self.machine_waits = true;
        let mut actions = vec![info("this machine is about to go down, and waits for us".into())];
        actions.extend(self.end_drill());
        match &self.shutdown {
            Some(shutdown) if shutdown.order().then == Afterwards::Undecided => actions.extend(self.decide(then, now)),
            Some(_) => {}
            None if self.returning.is_some_and(|until| now < until) => {
                actions.push(info("a restart was announced and its time has not passed: everybody holds still".into()));
            }
            None => {
                let order = self.order(Cause::Shutdown, "the machine goes down".into());
                actions.extend(self.begin(Order { then, ..order }, now).unwrap_or_else(|why| vec![warn(why)]));
                self.machines_own = self.shutdown.as_ref().map(Shutdown::id);
            }
        }
        actions.extend(self.let_machine_go_if_over());
        actions
    }

    /// Whoever has not been told to power off is called back.
    pub(super) fn machine_stays(&mut self) -> Vec<Action> {
        self.machine_waits = false;
        let on_its_way = |shutdown: &&Shutdown| {
            let way_back = !shutdown.committed() || shutdown.order().then == Afterwards::Undecided;
            way_back && self.machines_own == Some(shutdown.id()) && !self.terminating
        };
        match self.shutdown.as_ref().filter(on_its_way) {
            Some(shutdown) => {
                let ran = self.hooks_run == Some(shutdown.id());
                let mut actions = self.take_back(shutdown.id(), "taken back, since this machine stays on");
                if ran {
                    actions
                        .push(warn("hooks of going-down have run: what they stopped has to be started again".into()));
                }
                actions
            }
            None => vec![info("this machine stays on after all".into())],
        }
    }

    /// What becomes of our machine is known now; those who could not be told before are told.
    fn decide(&mut self, then: Afterwards, now: Instant) -> Vec<Action> {
        let (_, old) = self.by_dialect();
        let labels: Vec<(PeerId, String)> = old.into_iter().map(|id| (id, self.label(id))).collect();
        let Some(shutdown) = self.shutdown.as_mut().filter(|_| then != Afterwards::Undecided) else {
            return Vec::new();
        };
        shutdown.decide(then, now);
        for (id, label) in &labels {
            shutdown.join(Party::Old(id.0), label.clone(), now);
        }
        let mut actions = tell_old(labels.into_iter().map(|(id, _)| id).collect());
        actions.extend(self.review(now));
        actions
    }

    /// What is real comes before what is practised.
    fn end_drill(&mut self) -> Vec<Action> {
        match &self.shutdown {
            Some(shutdown) if shutdown.order().drill => self.take_back(shutdown.id(), "cancelled by what is real"),
            _ => Vec::new(),
        }
    }

    fn begin(&mut self, mut order: Order, now: Instant) -> Result<Vec<Action>, String> {
        order.reason.truncate(order.reason.floor_char_boundary(MOST_REASON));
        let ended = if order.drill { Vec::new() } else { self.end_drill() };
        self.announce_to_all(order, now).map(|actions| ended.into_iter().chain(actions).collect())
    }

    fn announce_to_all(&mut self, order: Order, now: Instant) -> Result<Vec<Action>, String> {
        if let Some(running) = &self.shutdown {
            return Err(format!(
                "{} {} is already in progress; `pistop status` shows it",
                kind(running.order()),
                running.id()
            ));
        }
        self.shutdowns += 1;
        let id = ShutdownId { epoch: self.rules.epoch, number: self.shutdowns };
        let mut shutdown = Shutdown::begin(id, order, now);
        self.shutdown_began = now;
        let (new, old) = self.by_dialect();
        let mut actions = announce(&shutdown, &new, &old, now);
        for &peer in &new {
            let host = self.host(peer).expect("by_dialect lists as new only peers that said hello");
            shutdown.join(Party::New(host.clone()), host.to_string(), now);
        }
        for &peer in &old {
            shutdown.join(Party::Old(peer.0), self.address(peer), now);
        }
        let order = shutdown.order();
        let reason = if order.reason.is_empty() { "no reason given" } else { &order.reason };
        actions.push(info(format!(
            "{} {id} begins: {} new and {} old clients, {:.0} s, {reason}",
            kind(order),
            new.len(),
            old.len(),
            order.within.as_secs_f64(),
        )));
        if !order.drill {
            self.returning = (order.cause == Cause::Restart).then(|| now + order.within);
        }
        actions.extend(self.tell_announced(&shutdown));
        self.shutdown = Some(shutdown);
        actions.extend(self.review(now));
        Ok(actions)
    }

    /// Peers that said hello in frames, and all others but those in the middle of saying it, or who have yet to show
    /// that they may stay.
    fn by_dialect(&self) -> (Vec<PeerId>, Vec<PeerId>) {
        let spoken = self
            .peers
            .iter()
            .filter(|(id, peer)| !matches!(peer.speaker, Speaker::Greeted(_)) && !self.guard.is_unproven(**id));
        let (new, old): (Vec<_>, Vec<_>) = spoken.partition(|(_, peer)| matches!(peer.speaker, Speaker::New(_)));
        let ids = |peers: Vec<(&PeerId, _)>| peers.into_iter().map(|(id, _)| *id).collect();
        (ids(new), ids(old))
    }

    /// Somebody arrives while a shutdown goes on, and has just shown which dialect it speaks.
    /// `None` if it concerns him in no way. A machine that is switched on after the commit hears nothing at all: it has taken
    /// nothing up, and must not power itself off each time it is switched on.
    pub(super) fn tell_latecomer(&mut self, id: PeerId, now: Instant) -> Option<Vec<Action>> {
        let (host, label) = (self.host(id), self.label(id));
        let shutdown = self.shutdown.as_mut()?;
        let Some(host) = host else {
            let concerns = tells_old(shutdown.order());
            return concerns.then(|| {
                shutdown.join(Party::Old(id.0), label, now);
                tell_old(vec![id])
            });
        };
        let party = Party::New(host);
        if shutdown.committed() && !shutdown.knows(&party) {
            return Some(vec![info(format!(
                "{label} comes too late for {}; it waits for the next run",
                shutdown.id()
            ))]);
        }
        let prepare = Message::Prepare(shutdown.join(party, label, now));
        let (id_of_it, order) = (shutdown.id(), shutdown.order().clone());
        let last_word = if shutdown.committed() { self.last_word(id_of_it, &order, now) } else { None };
        let messages = std::iter::once(prepare).chain(last_word);
        Some(messages.map(|message| Action::Send(vec![id], frame::encode(&message).into())).collect())
    }

    pub(super) fn progress(&mut self, id: PeerId, host: HostName, told: Progress, now: Instant) -> Vec<Action> {
        let outcomes = told.outcomes.into_iter().take(MOST_OUTCOMES).map(cut_outcome).collect();
        let progress = Progress { outcomes, ..told };
        if let Some(super::Peer { speaker: Speaker::New(client), .. }) = self.peers.get_mut(&id).map(Box::as_mut) {
            client.last_hook = progress.outcomes.last().cloned().map(Box::new).or(client.last_hook.take());
        }
        let mut actions = Vec::new();
        for outcome in &progress.outcomes {
            let text = format!("{} {} after {:.1} s", outcome.hook, outcome.result, outcome.took.as_secs_f64());
            let note = format!("{host}: {text}");
            actions.push(if outcome.result == HookResult::Done { info(note) } else { warn(note) });
            actions.extend(self.moment(host.as_str(), text, now));
        }
        actions.push(info(format!("{host} reports `{}` of {}", progress.stage.word(), progress.id)));
        actions.extend(self.moment(host.as_str(), progress.stage.word().into(), now));
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.progress(&host, progress);
        }
        actions.extend(self.review(now));
        actions
    }

    pub(super) fn party_left(&mut self, party: Party, now: Instant) -> Vec<Action> {
        let Some(shutdown) = &mut self.shutdown else { return Vec::new() };
        let Some(who) = shutdown.left(&party).map(str::to_owned) else { return Vec::new() };
        let mut actions = self.moment(&who, "closed its link".into(), now);
        actions.extend(self.review(now));
        actions
    }

    /// Looks whether the first phase is over.
    pub(super) fn review(&mut self, now: Instant) -> Vec<Action> {
        let Some(shutdown) = &mut self.shutdown else { return Vec::new() };
        let Some(Committed { late }) = shutdown.review(now) else { return Vec::new() };
        let (id, order) = (shutdown.id(), shutdown.order().clone());
        if let Afterwards::Returns(within) = order.then
            && order.cause == Cause::Shutdown
        {
            self.returning = Some(now + within);
        }
        let mut actions = self.pass_the_point_of_no_return(id, &order, now);
        actions.extend(self.tell_committed(id, &order, &late));
        actions.extend(late.iter().map(|who| warn(format!("not finished: {who}"))));
        actions.push(info(format!("{} {id} is committed, {} late", kind(&order), late.len())));
        actions.extend(self.moment("server", "committed".into(), now));
        self.late = late.clone();
        if order.cause == Cause::Shutdown && !order.drill {
            actions.extend(self.run_hooks_once(id, order, late));
        } else {
            self.shutdown = None;
            actions.extend(self.tell_watchers_done());
        }
        actions.extend(self.let_machine_go_if_over());
        actions.extend(self.exit_if_over(now));
        actions
    }

    /// When we are being stopped, whoever stops us stops the rest in its own order, and would wait for us meanwhile.
    fn run_hooks_once(&mut self, id: ShutdownId, order: Order, late: Vec<String>) -> Vec<Action> {
        if self.hooks_run.replace(id) == Some(id) {
            return self.tell_watchers_done();
        }
        let going_down = order.then != Afterwards::Stays && !self.terminating;
        let returns = matches!(order.then, Afterwards::Returns(_));
        self.hooks_running = true;
        vec![Action::RunHooks(Released { id, reason: order.reason, late, going_down, returns })]
    }

    /// What follows on the announcement for those who speak frames, once everybody has let go.
    fn last_word(&self, id: ShutdownId, order: &Order, now: Instant) -> Option<Message> {
        match order.then {
            Afterwards::Stays | Afterwards::GoesDown => Some(Message::Commit(id)),
            Afterwards::Undecided => None,
            Afterwards::Returns(within) => {
                let within = self.returning.map_or(within, |until| until.since(now));
                let reason = order.reason.clone();
                Some(Message::Prepare(Prepare { id, cause: Cause::Restart, within, reason, drill: false }))
            }
        }
    }

    fn pass_the_point_of_no_return(&self, id: ShutdownId, order: &Order, now: Instant) -> Vec<Action> {
        let (new, old) = self.by_dialect();
        match order {
            Order { drill: true, .. } => Vec::new(),
            Order { cause: Cause::Restart, .. } => self.keep_old(old).into_iter().collect(),
            Order { .. } => {
                let untold =
                    old.into_iter().filter(|id| self.shutdown.as_ref().is_some_and(|s| !s.knows(&Party::Old(id.0))));
                let mut actions = if tells_old(order) { tell_old(untold.collect()) } else { Vec::new() };
                match self.last_word(id, order, now) {
                    Some(word) => actions.push(Action::Send(new, frame::encode(&word).into())),
                    None => actions.push(info(
                        "whether this machine goes down or starts again is not known yet; nobody powers off so far"
                            .into(),
                    )),
                }
                actions
            }
        }
    }

    /// A service that restarts must not end the links of old clients: they would take it for a shutdown.
    /// Peers behind a child of tcpserver keep their link anyway.
    fn keep_old(&self, old: Vec<PeerId>) -> Option<Action> {
        let own: Vec<PeerId> = old.into_iter().filter(|id| self.peers[id].via == Via::Tcp).collect();
        (self.terminating && !own.is_empty()).then_some(Action::Keep(own))
    }

    pub(super) fn hooks_ended(&mut self, outcomes: Vec<HookOutcome>, now: Instant) -> Vec<Action> {
        self.hooks_running = false;
        let mut actions = Vec::new();
        for outcome in outcomes {
            let text = format!("{} {}", outcome.hook, outcome.result);
            let level = if outcome.result == HookResult::Done { Level::Info } else { Level::Warn };
            actions.push(Action::Note(level, text.clone()));
            actions.extend(self.moment("server", text, now));
        }
        actions.extend(self.tell_watchers_done());
        actions.extend(self.let_machine_go_if_over());
        actions.extend(self.exit_if_over(now));
        actions
    }

    fn let_machine_go_if_over(&mut self) -> Option<Action> {
        let over = self.is_over() && self.machine_waits;
        self.machine_waits &= !over;
        over.then_some(Action::LetMachineGo)
    }

    fn is_over(&self) -> bool {
        self.shutdown.as_ref().is_none_or(Shutdown::committed) && !self.hooks_running
    }

    /// After a commit the house stays told, so that whoever comes back hears of it, until the service itself ends.
    fn exit_if_over(&mut self, now: Instant) -> Vec<Action> {
        if !(self.terminating && self.is_over()) {
            return Vec::new();
        }
        let mut actions = self.reset_silent(now);
        actions.push(Action::Exit);
        actions
    }

    fn cancel(&mut self) -> Result<Vec<Action>, String> {
        let Some(shutdown) = &self.shutdown else { return self.cancel_restart() };
        let id = shutdown.id();
        if self.terminating {
            return Err(format!("{id} cannot be cancelled: the service itself is being stopped"));
        }
        if shutdown.committed() {
            return Err(format!(
                "{id} cannot be cancelled any more: clients have let go; restart fserver to take up work"
            ));
        }
        let told: Vec<String> = shutdown.parts().into_iter().filter(|part| part.old).map(|part| part.who).collect();
        let mut actions = self.take_back(id, CANCELLED);
        if !told.is_empty() {
            actions.push(warn(format!("old clients cannot be called back: {}", told.join(", "))));
        }
        Ok(actions)
    }

    /// A restart is over for us as soon as everybody has heard of it; clients hold still until its time has passed.
    fn cancel_restart(&mut self) -> Result<Vec<Action>, String> {
        match self.returning {
            Some(_) if !self.terminating => {
                Ok(self.take_back(ShutdownId { epoch: self.rules.epoch, number: self.shutdowns }, CANCELLED))
            }
            _ => Err("no shutdown is in progress".into()),
        }
    }

    fn take_back(&mut self, id: ShutdownId, word: &str) -> Vec<Action> {
        let drill = self.shutdown.take().is_some_and(|shutdown| shutdown.order().drill);
        self.returning = None;
        let (new, _) = self.by_dialect();
        let mut actions = vec![Action::Send(new, frame::encode(&Message::Cancel(id)).into())];
        actions.push(info(format!("{id} is {word}")));
        if !drill {
            actions.extend(self.tell_cancelled(id));
        }
        self.late = vec![word.into()];
        actions.extend(self.tell_watchers_done());
        actions
    }

    fn plan(&self, order: &Order) -> Vec<String> {
        let (new, old) = self.by_dialect();
        let seconds = order.within.as_secs_f64();
        let told = match order.cause {
            Cause::Restart => format!("hold still for {seconds:.0} s"),
            _ => match order.then {
                Afterwards::Returns(_) => format!("let go within {seconds:.0} s, and stay on"),
                _ => format!("let go within {seconds:.0} s, then power off where POWER_OFF is set"),
            },
        };
        let mut lines: Vec<String> = new.iter().map(|&id| format!("{}: {told}", self.label(id))).collect();
        let old_told = if order.cause == Cause::Restart { "nothing, its link is kept" } else { "`shutdown`" };
        lines.extend(old.iter().map(|&id| format!("{} (old client): {old_told}", self.label(id))));
        // As in review: a restart runs none.
        let hooks = match order.then {
            _ if order.cause == Cause::Restart => return lines,
            Afterwards::Stays => "clients-released",
            _ => "clients-released and going-down",
        };
        lines.push(format!("{}: then the hooks of {hooks}", self.rules.name));
        lines
    }

    pub(super) fn moment(&self, who: &str, what: String, now: Instant) -> Vec<Action> {
        let at = now.since(self.shutdown_began);
        let moment = Moment { at, who: who.into(), what };
        self.watchers.iter().map(|&asker| Action::Reply(asker, Reply::Moment(moment.clone()))).collect()
    }

    fn tell_watchers_done(&mut self) -> Vec<Action> {
        let late = std::mem::take(&mut self.late);
        self.watchers.drain(..).map(|asker| done(asker, late.clone())).collect()
    }

    pub(super) fn asker_gone(&mut self, asker: ControlId) -> Vec<Action> {
        self.watchers.retain(|&watcher| watcher != asker);
        self.pairing_asker_gone(asker)
    }
}

/// New clients get the announcement; old ones their line and then the end of our half. A restart and a drill are nothing
/// that an old client could understand.
fn announce(shutdown: &Shutdown, new: &[PeerId], old: &[PeerId], now: Instant) -> Vec<Action> {
    let prepare: Rc<[u8]> = frame::encode(&Message::Prepare(shutdown.prepare(now))).into();
    let mut actions = vec![Action::Send(new.to_vec(), prepare)];
    if tells_old(shutdown.order()) {
        actions.extend(tell_old(old.to_vec()));
    }
    actions
}

/// An old client that is told powers off if it shall; so it is not told before that is certain.
fn tells_old(order: &Order) -> bool {
    order.cause == Cause::Shutdown && !order.drill && order.then != Afterwards::Undecided
}

fn tell_old(old: Vec<PeerId>) -> Vec<Action> {
    vec![Action::Send(old.clone(), ServerLine::Shutdown.encode().into()), Action::HalfClose(old)]
}

fn cut_outcome(told: HookOutcome) -> HookOutcome {
    let result = match told.result {
        HookResult::NotRun(why) => HookResult::NotRun(cut(&why)),
        result => result,
    };
    HookOutcome { hook: cut(&told.hook), result, ..told }
}

/// What a shutdown is called.
pub(super) fn kind(order: &Order) -> &'static str {
    match order {
        Order { drill: true, .. } => "drill",
        Order { cause: Cause::Restart, .. } => "restart",
        Order { .. } => "shutdown",
    }
}

fn done(asker: ControlId, late: Vec<String>) -> Action {
    Action::Reply(asker, Reply::Done { late })
}
