//! What waits to be said to the server: decisions and the words of old scripts.
//!
//! A line may be sent only to an old server. A new one that has taken up the offer of frames would take a line for the
//! beginning of one, and until its answer has come nobody knows; so lines wait until that answer cannot come any more.

use protocol::line::{ClientLine, MAX_LINE};
use protocol::message::Decision;
use protocol::{Instant, Message};
use std::collections::VecDeque;
use std::time::Duration;

/// So many decisions are kept for the next link.
pub const MOST_DECISIONS: usize = 8;
/// So many lines of scripts are kept for the next link.
pub const MOST_TEXTS: usize = 16;
/// A server that has not answered the offer of frames by then is an old one.
pub const SURELY_OLD: Duration = Duration::from_secs(2);
/// What an old server takes for a command, and a new one for an offer.
const COMMANDS: [&str; 4] = ["shutdown", "quit", "wait", "pistop/"];

/// What an old server takes for a command wherever it looks, and how it is broken up for it.
const BROKEN: [(&str, &str); 3] = [("shutdown", "shut-down"), ("quit", "qu-it"), ("wait", "wa-it")];
/// The longest line for an old server, which looks for a command at the start of each read.
const LONGEST: usize = 200;

/// The box of outgoing mail.
#[derive(Debug, Default)]
pub(super) struct Post {
    decisions: VecDeque<(Instant, Decision)>,
    texts: VecDeque<String>,
}

impl Post {
    pub fn decision(&mut self, now: Instant, decision: Decision) {
        keep(&mut self.decisions, (now, decision), MOST_DECISIONS);
    }

    pub fn text(&mut self, text: String) {
        keep(&mut self.texts, text, MOST_TEXTS);
    }

    /// When lines may be sent on a link that began at `since`.
    pub fn deadline(&self, since: Instant) -> Option<Instant> {
        (!self.texts.is_empty()).then(|| since + SURELY_OLD)
    }
}

fn keep<T>(queue: &mut VecDeque<T>, item: T, most: usize) {
    if queue.len() == most {
        queue.pop_front();
    }
    queue.push_back(item);
}

impl super::Machine {
    pub(super) fn send_decisions(&mut self) {
        if !self.speaks_frames() {
            return;
        }
        for (at, decision) in std::mem::take(&mut self.post.decisions) {
            self.say(Message::Decision(Decision { ago: self.now.since(at), ..decision }));
        }
    }

    pub(super) fn send_texts(&mut self) {
        let Some(link) = &self.link else { return };
        if !link.frames && self.now.since(link.since) < SURELY_OLD {
            return;
        }
        for text in std::mem::take(&mut self.post.texts) {
            self.send_text(&text);
        }
    }

    fn send_text(&mut self, text: &str) {
        let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
        let text: String = text.chars().map(plain).take(MAX_LINE).collect();
        if COMMANDS.iter().any(|command| text.starts_with(command)) {
            let note = format!("a hook wrote `{text}`, which a server takes for a command; it is not sent on");
            return self.note(super::Level::Warn, note);
        }
        match self.speaks_frames() {
            true => self.say(Message::Text(text)),
            false => self.out.push(super::Action::SayLine(ClientLine::Text(harmless(&text)))),
        }
    }
}

/// An old server takes each 256 bytes of a read for a command, and lines come to it glued; so no line holds a command at
/// any place. The text is ASCII.
fn harmless(text: &str) -> String {
    let mut text = BROKEN.iter().fold(text.to_owned(), |text, (command, broken)| text.replace(command, broken));
    text.truncate(LONGEST);
    text
}
