//! What is expected of a run, one line each: `ok` or `not ok`, what was looked at, and what was seen.

use std::fmt::Display;

/// The lines so far.
#[derive(Debug, Default)]
pub struct Checks {
    lines: Vec<Line>,
}

/// One of them.
#[derive(Debug, Clone)]
pub struct Line {
    /// Whether it is so.
    pub good: bool,
    /// What is to be so.
    pub what: String,
    /// What was seen.
    pub seen: String,
}

impl Checks {
    /// Notes a line and prints it.
    pub fn expect(&mut self, good: bool, what: &str, seen: impl Display) {
        let line = Line { good, what: what.into(), seen: seen.to_string() };
        println!("{:8}{:66}{}", if good { "ok" } else { "NOT OK" }, line.what, line.seen);
        self.lines.push(line);
    }

    /// The same for something of which there must be none: the first few of what there is are shown.
    pub fn none<T: Display>(&mut self, what: &str, all: usize, bad: &[T]) {
        let shown: Vec<String> = bad.iter().take(5).map(T::to_string).collect();
        let seen = if bad.is_empty() { format!("{all} of {all}") } else { shown.join("; ") };
        self.expect(bad.is_empty() && all > 0, what, seen);
    }

    /// All lines.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Prints the sum; whether all is as expected.
    pub fn conclude(&self) -> bool {
        let good = self.lines.iter().filter(|line| line.good).count();
        println!("\n{good} of {} as expected", self.lines.len());
        good == self.lines.len() && good > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_that_is_not_so_spoils_all_and_nothing_at_all_is_not_so() {
        let mut checks = Checks::default();
        assert!(!checks.conclude(), "nothing was looked at");
        checks.none::<&str>("none is bad", 3, &[]);
        assert!(checks.conclude());
        checks.none::<&str>("there was one", 0, &[]);
        assert!(!checks.conclude());
        let mut checks = Checks::default();
        checks.none("none is bad", 3, &["this one"]);
        assert_eq!(checks.lines()[0].seen, "this one");
        assert!(!checks.conclude());
    }
}
