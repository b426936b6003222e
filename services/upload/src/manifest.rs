//! What an hour of a camera holds: one JSON object beside the segments, and a playlist that any player takes. With the first, nothing that
//! is missing goes unnoticed, and whoever restores need not list the bucket. Both are named after the ledger that they come from, so that a
//! machine that starts anew within the hour, and has forgotten what came before, overwrites nothing. What is missing, and why, is what the
//! recorder's own ledger says, by the same account that `pistop cam gaps` shows. Pure.

use crate::key;
use crate::ledger::{Entry, State};
use jiff::tz::TimeZone;
use segments::account::{Account, account};
use segments::ledger::{Closed, Line, What};
use segments::{Clock, Label};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Less than this between two segments does not interrupt a player: a camera with one frame a second has as much between any two pictures.
pub const GAP_MS: u64 = 1500;

/// What is to be written down of an hour.
#[derive(Debug)]
pub struct Hour<'a> {
    /// Its folder.
    pub folder: &'a str,
    /// Its segments by start, those that were lost among them.
    pub entries: Vec<&'a Entry>,
    /// The last one before it, if it is known.
    pub before: Option<&'a Entry>,
    /// The camera's ledger.
    pub ledger: Vec<Line>,
    /// From when to when it lasts, in milliseconds since 1970.
    pub span: (u64, u64),
    /// When the ledger was begun, in milliseconds since 1970.
    pub begun: u64,
    /// By which it differs from others that were begun at the same time.
    pub called: u32,
    /// When this is written.
    pub now_unix_ms: u64,
    /// Nothing more is expected.
    pub complete: bool,
}

impl Hour<'_> {
    /// The key of the JSON object.
    pub fn manifest_key(&self) -> String {
        format!("{}/manifest_{}.json", self.folder, self.mark())
    }

    /// The key of the playlist.
    pub fn playlist_key(&self) -> String {
        format!("{}/playlist_{}.m3u8", self.folder, self.mark())
    }

    fn mark(&self) -> String {
        let begun = key::instant(self.begun).to_zoned(TimeZone::UTC);
        format!("{}_{:08x}", begun.strftime("%Y%m%dT%H%M%SZ"), self.called)
    }

    /// The JSON object.
    pub fn manifest(&self) -> Value {
        let (there, lost): (Vec<&Entry>, Vec<&Entry>) =
            self.entries.iter().partition(|entry| entry.state == State::Done);
        let unset = there.iter().filter(|entry| entry.label.clock == Clock::Unset).count();
        let clock = match unset {
            0 => "set",
            all if all == there.len() => "unset",
            _ => "mixed",
        };
        let account = self.account();
        json!({
            "camera": self.entries.first().map(|entry| entry.label.camera.as_str()),
            "folder": self.folder,
            "written": instant(self.now_unix_ms),
            "complete": self.complete,
            "clock": clock,
            "bytes": there.iter().map(|entry| entry.label.bytes).sum::<u64>(),
            "recorded-ms": there.iter().map(|entry| entry.label.duration_ms).sum::<u64>(),
            "segments": there.iter().map(|entry| segment(entry)).collect::<Vec<_>>(),
            "lost": lost.iter().map(|entry| lost_one(&entry.label)).collect::<Vec<_>>(),
            "gaps": gaps(&account),
            "unexplained-ms": account.sums()[2],
        })
    }

    /// From the last segment before the hour, or from its beginning, to its end; as long as more is expected, to its last segment. A
    /// recorder without a ledger leaves only what is between its segments to be told.
    fn account(&self) -> Account {
        let all = || self.before.into_iter().chain(self.entries.iter().copied()).map(|entry| &entry.label);
        let first = all().map(|label| label.start_unix_ms).min().unwrap_or(self.span.0);
        let last = all().map(Label::end_unix_ms).max().unwrap_or(self.span.0);
        let known = self.ledger.iter().any(|line| matches!(line.what, What::Begun { .. }));
        let from = self.before.map_or(if known { self.span.0 } else { first }, |before| before.label.end_unix_ms());
        let to = if known && self.complete { self.span.1 } else { last };
        account(&self.lines(), from, to.max(from))
    }

    /// The ledger, with what it does not know: segments of a recorder that kept none, or of before it was begun.
    fn lines(&self) -> Vec<Line> {
        let mut lines = self.ledger.clone();
        let known = |line: &Line| match &line.what {
            What::Closed(Closed { run, sequence, .. }) => Some((run.clone(), *sequence)),
            _ => None,
        };
        let known: BTreeSet<_> = lines.iter().filter_map(known).collect();
        for Entry { state, label, .. } in self.before.into_iter().chain(self.entries.iter().copied()) {
            let (run, sequence) = (label.boot.clone(), label.sequence);
            if !known.contains(&(run.clone(), sequence)) {
                lines.push(Line { at: 0, what: What::Closed(Closed { from: 0, ..Closed::of(label) }) });
            }
            let what = match state {
                State::Lost => What::Vanished { run, sequence },
                State::Done => What::Sent { run, sequence },
                State::Reserved | State::Sending => continue,
            };
            lines.push(Line { at: 0, what });
        }
        lines
    }

    /// The playlist.
    pub fn playlist(&self) -> String {
        let there: Vec<&Entry> = self.entries.iter().copied().filter(|entry| entry.state == State::Done).collect();
        let longest = there.iter().map(|entry| entry.label.duration_ms.div_ceil(1000)).max().unwrap_or(1);
        let mut text = format!("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{longest}\n");
        let mut last: Option<&Label> = None;
        for Entry { label, key, .. } in there {
            let follows = last.is_some_and(|last| {
                last.boot == label.boot && label.start_unix_ms.saturating_sub(last.end_unix_ms()) < GAP_MS
            });
            if last.is_some() && !follows {
                text.push_str("#EXT-X-DISCONTINUITY\n");
            }
            let file = key.rsplit('/').next().unwrap_or(key);
            let seconds = label.duration_ms as f64 / 1000.0;
            let start = instant(label.start_unix_ms);
            // Writing to text does not fail.
            let _ = write!(text, "#EXT-X-PROGRAM-DATE-TIME:{start}\n#EXTINF:{seconds:.3},\n{file}\n");
            last = Some(label);
        }
        if self.complete {
            text.push_str("#EXT-X-ENDLIST\n");
        }
        text
    }
}

