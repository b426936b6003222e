//! The ledger of a camera: what its recorder knew, one JSON object a line, in the order in which it knew it. [`crate::account`] makes
//! of it for each moment of a day whether it is recorded, or why not.
//!
//! Times are milliseconds of the kernel's monotonic clock, which goes on until the machine starts again, whatever the time of day
//! does; readings of both clocks beside each other stand in between. So a segment that is mended when the clock is set needs no line.
//!
//! What always holds: a segment's line is there before its `.ts`, so no crash makes a recorded segment a gap; and the last moment
//! at which a recorder lived is in a small file beside the ledger, which the next run turns into a line.

mod pen;

pub use pen::{KEPT_MS, MOST, Pen, cameras, read, tell};

use crate::{Label, Reason};
use serde::{Deserialize, Serialize};

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The time of day, in milliseconds since 1970.
    pub unix: u64,
    /// Whether it is to be believed.
    pub set: bool,
    /// How long the machine has slept since it was started, in milliseconds: the monotonic clock stands still then.
    pub slept: u64,
}

/// A segment, as far as an account needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The recorder's run, as in the name.
    pub run: String,
    /// Its place in the run.
    pub sequence: u64,
    /// When it begins; 0 if nobody knows any more.
    pub from: u64,
    /// Its length.
    pub ms: u64,
    /// Pictures in it.
    pub frames: u64,
    /// When it begins by its label, in milliseconds since 1970.
    pub unix: u64,
    /// Why it ends.
    pub reason: Reason,
}

impl Closed {
    /// What its label says.
    pub fn of(label: &Label) -> Closed {
        Closed {
            run: label.boot.clone(),
            sequence: label.sequence,
            from: label.monotonic_ms,
            ms: label.duration_ms,
            frames: label.frames,
            unix: label.start_unix_ms,
            reason: label.reason,
        }
    }

    /// By which it is known, whatever its name is.
    pub fn id(&self) -> (&str, u64) {
        (&self.run, self.sequence)
    }
}

/// What a recorder, an uploader or `pistop cam clean` knew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum What {
    /// What came before was forgotten, for want of room or of age.
    Shortened,
    /// A run began.
    Begun {
        /// Its number, as in names.
        run: String,
        /// The kernel's: another one has a monotonic clock of its own.
        kernel: String,
        /// The clocks.
        clock: Reading,
    },
    /// The time of day was set, or the machine slept.
    Clock {
        /// The clocks.
        clock: Reading,
    },
    /// A segment is about to be closed.
    Closed(Closed),
    /// A segment was given up, before it was sent, to make room.
    Evicted {
        /// Its run.
        run: String,
        /// Its place.
        sequence: u64,
    },
    /// A segment was gone before it was sent.
    Vanished {
        /// Its run.
        run: String,
        /// Its place.
        sequence: u64,
    },
    /// A segment was deleted by the owner's own word.
    Cleaned {
        /// Its run.
        run: String,
        /// Its place.
        sequence: u64,
    },
    /// A segment is in the storage, whoever deleted it here.
    Sent {
        /// Its run.
        run: String,
        /// Its place.
        sequence: u64,
    },
    /// The camera gives no pictures.
    Away {
        /// The end of the last one.
        since: u64,
        /// A word of `mjpeg::Cause`.
        cause: String,
    },
    /// It gives its first picture, or pictures again.
    Back,
    /// It gave none since then, and goes on on the same connection.
    Silent {
        /// The end of the last one.
        since: u64,
        /// A word of `mjpeg::Cause`.
        cause: String,
    },
    /// The recorder did nothing since then.
    Stalled {
        /// When it was last seen at work.
        since: u64,
    },
    /// The picture is the same for ever; it is recorded all the same.
    Frozen {
        /// Since when.
        since: u64,
    },
    /// It moves again.
    Thawed,
    /// There is no room for pictures.
    Full,
    /// There is.
    Roomy,
    /// The pipeline broke, and was made anew.
    Repaired,
    /// The recorder was told to end.
    Stopped,
    /// It ended because it could not go on.
    GaveUp {
        /// Why.
        why: String,
    },
    /// The run before this one was killed, and this is the last that is known of it.
    Died {
        /// The clocks.
        clock: Option<Reading>,
    },
    /// The camera's settings cannot be used; it is not recorded.
    Unusable {
        /// The clocks.
        clock: Reading,
        /// Why.
        why: String,
    },
    /// The recorder lives. Only the last one is kept, and beside the ledger.
    Alive {
        /// The clocks.
        clock: Reading,
        /// When the segment began that is being recorded.
        open: Option<u64>,
    },
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When, by the monotonic clock.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

