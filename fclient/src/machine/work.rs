//! From the goal to hooks: the table of what runs next, and what follows from its end.
//!
//! A row of `server-up` that is overtaken is cancelled; a row that lets go never is, but for a restart of this client,
//! whose journal then takes it up again. Goals that come and go while a row runs leave no trace: the last one wins.

use super::state::{Goal, Gone, State, Stop};
use super::{Action, Exit, Leave, Level, Machine, Pause, Run, Running};
use protocol::fact::Fact;
use protocol::hook::HookEvent;
use protocol::message::{HookOutcome, HookResult, Stage};
use protocol::presence::{self, Phase};
use protocol::{Cause, Epoch, Instant, Message};

/// A hook that asks to be tried again so often is told of. Before that its server may just be a little late.
const FAILS_FOR_NOW: u32 = 4;

/// What is to be done when no row of hooks runs.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// Nothing, until something happens.
    Rest,
    TakeUp(Option<Epoch>),
    LetGo(Gone),
    /// An earlier run of this client began the row.
    FinishLettingGo,
    /// The hooks have let go, and there is no way back.
    Release,
    FinishPoweringOff,
    /// The hooks have let go, and nothing follows from it.
    Forget,
    Exit,
}

impl Machine {
    pub(super) fn advance(&mut self) {
        if self.running.is_some() {
            return self.overtake();
        }
        while self.running.is_none() && self.perform(self.next()) {}
    }

    /// Cancels the row that runs, if something newer asks for it.
    fn overtake(&mut self) {
        let Some(running) = &self.running else { return };
        let overtaken = match running.event {
            _ if running.drill => self.drill.is_none() || self.next() != Step::Rest,
            HookEvent::ServerUp => self.leaving.is_some() || matches!(self.goal, Goal::Gone(_)),
            HookEvent::ServerStopping | HookEvent::ServerLost => self.leaving == Some(Leave::Restart),
            HookEvent::PowerOff | HookEvent::ClientsReleased | HookEvent::GoingDown | HookEvent::Fact(_) => false,
        };
        if overtaken && !running.cancelled {
            self.running = Some(Running { event: running.event, drill: running.drill, cancelled: true });
            self.out.push(Action::CancelRun);
        }
    }

    fn next(&self) -> Step {
        match (self.leaving, &self.state) {
            _ if self.exited => Step::Rest,
            (Some(Leave::Restart), _) => Step::Exit,
            (_, State::LettingGo(stop)) if !stop.over => Step::FinishLettingGo,
            (Some(Leave::Shutdown), _) => self.next_before_leaving(),
            (None, _) if self.is_over() => Step::Exit,
            (None, _) => self.next_towards_goal(),
        }
    }

    fn next_towards_goal(&self) -> Step {
        match (&self.goal, &self.state) {
            (Goal::Unknown, State::LettingGo(_)) => Step::Forget,
            (Goal::Unknown, _) => Step::Rest,
            (Goal::Up(seen), State::Up { epoch, complete: true, .. }) if seen == epoch => Step::Rest,
            (Goal::Up(seen), _) => Step::TakeUp(*seen),
            (Goal::Gone(gone), state) if !state.is_about(gone) => Step::LetGo(gone.clone()),
            (Goal::Gone(gone), State::LettingGo(_)) if gone.committed => Step::Release,
            (Goal::Gone(_), State::PoweringOff { done: false, .. }) if !self.is_hesitating() => Step::FinishPoweringOff,
            (Goal::Gone(_), _) => Step::Rest,
        }
    }

    /// Whoever ends this client on its own machine wants it to let go, and wants the machine to stay on.
    fn next_before_leaving(&self) -> Step {
        match (&self.state, &self.goal) {
            (State::Up { .. }, Goal::Gone(gone)) => Step::LetGo(gone.clone()),
            (State::Up { .. }, _) => Step::LetGo(Gone { number: 0, ..self.local_end() }),
            (State::LettingGo(_) | State::PoweringOff { done: false, .. }, _) => Step::Forget,
            (State::Nothing | State::PoweringOff { done: true, .. } | State::Down(_), _) => Step::Exit,
        }
    }

    fn local_end(&self) -> Gone {
        let (reason, deadline) = (String::new(), self.now);
        Gone { number: 0, cause: Cause::Local, id: None, reason, deadline, committed: true, resumed: false }
    }

    /// The one link of tcpclient is over, or may be, and so are the hooks.
    fn is_over(&self) -> bool {
        let open = matches!(self.presence.phase(), Phase::Unknown | Phase::Up { hold: Some(_), .. }) || self.refused;
        let (settled, fresh) = match (&self.state, &self.goal) {
            (State::PoweringOff { done: true, stop } | State::Down(stop), Goal::Gone(gone)) => {
                (stop.gone.number == gone.number, !gone.resumed)
            }
            _ => (false, false),
        };
        let over = if self.link.is_none() { open || settled } else { settled && fresh };
        self.rules.once && self.links > 0 && over
    }

