//! A drill: all stages of a shutdown, with a harmless command in place of each hook. Presence hears nothing of it, and
//! whatever really happens ends it.

use super::report::Report;
use super::{Action, Level, Machine, Run, Running};
use protocol::hook::HookEvent;
use protocol::message::{HookOutcome, Prepare, Stage};
use protocol::name::printable;
use protocol::{Cause, Instant, Message, ShutdownId};

/// The present drill, or the last one.
#[derive(Debug)]
pub(super) struct Drill {
    id: ShutdownId,
    reason: String,
    until: Instant,
    report: Report,
}

impl Machine {
    pub(super) fn prepare_drill(&mut self, prepare: Prepare) {
        let id = prepare.id;
        if self.drills(id) {
            return self.report_drill();
        }
        if let Some(why) = self.too_busy() {
            self.note(Level::Warn, format!("drill {id} is not taken part in: {why}"));
            return self.say(Message::Text(format!("drill {id} is not taken part in: {why}; try again later")));
        }
        self.note(Level::Info, format!("drill {id} begins; nothing really stops"));
        let report = Report::new(Some(id));
        let until = self.now + prepare.within;
        self.drill = Some(Drill { id, reason: printable(prepare.reason.as_bytes()), until, report });
        self.report_drill();
        self.run_drill(HookEvent::ServerStopping);
    }

    pub(super) fn drills(&self, id: ShutdownId) -> bool {
        self.drill.as_ref().is_some_and(|drill| drill.id == id)
    }

    pub(super) fn drill_runs(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.drill)
    }

    fn too_busy(&self) -> Option<String> {
        let busy = self.running.as_ref().map(|running| format!("the hooks of {} run", running.event));
        busy.or_else(|| self.leaving.map(|_| "this client is about to end".into()))
    }

    fn run_drill(&mut self, event: HookEvent) {
        let Some(drill) = &self.drill else { return };
        let run = Run {
            event,
            cause: Some(Cause::Shutdown),
            server: self.server.clone(),
            id: Some(drill.id),
            reason: drill.reason.clone(),
            until: Some(drill.until),
            skip: Vec::new(),
            drill: true,
        };
        self.running = Some(Running { event, drill: true, cancelled: false });
        self.out.push(Action::Run(run));
    }

    fn report_drill(&mut self) {
        let progress = self.drill.as_mut().and_then(|drill| drill.report.progress());
        if let Some(progress) = progress {
            self.say(Message::Progress(progress));
        }
    }

    pub(super) fn drill_hook_began(&mut self, hook: &str) {
        if self.drill.as_mut().is_some_and(|drill| drill.report.began(hook)) {
            self.report_drill();
        }
    }

    pub(super) fn drill_hook_ended(&mut self, outcome: HookOutcome) {
        if let Some(drill) = &mut self.drill {
            drill.report.ended(outcome);
        }
    }

    pub(super) fn drill_run_ended(&mut self, ended: &Running) {
        if ended.cancelled {
            return self.end_drill("something real came in between");
        }
        if ended.event == HookEvent::PowerOff {
            return self.reach_in_drill(Stage::Bye);
        }
        self.reach_in_drill(Stage::Stopped);
        if self.drill.as_ref().is_some_and(|drill| drill.report.has_let_go()) {
            self.reach_in_drill(Stage::Unmounted);
        }
        match Cause::Shutdown.powers_off(self.rules.policy) {
            true => self.run_drill(HookEvent::PowerOff),
            false => self.reach_in_drill(Stage::Bye),
        }
    }

    fn reach_in_drill(&mut self, stage: Stage) {
        if self.drill.as_mut().is_some_and(|drill| drill.report.reach(stage)) {
            self.report_drill();
        }
        if let (Stage::Bye, Some(drill)) = (stage, &self.drill) {
            self.note(Level::Info, format!("drill {} is over; nothing was changed", drill.id));
        }
    }

    /// Its hooks, if any run, are cancelled by the table in `work.rs`.
    pub(super) fn end_drill(&mut self, why: &str) {
        let unfinished = self.drill.take_if(|drill| drill.report.stage < Stage::Bye);
        if let Some(drill) = unfinished {
            self.note(Level::Warn, format!("drill {} is broken off: {why}", drill.id));
        }
    }
}
