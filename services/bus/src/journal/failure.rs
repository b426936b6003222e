//! Why the journal does not do what it was asked for: each text names the place and the remedy.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// What went wrong.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// Another process has the directory.
    #[error("{}: is in use by {holder}; end that one first, or give this one a directory of its own", place.display())]
    InUse {
        /// The directory.
        place: PathBuf,
        /// A process number, if it is known.
        holder: String,
    },
    /// The directory cannot be used as one.
    #[error("{}: cannot be used ({why}); make it a directory that this user may write to", place.display())]
    Unusable {
        /// The directory.
        place: PathBuf,
        /// What the system said.
        why: Arc<io::Error>,
    },
    /// The disk did not take it or give it. Nothing of it is kept, nothing that was kept before is lost.
    #[error("{place}: {why}; make room on that disk or look after it, it is tried again each time")]
    Disk {
        /// The directory or file.
        place: String,
        /// What the system said.
        why: Arc<io::Error>,
    },
    /// The record is none that could be kept.
    #[error("{key}: {why}")]
    Record {
        /// Its key.
        key: String,
        /// What is wrong with it and what would be right.
        why: String,
    },
    /// Bounds that cannot be held.
    #[error("{0}")]
    Bounds(String),
    /// There is no consumer of that name, or no more room for one.
    #[error("consumer `{name}`: {why}")]
    Consumer {
        /// The name.
        name: String,
        /// What is the matter with it and what to do.
        why: &'static str,
    },
    /// The journal was closed while it was asked.
    #[error("the journal is closed; open it again")]
    Closed,
}

impl Failure {
    /// Whether the same may work the next time (exit code 111) or not (100).
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Failure::Disk { .. } | Failure::Closed)
    }

    pub(crate) fn disk(place: impl Into<String>, why: io::Error) -> Failure {
        Failure::Disk { place: place.into(), why: Arc::new(why) }
    }
}