impl Line {
    /// As it stands in the file.
    ///
    /// # Errors
    /// None that could happen to plain fields.
    pub fn encode(&self) -> serde_json::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// The lines of a file. What a crash tore is no line, and neither is what a newer recorder says in words that are not known here.
pub fn decode(bytes: &[u8]) -> Vec<Line> {
    bytes.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// The last words of a run that could not say any: the line that the next run writes for it, if it ended without a word.
pub fn death(lines: &[Line], alive: Option<&Line>) -> Option<Line> {
    let ends = |what: &What| matches!(what, What::Stopped | What::GaveUp { .. } | What::Died { .. });
    let last = lines.iter().rposition(|line| ends(&line.what) || matches!(line.what, What::Begun { .. }))?;
    if ends(&lines[last].what) {
        return None;
    }
    // A sign of life of an older run is older than the lines of this one.
    let (alive, clock) = match alive {
        Some(Line { at, what: What::Alive { clock, .. } }) => (*at, Some(*clock)),
        _ => (0, None),
    };
    let at = lines[last..].iter().map(|line| line.at).max().unwrap_or_default().max(alive);
    Some(Line { at, what: What::Died { clock: clock.filter(|_| at == alive) } })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: Reading = Reading { unix: 1_795_658_040_000, set: true, slept: 0 };

    fn begun(at: u64) -> Line {
        Line { at, what: What::Begun { run: "0000000a".into(), kernel: "k".into(), clock: CLOCK } }
    }

    #[test]
    fn a_line_is_one_flat_object_whose_words_stay() {
        let closed = Closed {
            run: "0000000a".into(),
            sequence: 7,
            from: 5,
            ms: 20_000,
            frames: 300,
            unix: 1000,
            reason: Reason::Motion,
        };
        for (line, words) in [
            (Line { at: 9, what: What::Closed(closed) }, r#"{"at":9,"what":"closed","run":"0000000a","sequence":7"#),
            (
                Line { at: 9, what: What::Away { since: 5, cause: "silent".into() } },
                r#"{"at":9,"what":"away","since":5,"cause":"silent"}"#,
            ),
            (Line { at: 9, what: What::GaveUp { why: "x".into() } }, r#"{"at":9,"what":"gave-up","why":"x"}"#),
            (begun(9), r#""clock":{"unix":1795658040000,"set":true,"slept":0}"#),
        ] {
            let text = String::from_utf8(line.encode().unwrap()).unwrap();
            assert!(text.contains(words) && text.ends_with("}\n"), "{text}");
            assert_eq!(decode(text.as_bytes()), [line]);
        }
    }

    #[test]
    fn what_is_torn_or_unknown_is_passed_over() {
        let text = b"{\"at\":1,\"what\":\"back\"}\n{\"at\":2,\"what\":\"danced\"}\n\n{\"at\":3,\"what\":\"thawed\"}\n{\"at\":4,\"wh";
        assert_eq!(decode(text).iter().map(|line| line.at).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn who_was_killed_died_when_he_was_last_seen() {
        let alive = |at| Line { at, what: What::Alive { clock: CLOCK, open: Some(5) } };
        let back = Line { at: 60, what: What::Back };
        let died = |at, clock| Some(Line { at, what: What::Died { clock } });
        assert_eq!(death(&[begun(10), back.clone()], Some(&alive(70))), died(70, Some(CLOCK)));
        assert_eq!(death(&[begun(10), back.clone()], Some(&alive(50))), died(60, None));
        assert_eq!(death(&[begun(10), back], Some(&alive(5))), died(60, None), "of an older run");
        assert_eq!(death(&[begun(10)], None), died(10, None));
        assert_eq!(death(&[begun(10), Line { at: 20, what: What::Stopped }], Some(&alive(30))), None);
        assert_eq!(death(&[], Some(&alive(30))), None);
    }
}