fn gaps(account: &Account) -> Vec<Value> {
    let gap = |(piece, reason): (&segments::account::Piece, &segments::account::Reason)| {
        let (from, to) = (instant(piece.from), instant(piece.to));
        json!({"from": from, "to": to, "ms": piece.ms(), "reason": reason.word(), "why": reason.to_string()})
    };
    account.gaps().map(gap).collect()
}

fn segment(entry: &Entry) -> Value {
    let Entry { key, md5, label, .. } = entry;
    json!({
        "key": key,
        "start": instant(label.start_unix_ms),
        "end": instant(label.end_unix_ms()),
        "duration-ms": label.duration_ms,
        "bytes": label.bytes,
        "md5": md5,
        "frames": label.frames,
        "dropped-frames": label.dropped_frames,
        "width": label.width,
        "height": label.height,
        "clock": label.clock,
        "reason": label.reason,
        "marked": label.marked,
        "motion-percent": label.motion_percent,
        "boot": label.boot,
        "sequence": label.sequence,
    })
}

fn lost_one(label: &Label) -> Value {
    let (start, end) = (instant(label.start_unix_ms), instant(label.end_unix_ms()));
    json!({"start": start, "end": end, "bytes": label.bytes, "boot": label.boot, "sequence": label.sequence})
}

