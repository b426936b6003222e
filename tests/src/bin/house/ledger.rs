//! What was expected beside what was seen, scene by scene, and the times that were measured.

use std::fmt;
use std::time::Duration;

struct Row {
    scene: &'static str,
    who: String,
    what: String,
    seen: String,
    mark: &'static str,
}

/// The table at the end.
#[derive(Default)]
pub struct Ledger {
    scene: &'static str,
    rows: Vec<Row>,
}

impl Ledger {
    /// What follows belongs to this scene.
    pub fn scene(&mut self, scene: &'static str) {
        self.scene = scene;
    }

    /// Something that must be so, and what was seen.
    pub fn expect(&mut self, who: &str, what: &str, so: bool, seen: impl fmt::Display) {
        self.row(who, what, seen.to_string(), if so { "PASS" } else { "FAIL" });
    }

    /// Something that must be there, with its time since a moment.
    pub fn within(&mut self, who: &str, what: &str, from: Duration, at: Option<Duration>) {
        let seen = at.map_or("never".into(), |at| format!("{:.1} s", at.saturating_sub(from).as_secs_f64()));
        self.expect(who, what, at.is_some(), seen);
    }

    /// This came before that.
    pub fn order(&mut self, who: &str, what: &str, first: Option<Duration>, then: Option<Duration>) {
        let seen = match (first, then) {
            (Some(first), Some(then)) => format!("{:+.1} s", then.as_secs_f64() - first.as_secs_f64()),
            (first, _) => format!("the {} of them was never seen", if first.is_none() { "first" } else { "second" }),
        };
        self.expect(who, what, first.zip(then).is_some_and(|(first, then)| first < then), seen);
    }

    /// A figure without a verdict.
    pub fn figure(&mut self, who: &str, what: &str, seen: impl fmt::Display) {
        self.row(who, what, seen.to_string(), "");
    }

    /// Whether all of it is as expected.
    pub fn agrees(&self) -> bool {
        self.rows.iter().any(|row| row.mark == "PASS") && self.rows.iter().all(|row| row.mark != "FAIL")
    }

    fn row(&mut self, who: &str, what: &str, seen: String, mark: &'static str) {
        println!("             {mark:4} {who}: {what}: {seen}");
        self.rows.push(Row { scene: self.scene, who: who.into(), what: what.into(), seen, mark });
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut scene = "";
        for row in &self.rows {
            if row.scene != scene {
                scene = row.scene;
                let failed = self.rows.iter().any(|row| row.scene == scene && row.mark == "FAIL");
                writeln!(f, "\n{}  {scene}", if failed { "FAIL" } else { "PASS" })?;
            }
            writeln!(f, "  {:4}  {:8} {:58} {}", row.mark, row.who, row.what, row.seen)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_that_is_not_so_is_enough() {
        let s = |seconds| Some(Duration::from_secs(seconds));
        let mut ledger = Ledger::default();
        assert!(!ledger.agrees(), "nothing was looked at");
        ledger.scene("a scene");
        ledger.order("attic", "first this, then that", s(1), s(2));
        ledger.figure("attic", "a figure", 3);
        assert!(ledger.agrees());
        ledger.order("attic", "first that, then this", s(2), s(1));
        assert!(!ledger.agrees());
        assert!(ledger.to_string().contains("FAIL  a scene"));
    }

    #[test]
    fn what_was_never_seen_is_in_no_order() {
        let mut ledger = Ledger::default();
        ledger.expect("attic", "is there", true, "yes");
        ledger.order("attic", "first this, then that", None, Some(Duration::ZERO));
        assert!(!ledger.agrees());
    }
}
