//! What is known of a segment: the `.json` beside it.

use crate::Name;
use serde::{Deserialize, Serialize};

/// Whether the machine knew what time it was when the segment began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// It did.
    Set,
    /// It did not, and the start is what its clock said all the same.
    Unset,
}

/// Why a segment ends where it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// It was as long as it should be.
    Length,
    /// Something moved, and was to leave at once.
    Motion,
    /// The camera was lost.
    Lost,
    /// The recorder was told to stop, or that the server goes.
    Stopped,
    /// The picture has another size from here on.
    Size,
    /// The recorder died, and its next run found this.
    Adopted,
}

/// What is known of a segment. A newer recorder may write more; that is not looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// Which camera.
    pub camera: String,
    /// When it begins, in milliseconds since 1970.
    pub start_unix_ms: u64,
    /// Its length in milliseconds.
    pub duration_ms: u64,
    /// Pictures in it.
    pub frames: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Width of the picture.
    pub width: u32,
    /// Height of the picture.
    pub height: u32,
    /// Whether the start is to be believed.
    pub clock: Clock,
    /// Why it ends where it does.
    pub reason: Reason,
    /// It is evidence: it goes up first and is given up last.
    pub marked: bool,
    /// How much of the picture moved at most, in percent.
    pub motion_percent: f64,
    /// The MD5 of the bytes, as 32 hex digits.
    pub md5: String,
    /// Pictures that came and are not in it.
    pub dropped_frames: u64,
    /// The recorder's run, as in the name.
    pub boot: String,
    /// Its place in the run.
    pub sequence: u64,
    /// When it begins, in milliseconds of the monotonic clock: two of one run lie so far apart, whatever the time of day did.
    pub monotonic_ms: u64,
    /// The recorder that wrote it died before it was closed.
    #[serde(default)]
    pub adopted: bool,
    /// The kernel's run, to which `monotonic_ms` belongs; empty if nobody knows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kernel: String,
}

impl Label {
    /// The name that goes with it; `None` if its run is no number.
    pub fn name(&self) -> Option<Name> {
        let boot = u32::from_str_radix(&self.boot, 16).ok()?;
        Some(Name::new(self.start_unix_ms, boot, self.sequence))
    }

    /// When it ends, in milliseconds since 1970.
    pub const fn end_unix_ms(&self) -> u64 {
        self.start_unix_ms.saturating_add(self.duration_ms)
    }

    /// As a file's content.
    ///
    /// # Errors
    /// None that could happen to plain fields; a `motion_percent` that is no number becomes `null`.
    pub fn encode(&self) -> serde_json::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// From a file's content.
    ///
    /// # Errors
    /// It is no label.
    pub fn decode(bytes: &[u8]) -> serde_json::Result<Label> {
        serde_json::from_slice(bytes)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn label(name: &Name, marked: bool) -> Label {
        Label {
            camera: "cam1".into(),
            start_unix_ms: name.start_unix_ms(),
            duration_ms: 20_000,
            frames: 300,
            bytes: 5,
            width: 640,
            height: 480,
            clock: Clock::Set,
            reason: Reason::Length,
            marked,
            motion_percent: 0.5,
            md5: "5d41402abc4b2a76b9719d911017c592".into(),
            dropped_frames: 0,
            boot: format!("{:08x}", name.boot()),
            sequence: name.sequence(),
            monotonic_ms: 1000,
            adopted: false,
            kernel: "k".into(),
        }
    }

    #[test]
    fn a_label_is_one_flat_object_whose_words_stay() {
        let name = Name::new(1000, 0xab, 7);
        let label = label(&name, true);
        let text = String::from_utf8(label.encode().unwrap()).unwrap();
        for word in [r#""clock":"set""#, r#""reason":"length""#, r#""boot":"000000ab""#, r#""marked":true"#] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert_eq!(Label::decode(text.as_bytes()).unwrap(), label);
        assert_eq!(label.name(), Some(name));
        assert_eq!(label.end_unix_ms(), 21_000);
    }

    #[test]
    fn a_newer_recorder_may_say_more_and_an_older_one_less() {
        let text = String::from_utf8(label(&Name::new(1, 2, 3), false).encode().unwrap()).unwrap();
        let more = text.replace('{', r#"{"colour":"red","#);
        assert!(Label::decode(more.as_bytes()).is_ok());
        let less = text.replace(r#","adopted":false,"kernel":"k""#, "");
        let less = (less != text).then(|| Label::decode(less.as_bytes()).unwrap()).unwrap();
        assert!(!less.adopted && less.kernel.is_empty());
        assert!(Label::decode(b"{}").is_err() && Label::decode(b"").is_err());
    }
}
