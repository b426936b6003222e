//! What a story may ask of an engine.

use crate::World;
use std::time::Duration;

/// Whether the last word about something counts, or each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Each is one of its own, and is told to whoever asked before.
    Event,
    /// The last one is told to whoever comes later, too.
    State,
}

/// What is published.
#[derive(Debug, Clone)]
pub struct Message {
    /// What it is about. Bytes, as tests say things that no topic can be.
    pub topic: Vec<u8>,
    /// What it says.
    pub payload: Vec<u8>,
    /// Whether it stays.
    pub kind: Kind,
    /// Seconds that it is worth something; without, for ever.
    pub ttl: Option<u32>,
}

/// What is heard.
#[derive(Debug, Clone)]
pub struct Heard {
    /// What it is about.
    pub topic: String,
    /// What it says.
    pub payload: Vec<u8>,
    /// Seconds that it is still worth something.
    pub ttl: Option<u32>,
    /// By this number it is acknowledged.
    pub number: u64,
}

/// What became of something that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken.
    Taken,
    /// It was not, or the link was ended over it.
    Refused,
}

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// With how everything is now.
    States,
    /// With what comes next.
    Next,
}

/// One program's end of a link.
///
/// Whatever goes wrong beyond what a method can tell is a panic: it ends the story.
pub trait Session: Send {
    /// Publishes these in their order, and waits for what becomes of each. After a refusal the link may be over.
    fn publish(&mut self, messages: &[Message]) -> Vec<Verdict>;
    /// Publishes these and cuts the link at once; so many were acknowledged by then, the first ones.
    fn publish_and_die(&mut self, messages: &[Message]) -> usize;
    /// Publishes the last message once more, under the id that it has.
    fn repeat(&mut self) -> Verdict {
        panic!("messages of this engine have no ids")
    }
    /// Subscribes to what matches one of these. When it returns, what is published is heard.
    fn subscribe(&mut self, filters: &[&str], from: From) -> Verdict;
    /// The next message; nothing if none comes in time.
    fn next(&mut self, patience: Duration) -> Option<Heard>;
    /// A message was taken care of.
    fn done(&mut self, heard: &Heard);
    /// Waits until the engine knows of all that was taken care of.
    fn settle(&mut self);
    /// The link is gone without a goodbye.
    fn cut(&mut self);
    /// Connects again under the same name, and asks for what it had asked for.
    fn come_back(&mut self);
    /// Whatever waits for this name is not wanted any more; and a goodbye.
    fn forget(&mut self);
}

/// What carries messages.
pub trait Engine {
    /// Its stage.
    fn world(&self) -> &World;
    /// A program at that machine which publishes.
    fn speaker(&mut self, node: &str) -> Box<dyn Session>;
    /// The machine at which those are who listen.
    fn hearers_node(&self) -> &'static str;
    /// A program that listens; with a name, what it has not acknowledged waits for it.
    fn hearer(&mut self, name: Option<&str>) -> Box<dyn Session>;
    /// Ends the engine by `kill -9`, and starts it again. All links are cut.
    fn kill(&mut self);
    /// Ends the engine as its supervisor does, and starts it again. All links are cut.
    fn restart(&mut self);
    /// A machine of this name comes, and says how it is under `NAME/state`.
    fn machine_comes(&mut self, name: &str);
    /// It dies without a word.
    fn machine_dies(&mut self, name: &str);
    /// It leaves with a word.
    fn machine_leaves(&mut self, name: &str);
    /// Its link hangs, and nobody has noticed yet; it comes again over a new one.
    fn machine_comes_over_a_new_link(&mut self, name: &str);
}
