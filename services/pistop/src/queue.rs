//! `pistop queue`: for whom events wait at this machine, how many, and since when.

use crate::door::{PROGRAM, SILENCE, silent};
use crate::words::{out, span, table};
use protocol::door::{Ask, Tell, Waiting};
use runner::exit::Failure;
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// So far the agent counts.
const COUNTED: u64 = 10_000;

/// Asks and prints.
///
/// # Errors
/// The agent does not answer.
pub async fn run(door: &Path, as_json: bool) -> Result<(), Failure> {
    let waiting = ask(door).await?;
    out(&if as_json { format!("{}\n", json!(waiting)) } else { people(&waiting) })
}

/// What the agent says.
///
/// # Errors
/// It does not answer.
pub async fn ask(door: &Path) -> Result<Vec<Waiting>, Failure> {
    let answer = timeout(SILENCE, bus::client::ask(door, PROGRAM, Ask::Queue)).await;
    match answer.unwrap_or_else(|_| Err(silent(door))).map_err(Failure::Temporary)? {
        Tell::Queue(waiting) => Ok(waiting),
        other => Err(Failure::Permanent(format!("an answer that does not belong to queue: {other:?}"))),
    }
}

fn people(waiting: &[Waiting]) -> String {
    if waiting.is_empty() {
        return "nobody here wants events, so none wait\n".into();
    }
    let head = ["consumer", "waiting", "in hand", "oldest", "here"].map(str::to_owned).to_vec();
    table(&std::iter::once(head).chain(waiting.iter().map(row)).collect::<Vec<_>>())
}

fn row(Waiting { consumer, events, open, oldest, here, .. }: &Waiting) -> Vec<String> {
    vec![
        consumer.clone(),
        count(*events),
        open.to_string(),
        oldest.map_or_else(|| "-".into(), |seconds| span(Duration::from_secs(seconds))),
        if *here { "yes" } else { "no" }.into(),
    ]
}

/// The agent stops counting at some point, which is to be seen.
pub fn count(events: u64) -> String {
    if events >= COUNTED { format!("over {COUNTED}") } else { events.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_a_table() {
        let waiting = |consumer: &str, events, oldest, here| Waiting {
            consumer: consumer.into(),
            events,
            open: events.min(2),
            oldest,
            here,
            wants: Vec::new(),
        };
        let all = [waiting("hooks", 0, None, true), waiting("link:kitchen", 10_000, Some(7500), false)];
        let expected = "consumer      waiting     in hand  oldest     here\n\
                        hooks         0           0        -          yes\n\
                        link:kitchen  over 10000  2        2 h 5 min  no\n";
        assert_eq!(people(&all), expected);
        assert!(people(&[]).contains("none wait"));
    }
}
