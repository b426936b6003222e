//! Something else that answers where the server should: a daemon with a banner. An old server says nothing before it
//! greets or says `shutdown`, and a new one greets first.

use super::{Action, Level, Machine, Pause};
use protocol::presence::{self, Phase, SETTLE};

/// So much of what it says is shown.
const SHOWN: usize = 80;

impl Machine {
    pub(super) fn greeted(&mut self) {
        self.stranger = None;
        if let Some(link) = &mut self.link {
            link.greeted = true;
        }
    }

    /// A text before any word of a server, on a link that has not been silent for as long as old servers' links are.
    pub(super) fn is_stranger(&self, text: &str) -> bool {
        let taken_for_old = matches!(self.presence.phase(), Phase::Up { epoch: None, .. });
        let settled = |since| taken_for_old && self.now.since(since) >= SETTLE;
        self.is_strange(text) && self.link.as_ref().is_some_and(|link| !settled(link.since))
    }

    fn is_strange(&self, text: &str) -> bool {
        let known = self.link.as_ref().is_none_or(|link| link.frames || link.greeted);
        !known && !text.starts_with("refused:")
    }

    pub(super) fn hang_up_on(&mut self, text: &str) {
        let said: String = text.chars().take(SHOWN).collect();
        if self.stranger.as_ref() != Some(&said) {
            let server = &self.rules.server;
            let note = format!("{server} is no pistop server, it says `{said}`; check HOST and PORT");
            self.note(Level::Warn, note);
            self.stranger = Some(said);
        }
        self.drop_link(Action::HangUp, Pause::Soon);
        self.sense(presence::Input::Broken("what answers is no pistop server".into()));
    }

    /// A text on a link that has been in order until now.
    pub(super) fn text(&mut self, text: &str) {
        let strange = self.is_strange(text);
        if let Some(link) = &mut self.link {
            link.strange |= strange;
        }
        self.note(Level::Info, format!("the server says: {text}"));
    }

    /// The end of a link over which came what no server says is no server's way to go.
    pub(super) fn clean_end(&self) -> presence::Input {
        match self.link.as_ref().is_some_and(|link| link.strange) {
            true => presence::Input::Broken("it ended, and came from no pistop server".into()),
            false => presence::Input::Closed,
        }
    }
}
