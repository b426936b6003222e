//! What is known about releases of MQTT brokers that a house must reckon with. Pure.
//!
//! Sources: the change log of mosquitto and the reports of its users; mosquitto.conf(5) for the settings.

use super::findings::Finding;

/// The releases of something, as in 2.0.18.
type Release = [u32; 3];

/// What to know about the broker whose name and version stand in this text, as in `mosquitto version 2.0.11`.
pub fn quirks(text: &str) -> Vec<Finding> {
    match mosquitto(text) {
        Some(release) => of(release).into_iter().map(|(what, remedy)| Finding::note(what, remedy)).collect(),
        None => Vec::new(),
    }
}

fn of(release: Release) -> Vec<(String, &'static str)> {
    let [major, minor, patch] = release;
    let name = format!("mosquitto {major}.{minor}.{patch}");
    let mut all = Vec::new();
    let mut say = |applies: bool, what: &str, remedy| all.extend(applies.then(|| (format!("{name} {what}"), remedy)));
    say(release < [1, 6, 0], "does not speak MQTT 5", "update it to 2.0 or newer");
    say(release < [2, 0, 0], "is no longer mended", "update it to 2.0 or newer");
    say(
        ([2, 0, 12]..=[2, 0, 18]).contains(&release),
        "forgets persistent sessions if per_listener_settings is true",
        "leave that setting out, or update to 2.0.19 or newer",
    );
    say(
        ([2, 0, 16]..[2, 1, 0]).contains(&release),
        "sends a new subscriber no more than a thousand retained messages at once",
        "set max_queued_messages to more than there are states in the house, as in 100000",
    );
    say(
        ([2, 0, 21]..[2, 1, 0]).contains(&release),
        "ends connections if max_queued_messages is 0, which meant no limit before",
        "set it to a number, as in 100000",
    );
    say(
        release < [2, 0, 21],
        "drops what it has acknowledged if more than a thousand messages wait for a subscriber",
        "set max_queued_messages 100000",
    );
    say(
        release < [2, 1, 0],
        "acknowledges before it writes to the disk, and loses that if it is killed",
        "set autosave_on_changes true and autosave_interval 1 if that matters; pistop keeps its own events either way",
    );
    all
}

/// The first number behind the name.
fn mosquitto(text: &str) -> Option<Release> {
    let (_, behind) = text.split_once("mosquitto")?;
    let start = behind.find(|c: char| c.is_ascii_digit())?;
    let number = behind[start..].split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    let mut parts = number.split('.').map(|part| part.parse().ok());
    Some([parts.next()??, parts.next().flatten()?, parts.next().flatten().unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(release: Release) -> String {
        of(release).iter().map(|(what, remedy)| format!("{what}; {remedy}\n")).collect()
    }

    #[test]
    fn the_release_is_found_in_what_the_broker_says_of_itself() {
        assert_eq!(mosquitto("mosquitto version 2.0.11"), Some([2, 0, 11]));
        assert_eq!(mosquitto("is mosquitto 2.1, good"), Some([2, 1, 0]));
        assert_eq!((mosquitto("EMQX 5.8.0"), mosquitto("mosquitto"), mosquitto("mosquitto 2")), (None, None, None));
        assert_eq!(mosquitto("mosquitto 99999999999.1"), None);
    }

    #[test]
    fn each_release_has_its_own_quirks() {
        let borders: [(&str, &[Release], &[Release]); 6] = [
            ("does not speak MQTT 5", &[[1, 5, 9]], &[[1, 6, 0]]),
            ("no longer mended", &[[1, 6, 15]], &[[2, 0, 0]]),
            ("per_listener_settings", &[[2, 0, 12], [2, 0, 18]], &[[2, 0, 11], [2, 0, 19]]),
            ("a thousand retained", &[[2, 0, 16], [2, 0, 22]], &[[2, 0, 15], [2, 1, 0]]),
            ("ends connections", &[[2, 0, 21]], &[[2, 0, 20], [2, 1, 0]]),
            ("wait for a subscriber", &[[2, 0, 11], [2, 0, 20]], &[[2, 0, 21]]),
        ];
        for (words, with, without) in borders {
            assert!(with.iter().all(|release| told(*release).contains(words)), "{words}");
            assert!(without.iter().all(|release| !told(*release).contains(words)), "{words}");
        }
        assert_eq!(told([2, 1, 0]), "");
    }
}
