//! The event bus beside mosquitto: how much flows through it, how soon one event is there, and how soon thousands have it.
//! On both sides there are one publisher and one subscriber, threads of this program; each event has 256 bytes, is
//! acknowledged to the publisher and by the subscriber (QoS 1), and at most a hundred are on the way unacknowledged.

mod broker;
mod followers;
mod light;
mod ours;

use super::Plan;
use super::ground::cleanup::Scratch;
use super::ground::table::Table;
use super::report::Report;
use super::rivals::Setting;
use std::io;
use std::time::{Duration, Instant};

/// What was promised against mosquitto.
const DURABLE: f64 = 5.0;
const VOLATILE: f64 = 3.0;

/// So many events are on the way and not acknowledged.
const WINDOW: usize = 100;
/// Bytes of an event.
const SIZE: usize = 256;
/// The pause between two events under light load.
const PAUSE: Duration = Duration::from_millis(5);
/// After so long without an event nothing more comes.
const SILENCE: Duration = Duration::from_secs(2);

/// How events went from one to the other.
#[derive(Debug)]
struct Flow {
    sent: usize,
    /// How long each was on the way.
    on_the_way: Vec<Duration>,
    /// From the first that was sent to the last that was received.
    took: Duration,
    /// Processor time of the server.
    processor: Duration,
}

impl Flow {
    fn rate(&self) -> f64 {
        self.on_the_way.len() as f64 / self.took.as_secs_f64()
    }

    fn row(&self, what: &str) -> [String; 5] {
        let received = self.on_the_way.len();
        let each = self.processor.as_secs_f64() * 1e6 / received.max(1) as f64;
        let lost = (self.sent - received.min(self.sent)).to_string();
        [what.into(), received.to_string(), lost, format!("{:.0}/s", self.rate()), format!("{each:.1} us")]
    }
}

/// How the publisher goes on.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// For so long.
    lasts: Duration,
    /// As fast as the window lets it, or one at a time with a pause.
    pause: Option<Duration>,
    /// Whether what is acknowledged has to be on the disk.
    durable: bool,
}

/// An event of this moment.
fn body(began: Instant) -> Vec<u8> {
    let mut body = format!(r#"{{"at":"{:020}","fact":"motion","pad":""#, began.elapsed().as_nanos()).into_bytes();
    body.resize(SIZE - 2, b'x');
    body.extend_from_slice(b"\"}");
    body
}

/// How long an event was on the way.
fn age(body: &[u8], began: Instant) -> Option<Duration> {
    let digits = std::str::from_utf8(body.get(7..27)?).ok()?;
    Some(began.elapsed().saturating_sub(Duration::from_nanos(digits.parse().ok()?)))
}

pub use followers::measure as followers;
pub use light::measure as latency;

/// Measures how much flows.
pub fn events(plan: &Plan, scratch: &Scratch, report: &mut Report) -> io::Result<()> {
    println!("\nEvents of {SIZE} bytes from one publisher to one subscriber, QoS 1, {WINDOW} on the way");
    let mut table = Table::new(&["form", "received", "lost", "rate", "processor each"]);
    let forms = [
        ("durable", true, Setting::Lossless, "mosquitto, autosave_on_changes", DURABLE),
        ("volatile", false, Setting::Shipped, "mosquitto, as shipped", VOLATILE),
    ];
    for (what, durable, setting, rival, target) in forms {
        let pace = Pace { lasts: plan.flow, pause: None, durable };
        let ours = ours::flow(pace, scratch)?;
        table.row(ours.row(&format!("fserver, {what}")));
        match broker::flow(pace, setting, scratch) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => println!("  not measured: {rival}: {why}"),
            theirs => {
                let theirs = theirs?;
                table.row(theirs.row(rival));
                let factor = ours.rate() / theirs.rate();
                let complete = ours.on_the_way.len() == ours.sent;
                report.judge(
                    format!("events, {what}, none lost, against {rival}"),
                    format!("{factor:.1}x"),
                    format!(">= {target:.0}x"),
                    complete && factor >= target,
                );
            }
        }
    }
    table.print();
    Ok(())
}
