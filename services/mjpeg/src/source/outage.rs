//! What was told of an outage, so that a camera that stays away is not told of at each attempt.

/// The causes told since the camera was last online, by their words.
#[derive(Debug, Default)]
pub struct Outage {
    told: Vec<&'static str>,
}

impl Outage {
    /// Whether a cause has not been told yet; from now on it has.
    pub fn is_news(&mut self, word: &'static str) -> bool {
        let news = !self.told.contains(&word);
        if news {
            self.told.push(word);
        }
        news
    }

    /// The camera is online.
    pub fn over(&mut self) {
        self.told.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_once_an_outage() {
        let mut outage = Outage::default();
        let told = ["refused", "refused", "silent", "refused", "silent"].map(|word| outage.is_news(word));
        assert_eq!(told, [true, false, true, false, false]);
        outage.over();
        assert!(outage.is_news("refused"));
    }
}
