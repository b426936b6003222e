//! What is looked at now and then, and counts when two looks one after the other see the same: nobody reads a file that is being written. Pure.

/// One such thing; nothing is known of it at first.
#[derive(Debug)]
pub struct Steady<T> {
    known: Option<T>,
    /// Seen once.
    new: Option<T>,
}

impl<T> Default for Steady<T> {
    fn default() -> Self {
        Steady { known: None, new: None }
    }
}

impl<T: PartialEq> Steady<T> {
    /// Whether what is seen counts from now on.
    pub fn look(&mut self, seen: T) -> bool {
        let before = self.new.take();
        if self.known.as_ref() == Some(&seen) {
            return false;
        }
        let twice = before.as_ref() == Some(&seen);
        *(if twice { &mut self.known } else { &mut self.new }) = Some(seen);
        twice
    }

    /// Something counts already.
    pub fn is_known(&self) -> bool {
        self.known.is_some()
    }

    /// The next look decides.
    pub fn is_uncertain(&self) -> bool {
        self.new.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_twice_counts_once() {
        let mut steady = Steady::default();
        assert_eq!(
            [1, 1, 1, 2, 3, 3, 3, 4, 3, 4].map(|seen| steady.look(seen)).map(u8::from),
            [0, 1, 0, 0, 0, 1, 0, 0, 0, 0]
        );
        assert!(steady.is_uncertain() && steady.is_known());
    }
}
