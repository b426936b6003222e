//! The result, a line for each trial.

use super::account::Account;

/// What came of a trial.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was done.
    pub what: String,
    /// How often.
    pub times: usize,
    /// What was acknowledged and heard.
    pub account: Account,
    /// So much may be lost, as it was destroyed.
    pub destroyed: usize,
    /// It is somebody else's, and shown beside ours.
    pub foreign: bool,
    /// What else must be so, and is not.
    pub complaint: Option<String>,
}

impl Row {
    /// Of something that was done so often.
    pub fn new(what: impl Into<String>, times: usize, account: Account) -> Self {
        Self { what: what.into(), times, account, destroyed: 0, foreign: false, complaint: None }
    }

    /// A trial that came to no end; its panic was told.
    pub fn failed(what: &str) -> Self {
        let complaint = Some("came to no end".into());
        Self { complaint, ..Self::new(what, 0, Account::default()) }
    }

    /// Whether it is as it must be. What is not ours is as it is.
    pub fn is_good(&self) -> bool {
        let Account { acknowledged, lost, twice, disordered, .. } = self.account;
        // What was destroyed before it was passed on is sent once more, behind what came later.
        let whole = acknowledged > 0 && lost <= self.destroyed && twice == 0 && disordered <= self.destroyed;
        self.foreign || self.complaint.is_none() && whole
    }
}

/// All rows, with a header.
pub fn text(rows: &[Row]) -> String {
    let header = ["what was done", "times", "acknowledged", "heard", "in doubt", "lost", "twice", "disorder", "again"];
    let mut lines = vec![header.map(String::from)];
    lines.extend(rows.iter().map(cells));
    let widths: [usize; 9] =
        std::array::from_fn(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0));
    let mut text: String = lines.iter().map(|line| row(line, &widths)).collect();
    for row in rows.iter().filter(|row| !row.foreign && !row.account.examples.is_empty()) {
        text += &format!("{}: {}\n", row.what, row.account.examples.join(", "));
    }
    for complaint in rows.iter().filter_map(|row| Some(format!("{}: {}\n", row.what, row.complaint.as_ref()?))) {
        text += &complaint;
    }
    text
}

fn cells(row: &Row) -> [String; 9] {
    let Account { acknowledged, heard, in_doubt, lost, twice, disordered, again, .. } = row.account;
    let lost = if row.destroyed > 0 { format!("{lost} (at most {})", row.destroyed) } else { lost.to_string() };
    let numbers = [row.times, acknowledged, heard, in_doubt].map(|number| number.to_string());
    let [times, acknowledged, heard, in_doubt] = numbers;
    let [twice, disordered, again] = [twice, disordered, again].map(|number| number.to_string());
    [row.what.clone(), times, acknowledged, heard, in_doubt, lost, twice, disordered, again]
}

fn row(cells: &[String; 9], widths: &[usize; 9]) -> String {
    let rest = cells.iter().zip(widths).skip(1).map(|(cell, width)| format!("  {cell:>width$}"));
    format!("{:<width$}{}\n", cells[0], rest.collect::<String>(), width = widths[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_good_if_nothing_but_the_destroyed_is_lost() {
        let whole = Account { acknowledged: 5, heard: 5, ..Account::default() };
        assert!(Row::new("x", 1, whole.clone()).is_good());
        assert!(!Row::new("x", 1, Account::default()).is_good(), "nothing was done");
        let lost = Row::new("x", 1, Account { lost: 1, ..whole.clone() });
        assert!(!lost.is_good() && Row { destroyed: 1, ..lost }.is_good());
        assert!(!Row::failed("x").is_good());
    }

    #[test]
    fn the_table_is_aligned() {
        let row = Row::new("kill -9", 12, Account { acknowledged: 5, heard: 5, ..Account::default() });
        let text = text(&[row]);
        let lengths: Vec<usize> = text.lines().map(str::len).collect();
        assert!(lengths.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
    }
}
