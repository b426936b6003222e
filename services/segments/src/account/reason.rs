//! Why a moment is not recorded.

use std::fmt;

/// The word of a camera that was there and sent nothing.
pub(super) const STALLED: &str = "stalled";

/// Why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Nobody knows.
    Unexplained,
    /// Before the first line of a ledger: perhaps nobody recorded, or a ledger was lost with the RAM.
    Unknown,
    /// Before the first line of a ledger that was longer once.
    Forgotten,
    /// A run had begun, and had no picture yet.
    Starting,
    /// The camera gave no pictures; a word of `mjpeg::Cause`.
    Camera(String),
    /// The recorder was told to end.
    Stopped,
    /// It was killed.
    Killed,
    /// It ended because it could not go on.
    GaveUp(String),
    /// It did nothing for a while.
    Busy,
    /// Its pipeline was made anew.
    Repaired,
    /// The settings of the camera could not be used.
    Unusable(String),
    /// The machine was off.
    MachineOff,
    /// The machine slept.
    Slept,
    /// The clock was set forward; there was no such time.
    ClockSet,
    /// There was no room for pictures.
    Full,
    /// It was recorded, and given up before it was sent, to make room.
    Evicted,
    /// It was recorded, and the owner had it deleted before it was sent.
    Cleaned,
    /// It was recorded, and somebody deleted it before it was sent.
    Vanished,
}

impl Reason {
    /// One word, for programs.
    pub fn word(&self) -> &str {
        match self {
            Reason::Unexplained => "unexplained",
            Reason::Unknown => "unknown",
            Reason::Forgotten => "forgotten",
            Reason::Starting => "starting",
            Reason::Camera(word) => word,
            Reason::Stopped => "stopped",
            Reason::Killed => "killed",
            Reason::GaveUp(_) => "gave-up",
            Reason::Busy => "busy",
            Reason::Repaired => "repaired",
            Reason::Unusable(_) => "unusable",
            Reason::MachineOff => "machine-off",
            Reason::Slept => "slept",
            Reason::ClockSet => "clock-set",
            Reason::Full => "full",
            Reason::Evicted => "evicted",
            Reason::Cleaned => "cleaned",
            Reason::Vanished => "vanished",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Reason::Camera(word) => return f.write_str(&camera(word)),
            Reason::GaveUp(why) => return write!(f, "the recorder gave up: {why}"),
            Reason::Unusable(why) => return write!(f, "the camera's settings could not be used: {why}"),
            Reason::Unexplained => "unexplained",
            Reason::Unknown => "unknown: there is no ledger of that time",
            Reason::Forgotten => "unknown: the ledger does not go back so far",
            Reason::Starting => "the recorder was starting",
            Reason::Stopped => "the recorder was stopped",
            Reason::Killed => "the recorder was killed",
            Reason::Busy => "the recorder was held up",
            Reason::Repaired => "the pipeline was made anew",
            Reason::MachineOff => "the machine was off",
            Reason::Slept => "the machine slept",
            Reason::ClockSet => "the clock was set forward",
            Reason::Full => "the RAM disk was full",
            Reason::Evicted => "recorded, and given up before it was sent, to make room",
            Reason::Cleaned => "recorded, and deleted with `pistop cam clean` before it was sent",
            Reason::Vanished => "recorded, and deleted by somebody before it was sent",
        };
        f.write_str(words)
    }
}

fn camera(word: &str) -> String {
    let words = match word {
        "lost" => "was lost",
        "unknown-name" => "was not found by its name",
        "unreachable" => "could not be reached",
        "refused" => "refused the connection",
        "silent" => "did not answer",
        STALLED => "sent nothing",
        "unencoded" => "sent pictures of which nothing came out of the encoder",
        "broken-pictures" => "sent broken pictures only",
        "closed" => "ended its stream",
        "cut" => "lost the connection",
        "password" => "wanted a password",
        "no-stream" => "sent no stream",
        "frozen" => "was asked again because its picture was frozen",
        other => return format!("the camera gave no pictures: {other}"),
    };
    format!("the camera {words}")
}
