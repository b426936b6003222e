//! A storage that answers like Backblaze B2, and fails when it is told to. What real servers in tests do not do: it refuses checksum headers
//! (400) and conditions (501), is busy with `Retry-After`, has caps, resets, swallows and never answers, reads slowly, and answers with wrong ETags. It keeps
//! versions: who may write may hide an object by its name, and only who may delete takes a version away. It notes when each byte of a body came. Signatures are
//! not checked, only whose key and which region they are for.
//!
//! | module | what it does |
//! |---|---|
//! | this one | what it has, and what it does wrong |
//! | `answer` | what it answers |
//! | `wire` | bytes in and out |

mod answer;
mod wire;

use crate::world::stored::Stored;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The bucket.
pub const BUCKET: &str = "visd-cctv";
/// Its region.
pub const REGION: &str = "ca-east-006";
/// The id of the key that it knows.
pub const KEY: &str = "0006f00dface0000000000001";

/// What it does wrong with one upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// 503, and when to come again.
    Busy(u64),
    /// 403, since the owner set a cap.
    Cap,
    /// A reset after half of the body.
    Reset,
    /// Takes everything and never answers.
    BlackHole,
    /// Takes so many bytes a second.
    Slow(u64),
    /// Keeps something else than what came.
    Corrupt,
    /// Keeps it, and resets before it answers.
    KeptAndReset,
}

/// An object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its bytes.
    pub content: Vec<u8>,
    /// Its headers, in lower case.
    pub headers: BTreeMap<String, String>,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When its head was there.
    pub at: Instant,
    /// As in `PUT`.
    pub method: String,
    /// As in `cam1/2026/...`.
    pub key: String,
    /// What it was answered; 0 if nothing.
    pub status: u16,
}

/// What it has and how it behaves.
#[derive(Debug, Default)]
pub struct State {
    /// What is in the bucket.
    pub objects: BTreeMap<String, Object>,
    /// How often each was written.
    pub writes: BTreeMap<String, u32>,
    /// Keys that were written once more with other bytes.
    pub overwritten: Vec<String>,
    /// Every request.
    pub seen: Vec<Seen>,
    /// When how many bytes of bodies came.
    pub arrivals: Vec<(Instant, usize)>,
    /// What goes wrong with the next uploads of segments, in this order.
    pub faults: VecDeque<Fault>,
    /// What goes wrong with all others.
    pub always: Option<Fault>,
    /// The key may not look at objects.
    pub blind: bool,
    /// The key may delete versions.
    pub may_delete: bool,
    /// The key may not even hide objects, as where policies are finer.
    pub may_not_hide: bool,
    /// Every version that was ever written and is not deleted, hidden or not, with its key.
    pub versions: BTreeMap<String, String>,
    /// It knows `If-None-Match`, which B2 does not.
    pub conditions: bool,
    /// The text of its life-cycle rules.
    pub rules: Option<String>,
    /// There is no bucket.
    pub no_bucket: bool,
    /// Its clock is so far ahead.
    pub ahead: Duration,
}

/// A running storage; it ends with the test.
#[derive(Debug, Clone)]
pub struct B2 {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl B2 {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// There is no loopback.
    pub fn start(address: IpAddr) -> B2 {
        let listener = TcpListener::bind((address, 0)).expect("loopback is there");
        let b2 = B2 { address: listener.local_addr().expect("it is bound"), state: Arc::default() };
        let state = b2.state.clone();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let state = state.clone();
                // A client that breaks off is what it is for.
                thread::spawn(move || drop(wire::serve(socket, &state)));
            }
        });
        b2
    }

    /// Where it is, as a setting.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has and how it behaves.
    pub fn state(&self) -> MutexGuard<'_, State> {
        state(&self.state)
    }

    /// Keys of segments, sorted.
    pub fn segments(&self) -> Vec<String> {
        self.state().objects.keys().filter(|key| is_segment(key)).cloned().collect()
    }

    /// Segments with what stands beside each, sorted by key.
    pub fn stored(&self) -> Vec<Stored> {
        let remark =
            |(name, value): (&String, &String)| Some((name.strip_prefix("x-amz-meta-")?.into(), value.clone()));
        let stored = |(key, object): (&String, &Object)| {
            Stored::new(key.clone(), object.content.clone(), object.headers.iter().filter_map(remark).collect())
        };
        self.state().objects.iter().filter(|(key, _)| is_segment(key)).map(stored).collect()
    }

    /// Keys of segments in the order in which they were written.
    pub fn written(&self) -> Vec<String> {
        let state = self.state();
        let good = |seen: &&Seen| seen.method == "PUT" && seen.status == 200 && is_segment(&seen.key);
        state.seen.iter().filter(good).map(|seen| seen.key.clone()).collect()
    }
}

fn state(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Faults are for these; manifests and probes are left in peace.
fn is_segment(key: &str) -> bool {
    key.rsplit_once('.').is_some_and(|(_, kind)| kind == "ts")
}