/// `2026-11-26T01:54:00.123Z`.
pub fn instant(unix_ms: u64) -> String {
    key::instant(unix_ms).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::label;
    use segments::Reason;
    use segments::ledger::Reading;

    const NOW: u64 = 1_795_658_040_000;

    fn entry(state: State, label: Label) -> Entry {
        let key = key::segment(&TimeZone::UTC, "cam1", &label, 1);
        Entry { state, key, nth: 1, md5: label.md5.clone(), label }
    }

    fn hour<'a>(entries: &'a [Entry], before: Option<&'a Entry>) -> Hour<'a> {
        let (entries, span) = (entries.iter().collect(), key::span_of_hour(&TimeZone::UTC, NOW));
        let (folder, ledger) = ("cam1/2026/11/26/01", Vec::new());
        Hour {
            folder,
            entries,
            before,
            ledger,
            span,
            begun: NOW,
            called: 0xa,
            now_unix_ms: NOW + 90_000,
            complete: true,
        }
    }

    #[test]
    fn a_manifest_says_what_is_there_and_why_the_rest_is_not() {
        let before = entry(State::Done, Label { reason: Reason::Lost, ..label(1, NOW - 60_000, 20_000) });
        let entries = [
            entry(State::Done, label(2, NOW, 20_000)),
            entry(State::Lost, label(3, NOW + 20_000, 20_000)),
            entry(State::Done, Label { clock: Clock::Unset, marked: true, ..label(4, NOW + 40_000, 20_000) }),
            entry(State::Done, Label { boot: "0000000b".into(), ..label(5, NOW + 61_499, 20_000) }),
        ];
        let hour = hour(&entries, Some(&before));
        assert_eq!(hour.manifest_key(), "cam1/2026/11/26/01/manifest_20261126T015400Z_0000000a.json");
        let manifest = hour.manifest();
        assert_eq!((&manifest["clock"], &manifest["bytes"]), (&json!("mixed"), &json!(300)));
        assert_eq!(manifest["segments"][0]["key"], "cam1/2026/11/26/01/cam_1_2026_11_26_01_54_20.ts");
        assert_eq!(manifest["segments"][1]["marked"], true);
        assert_eq!(manifest["segments"][0]["start"], "2026-11-26T01:54:00.000Z");
        assert_eq!(manifest["lost"][0]["sequence"], 3);
        let gap = |gap: &Value| (gap["reason"].as_str().unwrap().to_owned(), gap["ms"].as_u64().unwrap());
        let gaps: Vec<_> = manifest["gaps"].as_array().unwrap().iter().map(gap).collect();
        let expected = [("lost", 40_000), ("vanished", 20_000), ("unexplained", 1_499)];
        assert_eq!(gaps, expected.map(|(reason, ms)| (reason.to_owned(), ms)));
    }

    #[test]
    fn two_boots_that_begin_at_the_same_time_do_not_overwrite_each_others_lists() {
        let (one, two) = (hour(&[], None), Hour { called: 0xb, ..hour(&[], None) });
        assert_ne!(one.manifest_key(), two.manifest_key());
        assert_ne!(one.playlist_key(), two.playlist_key());
    }

    #[test]
    fn what_is_missing_is_what_the_recorders_ledger_says() {
        let entries = [
            entry(State::Done, label(2, NOW, 20_000)),
            entry(State::Done, label(3, NOW + 50_000, 20_000)),
            entry(State::Lost, label(4, NOW + 70_000, 20_000)),
        ];
        let line = |at, what| Line { at, what };
        let clock = Reading { unix: NOW - 60_000, set: true, slept: 0 };
        let begun = What::Begun { run: "0000000a".into(), kernel: "k".into(), clock };
        let ledger = vec![
            line(NOW - 60_000, begun),
            line(NOW - 59_000, What::Away { since: NOW - 60_000, cause: "refused".into() }),
            line(NOW, What::Back),
            line(NOW + 22_000, What::Away { since: NOW + 20_000, cause: "stalled".into() }),
            line(NOW + 50_000, What::Back),
            line(NOW + 90_000, What::Closed(Closed::of(&entries[2].label))),
            line(NOW + 95_000, What::Evicted { run: "0000000a".into(), sequence: 4 }),
        ];
        let manifest = Hour { complete: false, ledger, ..hour(&entries, None) }.manifest();
        let gaps: Vec<_> =
            manifest["gaps"].as_array().unwrap().iter().map(|gap| gap["why"].as_str().unwrap()).collect();
        let expected = [
            "unknown: there is no ledger of that time",
            "the camera refused the connection",
            "the camera sent nothing",
            "recorded, and given up before it was sent, to make room",
        ];
        assert_eq!(gaps, expected);
        assert_eq!(manifest["unexplained-ms"], 0);
    }

    #[test]
    fn what_is_in_the_storage_is_no_gap_whoever_deleted_it_here() {
        let entries = [entry(State::Done, label(2, NOW, 20_000)), entry(State::Done, label(3, NOW + 20_000, 20_000))];
        let evicted = What::Evicted { run: "0000000a".into(), sequence: 2 };
        let closed = |place: usize| Line { at: NOW, what: What::Closed(Closed::of(&entries[place].label)) };
        let ledger = vec![closed(0), closed(1), Line { at: NOW + 50_000, what: evicted }];
        assert_eq!(Hour { ledger, ..hour(&entries, None) }.manifest()["gaps"], json!([]));
    }

    #[test]
    fn a_playlist_has_the_start_of_each_and_breaks_where_something_is_missing() {
        let entries = [
            entry(State::Done, label(2, NOW, 20_000)),
            entry(State::Done, label(3, NOW + 20_100, 19_500)),
            entry(State::Done, label(4, NOW + 60_000, 20_001)),
        ];
        let expected = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:21\n\
            #EXT-X-PROGRAM-DATE-TIME:2026-11-26T01:54:00.000Z\n#EXTINF:20.000,\ncam_1_2026_11_26_01_54_20.ts\n\
            #EXT-X-PROGRAM-DATE-TIME:2026-11-26T01:54:20.100Z\n#EXTINF:19.500,\ncam_1_2026_11_26_01_54_39.ts\n\
            #EXT-X-DISCONTINUITY\n\
            #EXT-X-PROGRAM-DATE-TIME:2026-11-26T01:55:00.000Z\n#EXTINF:20.001,\ncam_1_2026_11_26_01_55_20.ts\n\
            #EXT-X-ENDLIST\n";
        assert_eq!(hour(&entries, None).playlist(), expected);
        assert!(!Hour { complete: false, ..hour(&entries, None) }.playlist().contains("ENDLIST"));
    }
}