    /// Does one step; whether another one may follow.
    fn perform(&mut self, step: Step) -> bool {
        match step {
            Step::Rest => return false,
            Step::TakeUp(epoch) => self.take_up(epoch),
            Step::LetGo(gone) => self.let_go(gone),
            Step::FinishLettingGo => self.run_letting_go(),
            Step::Release => self.release(),
            Step::FinishPoweringOff => self.run(HookEvent::PowerOff),
            Step::Forget => self.forget(),
            Step::Exit => self.exit(),
        }
        true
    }

    fn take_up(&mut self, epoch: Option<Epoch>) {
        self.drop_power_off();
        let link = self.link.as_ref().map_or(0, |link| link.number);
        self.state = State::Up { epoch, link, complete: false };
        self.run(HookEvent::ServerUp);
    }

    /// A server that is merely lost has to be let go of only if something was taken up.
    fn let_go(&mut self, gone: Gone) {
        let lost = event(gone.cause) == HookEvent::ServerLost;
        let needed = !lost || matches!(self.state, State::Up { .. });
        self.state = State::LettingGo(Stop { over: !needed, ..Stop::new(gone) });
        match needed {
            true => self.run_letting_go(),
            false => self.note(Level::Info, "nothing had been taken up, so no hook has to let go"),
        }
    }

    fn run_letting_go(&mut self) {
        let cause = self.state.stop().map_or(Cause::Local, |stop| stop.gone.cause);
        self.run(event(cause));
    }

    fn run(&mut self, event: HookEvent) {
        let stop = self.state.stop();
        let run = Run {
            event,
            cause: stop.map(|stop| stop.gone.cause),
            server: self.server.clone(),
            id: stop.and_then(|stop| stop.gone.id),
            reason: stop.map(|stop| stop.gone.reason.clone()).unwrap_or_default(),
            until: self.patience(event),
            skip: self.skipped(),
            drill: false,
        };
        self.running = Some(Running { event, drill: false, cancelled: false });
        self.out.push(Action::Run(run));
    }

    /// Who was told to let go has until the server's deadline.
    fn patience(&self, event: HookEvent) -> Option<Instant> {
        let gone = &self.state.stop().filter(|_| event == HookEvent::ServerStopping)?.gone;
        (gone.cause == Cause::Shutdown).then_some(gone.deadline)
    }

    fn skipped(&self) -> Vec<String> {
        match &self.state {
            State::LettingGo(stop) => stop.report.ended.iter().map(|outcome| outcome.hook.clone()).collect(),
            State::Nothing | State::Up { .. } | State::PoweringOff { .. } | State::Down(_) => Vec::new(),
        }
    }

    /// The last decision of an end: whether this machine powers off.
    fn release(&mut self) {
        let State::LettingGo(stop) = &self.state else { return };
        let (stop, verdict) = (stop.clone(), self.power_verdict(&stop.gone));
        match verdict {
            Ok(why) => {
                self.state = State::PoweringOff { stop, done: false };
                self.decided(None, "powering off", vec![why]);
                self.run(HookEvent::PowerOff);
            }
            Err(why) => {
                self.state = State::Down(stop);
                self.decided(None, "staying on", vec![why]);
                self.depart();
            }
        }
    }

    fn power_verdict(&self, gone: &Gone) -> Result<String, String> {
        let (cause, policy) = (gone.cause, self.rules.policy);
        if gone.id.is_some() && gone.id == self.powered_off {
            return Err("the hooks of power-off have run for this shutdown already".into());
        }
        match (cause, cause.powers_off(policy)) {
            (Cause::Shutdown, true) if self.is_hearsay(gone) => {
                Err("an earlier run of this client heard of the shutdown, not of its commit, and the server is out of reach".into())
            }
            (Cause::Lost, true) if gone.resumed => Err("an earlier run of this client lost the server".into()),
            (Cause::Lost, true) => Ok("cause lost, and POWER_OFF_ON_LOST is set".into()),
            (_, true) => Ok(format!("cause {cause}, and POWER_OFF is set")),
            (Cause::Shutdown | Cause::Closed, false) => Err(format!("cause {cause}, and POWER_OFF is not set")),
            (Cause::Lost, false) => Err("cause lost, and POWER_OFF_ON_LOST is not set".into()),
            (Cause::Restart | Cause::Own | Cause::Local, false) => Err(format!("cause {cause} never powers off")),
        }
    }

    /// All is done: the server is told, and one that understands nothing else sees the link end. If it has come to
    /// another end meanwhile, or is back, that is not done yet.
    fn depart(&mut self) {
        self.goodbye();
        if self.state.stop().is_some_and(|stop| self.is_overtaken(&stop.gone)) {
            return;
        }
        if matches!(self.presence.phase(), Phase::Stopping { id: None, .. })
            && self.link.is_some()
            && !self.speaks_frames()
        {
            self.sense(presence::Input::Closed);
            self.drop_link(Action::HangUp, Pause::Rest);
        }
        self.sense(presence::Input::LetGo);
    }

    fn goodbye(&mut self) {
        if let Some(stop) = self.state.stop_mut() {
            stop.report.reach(Stage::Bye);
        }
        self.report();
    }

