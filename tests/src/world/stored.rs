//! An object in a bucket, with what upload has written beside it: all that whoever restores has to go by.

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use md5::{Digest, Md5};
use std::collections::BTreeMap;

/// A segment in a bucket.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub content: Vec<u8>,
    beside: BTreeMap<String, String>,
}

impl Stored {
    /// `beside` are its remarks, by names such as `duration-ms`.
    pub fn new(key: String, content: Vec<u8>, beside: BTreeMap<String, String>) -> Stored {
        Stored { key, content, beside }
    }

    /// A remark; empty if there is none.
    pub fn beside(&self, name: &str) -> &str {
        self.beside.get(name).map_or("", String::as_str)
    }

    /// The camera, which its key begins with.
    pub fn camera(&self) -> &str {
        self.key.split('/').next().unwrap_or_default()
    }

    /// When it begins, in milliseconds since 1970.
    pub fn start_ms(&self) -> u64 {
        let start = self.beside("start").parse::<Timestamp>().map(|start| start.as_millisecond());
        start.ok().and_then(|ms| ms.try_into().ok()).unwrap_or_default()
    }

    /// Its length in milliseconds.
    pub fn duration_ms(&self) -> u64 {
        self.beside("duration-ms").parse().unwrap_or_default()
    }

    /// It is evidence.
    pub fn is_marked(&self) -> bool {
        self.beside("marked") == "true"
    }

    /// The checksum of its bytes, as in a label.
    pub fn md5(&self) -> String {
        HEXLOWER.encode(&Md5::digest(&self.content))
    }

    /// Its bytes are those that its checksum was made of.
    pub fn is_whole(&self) -> bool {
        self.beside("md5") == self.md5()
    }

    /// Its remarks were lost, as when the server of our tests is killed between an object and them: it is this recording.
    pub fn is_run(&mut self, run: &str) {
        let remarks = [("run", run.to_owned()), ("md5", self.md5())];
        self.beside.extend(remarks.map(|(name, value)| (name.to_owned(), value)));
    }
}
