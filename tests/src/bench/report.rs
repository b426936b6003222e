//! What was promised and what was measured.

use super::ground::table::Table;
use std::time::Duration;

/// All verdicts of one run.
#[derive(Default)]
pub struct Report {
    verdicts: Vec<Verdict>,
}

struct Verdict {
    what: String,
    measured: String,
    target: String,
    met: bool,
}

impl Report {
    /// Sets a time beside the longest that it may be.
    pub fn at_most(&mut self, what: impl Into<String>, measured: Duration, target: Duration) {
        self.judge(what, milliseconds(measured), format!("<= {}", milliseconds(target)), measured <= target);
    }

    /// Sets anything beside its target.
    pub fn judge(&mut self, what: impl Into<String>, measured: String, target: String, met: bool) {
        self.verdicts.push(Verdict { what: what.into(), measured, target, met });
    }

    /// Prints all verdicts; how many targets were missed.
    pub fn conclude(&self) -> usize {
        println!("\nTargets");
        let mut table = Table::new(&["promise", "measured", "target", ""]);
        for Verdict { what, measured, target, met } in &self.verdicts {
            let verdict = if *met { "PASS" } else { "MISS" };
            table.row([what.clone(), measured.clone(), target.clone(), verdict.into()]);
        }
        table.print();
        self.verdicts.iter().filter(|verdict| !verdict.met).count()
    }
}

/// For people.
pub fn milliseconds(time: Duration) -> String {
    match time.as_secs_f64() * 1000.0 {
        ms if ms < 1.0 => format!("{:.0} us", ms * 1000.0),
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 1000.0 => format!("{ms:.1} ms"),
        ms => format!("{ms:.0} ms"),
    }
}

/// Times in order, and what to read off them.
pub struct Sample(Vec<Duration>);

impl Sample {
    /// Sorts them; `None` if there are none.
    pub fn new(mut times: Vec<Duration>) -> Option<Self> {
        times.sort();
        (!times.is_empty()).then_some(Self(times))
    }

    /// The smallest time that so many per cent do not exceed (nearest rank).
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0[rank - 1]
    }

    /// Half are no longer.
    pub fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// The longest.
    pub fn worst(&self) -> Duration {
        self.0[self.0.len() - 1]
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}