    /// The hooks have let go of something that is of no concern any more, or this client leaves before the server does.
    fn forget(&mut self) {
        if self.leaving.is_some() {
            self.goodbye();
        }
        let leaving = self.leaving.is_some();
        if let Some(mut stop) = self.state.stop().cloned() {
            stop.gone.cause = if leaving { Cause::Local } else { stop.gone.cause };
            self.state = State::Down(stop);
        }
    }

    fn exit(&mut self) {
        let gone = self.state.stop().map(|stop| stop.gone.cause);
        let over = matches!(
            (&self.state, gone),
            (State::Up { .. } | State::Nothing, _) | (_, Some(Cause::Lost | Cause::Restart))
        );
        self.exited = true;
        self.running = None;
        self.out.push(Action::Exit(if over && self.leaving.is_none() { Exit::Again } else { Exit::Done }));
    }

    pub(super) fn leave(&mut self, leave: Leave) {
        let first = self.leaving.is_none();
        let leave = *self.leaving.get_or_insert(leave);
        let goes_on = self.running.as_ref().is_some_and(|running| running.event != HookEvent::ServerUp);
        if first && goes_on && leave == Leave::Shutdown {
            self.note(Level::Info, "the hooks that run are let finish before this client ends; it will not power off");
        }
    }

    pub(super) fn hook_began(&mut self, hook: String, attempt: u32) {
        if self.drill_runs() {
            return self.drill_hook_began(&hook);
        }
        if attempt == FAILS_FOR_NOW {
            let result = format!("asks to be tried again; this is attempt {attempt}, and it goes on");
            self.tell_failed(hook.clone(), result);
        }
        let State::LettingGo(stop) = &mut self.state else { return };
        let reached = stop.report.began(&hook);
        stop.begun = Some(hook);
        if reached {
            self.report();
        }
    }

    pub(super) fn hook_ended(&mut self, outcome: HookOutcome) {
        if self.drill_runs() {
            return self.drill_hook_ended(outcome);
        }
        let cancelled = outcome.result == HookResult::Cancelled;
        if !cancelled && outcome.result != HookResult::Done {
            self.tell_failed(outcome.hook.clone(), outcome.result.to_string());
        }
        if let Some(stop) = self.state.stop_mut().filter(|_| !cancelled) {
            stop.begun = None;
            stop.report.ended(outcome);
        }
    }

    /// Whoever runs this house looks for it on the server, or with his own hook, and not in the log of each machine.
    fn tell_failed(&mut self, hook: String, result: String) {
        let about = self.running.as_ref().map(|running| running.event.name().to_owned()).unwrap_or_default();
        self.out.push(Action::Tell(Fact::HookFailed { hook, about, result }));
    }

    pub(super) fn run_ended(&mut self) {
        let Some(running) = self.running.take() else { return };
        if running.drill {
            return self.drill_run_ended(&running);
        }
        match &mut self.state {
            State::Up { complete, .. } => *complete = !running.cancelled,
            State::LettingGo(stop) if !running.cancelled => {
                stop.over = true;
                self.let_go_over();
            }
            State::PoweringOff { stop, done } => {
                *done = true;
                self.powered_off = stop.gone.id.or(self.powered_off);
                self.depart();
            }
            State::LettingGo(_) | State::Down(_) | State::Nothing => {}
        }
    }

    /// The server hears `unmounted` only if that is true.
    fn let_go_over(&mut self) {
        let Some(stop) = self.state.stop_mut() else { return };
        let free = stop.report.has_let_go();
        if stop.report.reach(Stage::Stopped) || !free {
            self.report();
        }
        if let (true, Some(stop)) = (free, self.state.stop_mut()) {
            stop.report.reach(Stage::Unmounted);
            self.report();
        }
    }

    /// Sends the stage and the outcomes since the last report, if anybody waits for them.
    pub(super) fn report(&mut self) {
        let wanted = self.speaks_frames() && self.state.stop().is_some_and(|stop| self.reports(&stop.gone));
        let progress = self.state.stop_mut().filter(|_| wanted).and_then(|stop| stop.report.progress());
        if let Some(progress) = progress {
            self.say(Message::Progress(progress));
        }
    }

    /// Whether this end is still the one that the server waits for.
    pub(super) fn reports(&self, gone: &Gone) -> bool {
        self.leaving.is_some() || matches!(&self.goal, Goal::Gone(wanted) if wanted.number == gone.number)
    }

    /// Whether this state's end is one that a newer state overtook.
    pub(super) fn is_overtaken(&self, gone: &Gone) -> bool {
        let wanted = matches!(&self.goal, Goal::Gone(wanted) if wanted.number == gone.number);
        self.leaving == Some(Leave::Shutdown) || !wanted
    }
}

/// Which hooks let go after a cause.
pub(super) fn event(cause: Cause) -> HookEvent {
    match cause {
        Cause::Lost | Cause::Restart => HookEvent::ServerLost,
        Cause::Shutdown | Cause::Closed | Cause::Own | Cause::Local => HookEvent::ServerStopping,
    }
}
