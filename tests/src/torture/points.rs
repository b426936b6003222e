//! Who dies when. The same seed chooses the same.

use fastrand::Rng;
use std::time::Duration;

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// fserver.
    Server,
    /// fclient.
    Client,
    /// Both at once.
    Both,
    /// One that speaks, by its number.
    Speaker(usize),
    /// One that listens, by its number.
    Ear(usize),
}

/// A death.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// Whose.
    pub victim: Victim,
    /// So long after the one before.
    pub after: Duration,
    /// So long until it lives again.
    pub away: Duration,
}

/// The longest life between two deaths.
const LIFE: u64 = 250_000;
/// The longest time that somebody is dead.
const DEATH: u64 = 80_000;

/// The next one, among so many who speak and listen.
pub fn next(random: &mut Rng, speakers: usize, ears: usize) -> Point {
    let victim = match random.u8(..10) {
        0..3 => Victim::Server,
        3..6 => Victim::Client,
        6 => Victim::Both,
        7 => Victim::Speaker(random.usize(..speakers)),
        _ => Victim::Ear(random.usize(..ears)),
    };
    let mut micros = |most| Duration::from_micros(random.u64(..most));
    Point { victim, after: micros(LIFE), away: micros(DEATH) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_chooses_the_same() {
        let choose = |seed| {
            let mut random = Rng::with_seed(seed);
            (0..50).map(|_| format!("{:?}", next(&mut random, 3, 3))).collect::<Vec<_>>()
        };
        assert_eq!(choose(7), choose(7));
        assert_ne!(choose(7), choose(8));
    }
}
