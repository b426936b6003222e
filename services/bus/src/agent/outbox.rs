//! What goes to peers. Many get the same batch: it is made into bytes once, and leaves for many of them together.

use super::Out;
use crate::carry::Carried;
use crate::journal::Entry;
use protocol::frame;
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;

/// So many links are sent the same at a time: the first have it while the others are still read for.
const TOGETHER: usize = 512;

/// The way to all peers.
pub(super) struct Outbox {
    out: UnboundedSender<Out>,
    /// The last frame that was made.
    last: Option<Made>,
    /// A frame that waits for more peers to get the same.
    pending: Option<(Vec<u64>, Arc<[u8]>)>,
}

struct Made {
    number: u64,
    lost: u64,
    entries: Vec<Arc<Entry>>,
    bytes: Arc<[u8]>,
}

/// A batch without a copy of the events.
#[derive(Serialize)]
struct Outgoing<'a> {
    through: u64,
    events: Vec<Carried<'a>>,
    lost: u64,
}

impl Outbox {
    pub(super) fn new(out: UnboundedSender<Out>) -> Outbox {
        Outbox { out, last: None, pending: None }
    }

    /// A frame goes to these links at once.
    pub(super) fn send(&self, links: Vec<u64>, bytes: Arc<[u8]>) {
        // The host program ends first only when the whole process ends.
        let _ = self.out.send(Out::Send(links, bytes));
    }

    /// A link is over, for this reason.
    pub(super) fn refuse(&self, link: u64, why: String) {
        let _ = self.out.send(Out::Refuse(link, why));
    }

    /// A batch for a link, in seconds since 1970; it may wait until [`Outbox::flush`].
    pub(super) fn batch(&mut self, link: u64, through: u64, entries: Vec<Arc<Entry>>, lost: u64, unix: u64) {
        let bytes = self.frame(through, entries, lost, unix);
        match &mut self.pending {
            Some((links, same))
                if Arc::ptr_eq(same, &bytes) && links.last() != Some(&link) && links.len() < TOGETHER =>
            {
                links.push(link)
            }
            _ => {
                self.flush();
                self.pending = Some((vec![link], bytes));
            }
        }
    }

    /// What waits goes.
    pub(super) fn flush(&mut self) {
        if let Some((links, bytes)) = self.pending.take() {
            self.send(links, bytes);
        }
    }

    /// The bytes of a batch; the same as the last time, if it is the same.
    fn frame(&mut self, through: u64, entries: Vec<Arc<Entry>>, lost: u64, unix: u64) -> Arc<[u8]> {
        if let Some(made) = &self.last
            && (made.number, made.lost) == (through, lost)
            && made.entries.len() == entries.len()
            && made.entries.iter().zip(&entries).all(|(one, other)| Arc::ptr_eq(one, other))
        {
            return made.bytes.clone();
        }
        let events = entries.iter().map(|entry| Carried(entry, unix)).collect();
        let batch = AsMessage(Outgoing { through, events, lost });
        let bytes: Arc<[u8]> = frame::encode(&batch).into();
        self.last = Some(Made { number: through, lost, entries, bytes: bytes.clone() });
        bytes
    }
}

/// Takes the place that `Events` has among the variants of [`protocol::Message`].
struct AsMessage<'a>(Outgoing<'a>);

impl Serialize for AsMessage<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_variant("Message", protocol::message::EVENTS, "Events", &self.0)
    }
}
