//! What the machine is told, and what it asks for.

use crate::shaper::Class;
use crate::trouble::Trouble;
use protocol::fact::Fact;
use std::path::PathBuf;
use std::time::Duration;

/// By which a segment is known: its name changes when its recorder learns what time it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Its camera.
    pub camera: String,
    /// The recorder's run.
    pub boot: u32,
    /// Its place in the run.
    pub sequence: u64,
}

/// A segment that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Which one.
    pub id: Id,
    /// The file.
    pub path: PathBuf,
    /// When it begins, in milliseconds since 1970.
    pub start_unix_ms: u64,
    /// Its size.
    pub bytes: u64,
    /// It is evidence.
    pub marked: bool,
    /// Its start is to be believed.
    pub clock_set: bool,
    /// How long it had waited when it was first seen.
    pub waited: Duration,
}

/// How a sending ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is safe there, and deleted here.
    Done {
        /// Its key.
        key: String,
        /// Its size.
        bytes: u64,
    },
    /// It is not there any more, or somebody else holds it.
    Gone,
    /// The timetable said stop meanwhile.
    Halted,
    /// It did not work.
    Failed(Trouble),
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// All that lies there now.
    Seen(Vec<Item>),
    /// A sending has ended.
    Ended(Id, Outcome),
    /// Somebody asks to try at once, since he has mended something.
    Hurry,
    /// The program ends, and may go on for so long; or for as long as an announced shutdown leaves.
    Stop(Duration),
    /// The server lets everybody go, and waits so long from now.
    Leaving(Duration),
    /// It does not, after all.
    Staying,
    /// This machine itself goes, and may be held up for so long; what was announced says it better.
    Going(Duration),
    /// The timetable says stop, or no longer.
    Halt(bool),
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send it.
    Send {
        /// What.
        item: Item,
        /// How urgent it is.
        class: Class,
        /// The settings were wrong: the key is read anew.
        renewed: bool,
    },
    /// It went without us.
    Vanished(Item),
    /// From now on no rate and no stop of the timetable hold, or they hold again.
    Lift(bool),
    /// A fact for the house.
    Tell(Fact),
    /// What was told as a failure is over.
    Recovered(String),
    /// The end; so much is left.
    End {
        /// Segments.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
}

/// The paces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// So many are sent at a time.
    pub ways: usize,
    /// The first pause after a failure.
    pub retry_first: Duration,
    /// The longest one.
    pub retry_last: Duration,
    /// The pause before what only the owner can mend is tried again.
    pub probe: Duration,
    /// The directory of all segments, for messages.
    pub ram_dir: String,
    /// For pauses that differ between machines.
    pub seed: u64,
}
