//! `pistop events`: what was said on the bus as far as this machine keeps it, and what is said.
//!
//! What always holds: an event is shown once, also if the agent restarts meanwhile, and what is missing is told.
//!
//! | module | what it does |
//! |---|---|
//! | [`filter`] | which events: patterns and their short forms |
//! | [`since`] | from when on |
//! | [`body`], [`line`] | one event as a line, for people or as JSON |

pub mod body;
pub mod filter;
pub mod line;
pub mod since;

use crate::door::{self, SILENCE};
use crate::local_time::Zone;
use crate::words::{is_unread, out};
use body::Fields;
use bus::client::{Item, Subscription};
use clap::Args;
use futures_util::FutureExt;
use line::Columns;
use protocol::Event;
use protocol::door::{From, Subscribe};
use runner::exit::Failure;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// So much is written at a time.
const ENOUGH: usize = 32 * 1024;
/// Between two looks whether anybody still reads, while nothing comes.
const LOOK: Duration = Duration::from_millis(500);

/// The flags of `events`.
#[derive(Debug, Args)]
#[command(
    after_help = "A line is: time, machine, family/name, fields. `=` marks a state, `>` a command, `<` its answer."
)]
pub struct EventsFlags {
    /// Go on with what comes, until interrupted
    #[arg(short, long)]
    pub follow: bool,
    /// Nothing that was said earlier: 10m, 2h, 3d, today, yesterday, 20:15, 2026-11-21, "2026-11-21 20:15", or RFC 3339
    #[arg(long, value_name = "T")]
    pub since: Option<String>,
    /// Only these, one match is enough: a family (camera), a fact (motion or camera/motion), a machine (kitchen:), both
    /// (kitchen:motion), or a pattern of topics as MQTT has them (+/evt/camera/#). Without one all but pings
    #[arg(long = "filter", value_name = "F")]
    pub filters: Vec<String>,
    /// For programs: one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Prints what is kept, and goes on if that is wanted.
///
/// # Errors
/// A flag means nothing, or the agent does not answer.
pub async fn run(door: &Path, flags: &EventsFlags) -> Result<(), Failure> {
    let zone = Zone::local();
    let filters = filter::patterns(&flags.filters).map_err(Failure::Permanent)?;
    let since = flags.since.as_ref().map(|text| since::parse(text, &zone.now())).transpose();
    let since = since
        .map_err(Failure::Permanent)?
        .map(|moment| Duration::try_from(moment.duration_since(jiff::Timestamp::UNIX_EPOCH)).unwrap_or(Duration::ZERO));
    let (bus, keeper) = door::open(door, Duration::ZERO).await?;
    let subscription = bus.subscribe(Subscribe { name: None, filters, from: From::Oldest });
    let sieve = Sieve { since, shows: since.is_none() };
    let pings = !flags.filters.is_empty();
    let mut show =
        Show { zone, json: flags.json, columns: Columns::default(), sieve, pings, text: String::new(), shown: false };
    tell(subscription, &mut show, flags.follow).await.unwrap_or_else(|| Err(Failure::Temporary(door::silent(door))))?;
    show.print()?;
    if !show.shown && !flags.json {
        eprintln!("nothing of that kind is kept on {}; the server keeps what all machines say", keeper.node);
    }
    Ok(())
}

/// Until everything was told, or for ever; `None` if the agent says nothing any more.
async fn tell(mut heard: Subscription, show: &mut Show, follow: bool) -> Option<Result<(), Failure>> {
    let (mut once, mut live) = (Once::default(), false);
    loop {
        let item = match heard.next().now_or_never() {
            Some(item) => item,
            None => {
                if let Err(why) = show.print() {
                    return Some(Err(why));
                }
                match timeout(if live { LOOK } else { SILENCE }, heard.next()).await {
                    Ok(item) => item,
                    Err(_) if !live => return None,
                    Err(_) if is_unread() => return Some(Ok(())),
                    Err(_) => continue,
                }
            }
        };
        match item {
            Item::Event(number, event) if once.is_new(number) => show.event(&event),
            Item::Event(..) => {}
            Item::Missed(count) => show.missed(count, once.last),
            Item::Restarted => show.restarted(),
            Item::Live if follow => live = true,
            Item::Live => return Some(Ok(())),
            Item::Refused(why) => return Some(Err(Failure::Permanent(why))),
        }
        if show.text.len() > ENOUGH
            && let Err(why) = show.print()
        {
            return Some(Err(why));
        }
    }
}

/// An agent that restarts tells all that it keeps again, under the same numbers.
#[derive(Debug, Default)]
struct Once {
    last: Option<u64>,
}

impl Once {
    fn is_new(&mut self, number: u64) -> bool {
        let is_new = self.last.is_none_or(|last| number > last);
        self.last = self.last.max(Some(number));
        is_new
    }
}

/// What `--since` lets pass. An event whose time nobody knows goes with the one before it.
#[derive(Debug)]
struct Sieve {
    since: Option<Duration>,
    shows: bool,
}

impl Sieve {
    fn passes(&mut self, at: Option<Duration>) -> bool {
        if let (Some(since), Some(at)) = (self.since, at) {
            self.shows = at >= since;
        }
        self.shows
    }
}

fn is_ping(event: &Event) -> bool {
    event.topic.ends_with("/req/ping") || event.topic.ends_with("/res/ping")
}

/// How it is shown.
struct Show {
    zone: Zone,
    json: bool,
    columns: Columns,
    sieve: Sieve,
    /// Pings, too, of which each `pistop doctor` leaves a dozen.
    pings: bool,
    /// What is not printed yet.
    text: String,
    /// There was something to show.
    shown: bool,
}

impl Show {
    fn event(&mut self, event: &Event) {
        let fields = Fields::of(&event.body.0);
        if !self.sieve.passes(line::at(&fields)) || !self.pings && is_ping(event) {
            return;
        }
        self.shown = true;
        self.text += &match self.json {
            true => line::json(event, &fields),
            false => self.columns.line(event, &fields, &self.zone),
        };
    }

    /// Before the first event it is the past that nobody keeps; that is no loss, but it is to be seen where the list begins.
    fn missed(&mut self, count: u64, last: Option<u64>) {
        let words = match last {
            None => "what was before is not kept any more".into(),
            Some(_) => format!("up to {count} events are missing here; see pistop events --filter events-dropped"),
        };
        self.note(&json!({"missed": count}), &words);
    }

    fn restarted(&mut self) {
        self.note(&json!({"restarted": true}), "the event bus of this machine started again");
    }

    fn note(&mut self, program: &Value, people: &str) {
        self.text += &if self.json { format!("{program}\n") } else { self.columns.note(people) };
    }

    fn print(&mut self) -> Result<(), Failure> {
        out(&std::mem::take(&mut self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_again_is_shown_once() {
        let mut once = Once::default();
        assert_eq!([1, 3, 1, 3, 4].map(|number| once.is_new(number)), [true, true, false, false, true]);
    }

    #[test]
    fn an_event_without_a_time_goes_with_the_one_before_it() {
        let at = |seconds| Some(Duration::from_secs(seconds));
        let mut sieve = Sieve { since: at(10), shows: false };
        let passed = [None, at(5), None, at(10), None, at(9), None].map(|at| sieve.passes(at));
        assert_eq!(passed, [false, false, false, true, true, false, false]);
        let mut all = Sieve { since: None, shows: true };
        assert!(all.passes(None) && all.passes(at(0)));
    }
}
