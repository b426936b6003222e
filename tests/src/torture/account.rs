//! What was acknowledged against what was heard.

use super::diary::Diary;
use std::collections::{BTreeMap, BTreeSet};

/// The sums, over all who spoke and all who listened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// What was acknowledged to those who spoke, once for each who listened.
    pub acknowledged: usize,
    /// What was heard of it.
    pub heard: usize,
    /// What was heard and never acknowledged: who spoke died before the answer.
    pub in_doubt: usize,
    /// What was acknowledged and not heard.
    pub lost: usize,
    /// What was taken for news twice.
    pub twice: usize,
    /// What came before something older of the same speaker.
    pub disordered: usize,
    /// What came again to one who knew that it had it: it died, or its agent did, before that was written down.
    pub again: usize,
    /// Some of what is lost, twice or out of order.
    pub examples: Vec<String>,
}

/// So many examples tell enough.
const MOST_EXAMPLES: usize = 8;

impl Account {
    /// Of one who listened.
    pub fn of(speakers: &BTreeMap<String, Diary>, ear: &Diary) -> Account {
        let heard = ear.heard();
        let mut account = Account { again: ear.again(), ..Account::default() };
        for (name, diary) in speakers {
            let numbers: Vec<u64> = heard.iter().filter(|(who, _)| who == name).map(|(_, number)| *number).collect();
            account.add(Self::of_one(name, &diary.acknowledged(), &numbers));
        }
        account
    }

    /// Of one who listened, about one who spoke.
    pub fn of_one(name: &str, acknowledged: &BTreeSet<u64>, heard: &[u64]) -> Account {
        let known: BTreeSet<u64> = heard.iter().copied().collect();
        let lost = acknowledged.difference(&known).map(|number| format!("{name} {number} is lost"));
        let late = heard.windows(2).filter(|pair| pair[1] < pair[0]);
        let late = late.map(|pair| format!("{name} {} came after {}", pair[1], pair[0]));
        Account {
            acknowledged: acknowledged.len(),
            heard: acknowledged.intersection(&known).count(),
            in_doubt: known.difference(acknowledged).count(),
            lost: acknowledged.difference(&known).count(),
            twice: heard.len() - known.len(),
            disordered: heard.windows(2).filter(|pair| pair[1] < pair[0]).count(),
            again: 0,
            examples: lost.chain(late).take(MOST_EXAMPLES).collect(),
        }
    }

    /// Both together.
    pub fn add(&mut self, other: Account) {
        self.acknowledged += other.acknowledged;
        self.heard += other.heard;
        self.in_doubt += other.in_doubt;
        self.lost += other.lost;
        self.twice += other.twice;
        self.disordered += other.disordered;
        self.again += other.again;
        self.examples.extend(other.examples);
        self.examples.truncate(MOST_EXAMPLES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_twice_or_out_of_order_is_counted() {
        let account = Account::of_one("one", &[1, 2, 3, 4].into(), &[1, 3, 2, 3, 9]);
        let examples = vec!["one 4 is lost".into(), "one 2 came after 3".into()];
        let expected =
            Account { acknowledged: 4, heard: 3, in_doubt: 1, lost: 1, twice: 1, disordered: 1, again: 0, examples };
        assert_eq!(account, expected);
    }
}
