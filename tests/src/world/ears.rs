//! Somebody at the door of an agent who hears what is said in the house, from a thread of his own, and keeps it.

use bus::client::{Bus, Item};
use protocol::door::{From, Subscribe};
use serde_json::{Map, Value};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;
use tokio::sync::oneshot;

/// A fact that was heard.
#[derive(Debug, Clone)]
pub struct Heard {
    /// As in `segment-closed`.
    pub fact: String,
    /// When it came here.
    pub at: Instant,
    /// When it was said, in milliseconds since 1970, by the clock of whoever said it.
    pub said_ms: u64,
    /// What it holds.
    pub fields: Map<String, Value>,
}

impl Heard {
    /// A field that is a text; empty if there is none.
    pub fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    fn of(body: &[u8], topic: &str) -> Option<Heard> {
        let mut fields: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let said_ms = fields.remove("at").and_then(|at| at.as_u64()).unwrap_or_default();
        fields.retain(|name, _| !["clock", "fact"].contains(&name.as_str()));
        let fact = topic.split('/').nth(3).unwrap_or(topic).to_owned();
        Some(Heard { fact, at: Instant::now(), said_ms, fields })
    }
}

impl fmt::Display for Heard {
    /// `motion camera=cam1 percent=12.5`; of a file, its name alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fact)?;
        for (name, value) in &self.fields {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let short = if name == "file" { text.rsplit('/').next().unwrap_or(&text) } else { &text };
            write!(f, " {name}={short}")?;
        }
        Ok(())
    }
}

/// He hears until he is dropped.
#[derive(Debug)]
pub struct Ears {
    heard: Arc<Mutex<Vec<Heard>>>,
    _end: oneshot::Sender<()>,
}

impl Ears {
    /// Hears everything under this filter that is kept, and all that follows; `also` is told of each at once.
    pub fn open(door: PathBuf, filter: &str, also: impl Fn(&Heard) + Send + 'static) -> Ears {
        let (heard, filters) = (Arc::default(), vec![filter.to_owned()]);
        let (end, ended) = oneshot::channel();
        let keeps = Arc::clone(&heard);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("there are descriptors left").block_on(async {
                let bus = Bus::open(door, "ears 1");
                let mut said = bus.subscribe(Subscribe { name: None, filters, from: From::Oldest });
                let listen = async {
                    loop {
                        let Item::Event(_, event) = said.next().await else { continue };
                        let Some(fact) = Heard::of(&event.body.0, &event.topic) else { continue };
                        also(&fact);
                        lock(&keeps).push(fact);
                    }
                };
                tokio::select! { () = listen => {}, _ = ended => {} }
            });
        });
        Ears { heard, _end: end }
    }

    /// All facts of a name, as they came.
    pub fn facts(&self, name: &str) -> Vec<Heard> {
        lock(&self.heard).iter().filter(|heard| heard.fact == name).cloned().collect()
    }

    /// How many of them.
    pub fn count(&self, name: &str) -> usize {
        lock(&self.heard).iter().filter(|heard| heard.fact == name).count()
    }
}

fn lock(heard: &Mutex<Vec<Heard>>) -> std::sync::MutexGuard<'_, Vec<Heard>> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}
