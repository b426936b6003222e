//! What a program writes down, a line each. A line is one write to the end of the file, so it is there whole whatever
//! kills the program next.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The file of one program, over all its lives.
#[derive(Debug, Clone)]
pub struct Diary(PathBuf);

/// Its end, for the program itself.
#[derive(Debug)]
pub struct Pen(File);

impl Diary {
    /// At this path; it need not be there yet.
    pub fn at(path: &Path) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// For writing at its end.
    pub fn pen(&self) -> std::io::Result<Pen> {
        OpenOptions::new().create(true).append(true).open(&self.0).map(Pen)
    }

    /// The last number that was tried, whatever became of it.
    pub fn last_tried(&self) -> u64 {
        self.numbers("try").into_iter().next_back().unwrap_or(0)
    }

    /// The numbers that were acknowledged.
    pub fn acknowledged(&self) -> BTreeSet<u64> {
        self.numbers("ack")
    }

    /// How many were refused.
    pub fn refused(&self) -> usize {
        self.numbers("refused").len()
    }

    /// What was heard, in order: who said it, and its number.
    pub fn heard(&self) -> Vec<(String, u64)> {
        self.words("got").iter().filter_map(|(who, number)| Some((who.clone(), number.parse().ok()?))).collect()
    }

    /// How often something came again that had been heard already.
    pub fn again(&self) -> usize {
        self.words("again").len()
    }

    fn numbers(&self, word: &str) -> BTreeSet<u64> {
        self.words(word).iter().filter_map(|(number, _)| number.parse().ok()).collect()
    }

    /// The two words behind each line's first, of lines that begin with this one.
    fn words(&self, word: &str) -> Vec<(String, String)> {
        let text = crate::world::read(&self.0);
        let line = |line: &str| {
            let mut words = line.split(' ');
            (words.next() == Some(word)).then(|| [words.next(), words.next()].map(|word| word.unwrap_or("").to_owned()))
        };
        text.lines().filter_map(line).map(|[one, other]| (one, other)).collect()
    }
}

impl Pen {
    /// A line.
    pub fn write(&mut self, line: &str) -> std::io::Result<()> {
        self.0.write_all(format!("{line}\n").as_bytes())
    }
}
