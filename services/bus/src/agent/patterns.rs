//! What one follower wants, in one piece of memory: a server keeps this for thousands of them.

use protocol::{Filter, topic};
use std::rc::Rc;

/// No pattern holds this.
const BETWEEN: char = '\0';

/// Patterns in their order; clones share the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Patterns(Rc<str>);

impl Patterns {
    fn each(&self) -> impl Iterator<Item = &str> {
        // Nothing split is one empty piece, and no pattern is empty.
        self.0.split(BETWEEN).filter(|pattern| !pattern.is_empty())
    }

    /// Whether a topic is one of what is wanted.
    pub(super) fn matches(&self, topic: &str) -> bool {
        self.each().any(|pattern| topic::matches(pattern, topic))
    }

    /// Whether this very pattern is among them.
    pub(super) fn contains(&self, filter: &Filter) -> bool {
        self.each().any(|pattern| pattern == filter.as_str())
    }

    /// Each by itself.
    pub(super) fn filters(&self) -> Vec<Filter> {
        self.each().filter_map(|pattern| Filter::parse(pattern).ok()).collect()
    }
}

impl From<&[Filter]> for Patterns {
    fn from(filters: &[Filter]) -> Patterns {
        let texts: Vec<&str> = filters.iter().map(Filter::as_str).collect();
        Patterns(texts.join(&BETWEEN.to_string()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_patterns_are_what_they_were() {
        let filters = ["attic/req/#", "+/state"].map(|text| Filter::parse(text).unwrap());
        let patterns = Patterns::from(&filters[..]);
        assert!(patterns.matches("attic/req/version") && patterns.matches("kitchen/state"));
        assert!(!patterns.matches("attic/res/version") && !patterns.matches(""));
        assert!(patterns.contains(&filters[1]) && !patterns.contains(&Filter::parse("+").unwrap()));
        assert_eq!(patterns.filters(), filters);
    }

    #[test]
    fn no_pattern_wants_nothing() {
        let none = Patterns::from(&[][..]);
        assert!(none.filters().is_empty() && !none.matches("") && !none.matches("attic/state"));
    }
}
