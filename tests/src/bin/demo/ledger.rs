//! What was expected beside what was seen.

use std::fmt;

struct Row {
    scene: &'static str,
    who: String,
    what: &'static str,
    expected: String,
    seen: String,
}

/// The table at the end.
#[derive(Default)]
pub struct Ledger(Vec<Row>);

impl Ledger {
    /// One line of it.
    pub fn row(
        &mut self,
        scene: &'static str,
        who: &str,
        what: &'static str,
        expected: impl fmt::Display,
        seen: impl fmt::Display,
    ) {
        self.0.push(Row { scene, who: who.into(), what, expected: expected.to_string(), seen: seen.to_string() });
    }

    /// A figure with a bound: it is seen to keep it, or as it is.
    pub fn at_most(&mut self, scene: &'static str, who: &str, what: &'static str, bound: f64, seconds: f64) {
        let bound_text = format!("at most {bound:.1} s");
        let seen = if seconds <= bound { bound_text.clone() } else { format!("{seconds:.1} s") };
        self.row(scene, who, what, bound_text, seen);
    }

    /// Whether all of it is as expected.
    pub fn agrees(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|row| row.expected == row.seen)
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{:20}{:10}{:36}{:16}seen", "scene", "who", "what", "expected")?;
        for Row { scene, who, what, expected, seen } in &self.0 {
            let mark = if expected == seen { "" } else { "   <-- DIFFERS" };
            writeln!(f, "{scene:20}{who:10}{what:36}{expected:16}{seen}{mark}")?;
        }
        let agree = self.0.iter().filter(|row| row.expected == row.seen).count();
        writeln!(f, "\n{agree} of {} as expected", self.0.len())
    }
}
