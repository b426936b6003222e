//! How far this client is with one shutdown, in the stages that its server waits for.
//!
//! `stopped` is reached when the first hook begins whose verb is `unmount...`, and at the end of all hooks if there is
//! none; `unmounted` only if those hooks ended well, or all of them if none unmounts: a server must not take a failed
//! unmount for a finished one, and need not wait for a machine that holds nothing but could not stop its player.

use protocol::ShutdownId;
use protocol::hook::verb;
use protocol::message::{HookOutcome, HookResult, Progress, Stage};

/// The report on one shutdown or drill.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Report {
    /// `None` for a server that wants no report.
    pub id: Option<ShutdownId>,
    /// How far it is.
    pub stage: Stage,
    /// All hooks that have ended.
    pub ended: Vec<HookOutcome>,
    /// How many of them the server has been sent.
    told: usize,
}

impl Report {
    pub fn new(id: Option<ShutdownId>) -> Self {
        Self { id, stage: Stage::Received, ended: Vec::new(), told: 0 }
    }

    /// A report that an earlier run of this client began; what it told is not known, so all is told again.
    pub fn resumed(id: Option<ShutdownId>, stage: Stage, ended: Vec<HookOutcome>) -> Self {
        let unmounting = ended.iter().any(|outcome| unmounts(&outcome.hook));
        let stage = if unmounting { stage.max(Stage::Stopped) } else { stage };
        Self { id, stage, ended, told: 0 }
    }

    /// The present stage, with the hooks that ended since the last one.
    pub fn progress(&mut self) -> Option<Progress> {
        let outcomes = self.ended[self.told..].to_vec();
        self.told = self.ended.len();
        self.id.map(|id| Progress { id, stage: self.stage, outcomes })
    }

    /// A hook begins; whether that reached a new stage.
    pub fn began(&mut self, hook: &str) -> bool {
        unmounts(hook) && self.reach(Stage::Stopped)
    }

    /// A hook has ended.
    pub fn ended(&mut self, outcome: HookOutcome) {
        self.ended.push(outcome);
    }

    /// Whether nothing of the server is held any more, as far as the hooks can tell.
    pub fn has_let_go(&self) -> bool {
        let any_unmounts = self.ended.iter().any(|outcome| unmounts(&outcome.hook));
        let mut matter = self.ended.iter().filter(|outcome| !any_unmounts || unmounts(&outcome.hook));
        matter.all(|outcome| outcome.result == HookResult::Done)
    }

    /// Goes to a later stage; false if it was reached before.
    pub fn reach(&mut self, stage: Stage) -> bool {
        let later = self.stage < stage;
        self.stage = self.stage.max(stage);
        later
    }
}

fn unmounts(hook: &str) -> bool {
    verb(hook).starts_with("unmount")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_unmount_holds_the_server_and_a_failed_player_does_not() {
        let outcome = |hook: &str, result| HookOutcome { hook: hook.into(), result, took: std::time::Duration::ZERO };
        let player = outcome("server-stopping/30-stop-player", HookResult::Failed(1));
        let unmounted = outcome("server-stopping/50-unmount-share", HookResult::Done);
        let busy = outcome("server-stopping/50-unmount-share", HookResult::GaveUp);
        let has_let_go = |ended| Report::resumed(None, Stage::Received, ended).has_let_go();
        assert!(has_let_go(vec![player.clone(), unmounted.clone()]) && has_let_go(vec![]));
        assert!(!has_let_go(vec![unmounted, busy]) && !has_let_go(vec![player]));
    }

    #[test]
    fn the_verb_stands_behind_the_number() {
        assert!(unmounts("server-stopping/50-unmount-share") && unmounts("unmount"));
        assert!(!unmounts("server-stopping/50-stop-player") && !unmounts("unmount/50-stop"));
    }
}
