//! `pistop request HOST VERB`: asks a machine to do something, and waits for its answer; or asks all that are there.

use crate::door;
use crate::events::body::Fields;
use crate::words::{self, out, table};
use bus::client::Bus;
use bus::command::{Outcome, Reply};
use bus::told::escaped;
use clap::Args;
use protocol::HostName;
use protocol::topic::word;
use runner::exit::Failure;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// In place of a host: every machine that is there.
const ALL: &str = "all";
/// How long to wait for an agent that is not there, at most.
const AGENT: Duration = Duration::from_secs(5);
/// An agent that has not even kept the command so long after its deadline is stuck.
const GRACE: Duration = Duration::from_secs(2);

/// The flags of `request`.
#[derive(Debug, Args)]
pub struct RequestFlags {
    /// The machine by its name on the bus, or `all` that are there
    pub host: String,
    /// What it is to do: ping, version, or what a program there does; a wrong one is answered with those that it knows
    pub verb: String,
    /// What the verb wants to know: KEY=TEXT, or KEY:=JSON for a number, a flag or a list
    #[arg(value_name = "KEY=VALUE", value_parser = argument)]
    pub arguments: Vec<(String, Value)>,
    /// Seconds until it must not be done any more
    #[arg(long, value_name = "S", default_value = "30", value_parser = crate::config::seconds)]
    pub within: Duration,
    /// For programs: one JSON object a machine
    #[arg(long)]
    pub json: bool,
}

fn argument(text: &str) -> Result<(String, Value), String> {
    let (key, value) = door::pair(text)?;
    let Some(key) = key.strip_suffix(':').filter(|key| !key.is_empty()) else { return Ok((key, value.into())) };
    match serde_json::from_str(&value) {
        Ok(value) => Ok((key.into(), value)),
        Err(why) => Err(format!("`{value}` is no JSON ({why}); write {key}={value} if it is a text")),
    }
}

/// What became of it on one machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The machine.
    pub host: HostName,
    /// Its answer.
    pub reply: Reply,
    /// How long it took.
    pub took: Duration,
}

/// Asks and prints.
///
/// # Errors
/// It was not done: 100 if it failed or was refused, 111 if there was no answer in time.
pub async fn run(door: &Path, flags: &RequestFlags) -> Result<(), Failure> {
    word(&flags.verb).map_err(|why| Failure::Permanent(why.to_string()))?;
    let target = (flags.host != ALL).then(|| HostName::parse(&flags.host)).transpose();
    let target = target.map_err(|why| Failure::Permanent(why.to_string()))?;
    let arguments: Map<String, Value> = flags.arguments.iter().cloned().collect();
    let (bus, _) = door::open(door, flags.within.min(AGENT)).await?;
    match target {
        Some(host) => one(ask(bus, host, flags.verb.clone(), arguments, flags.within).await?, flags.json),
        None => everybody(bus, arguments, flags).await,
    }
}

/// Asks one machine.
///
/// # Errors
/// The agent of this machine refuses, or says nothing.
pub async fn ask(
    bus: Bus,
    host: HostName,
    verb: String,
    arguments: Map<String, Value>,
    within: Duration,
) -> Result<Answer, Failure> {
    let start = Instant::now();
    let asked = timeout(within + GRACE, bus.request(&host, &verb, arguments, within)).await;
    let reply = asked.map_err(|_| Failure::Temporary(door::silent(bus.door())))?.map_err(door::failure)?;
    Ok(Answer { host, reply, took: start.elapsed() })
}

fn one(answer: Answer, as_json: bool) -> Result<(), Failure> {
    let (outcome, words) = (answer.reply.outcome, format!("{}: {}", answer.host, words(&answer.reply)));
    if as_json {
        out(&line(&answer))?;
    }
    match outcome {
        Outcome::Done if as_json => Ok(()),
        Outcome::Done => out(&format!("{words}\n")),
        Outcome::Failed | Outcome::Refused => Err(Failure::Permanent(words)),
        Outcome::Expired => {
            let remedy = "is that its name, and is it on? `pistop request all ping` shows who is there";
            Err(Failure::Temporary(format!("{words}; {remedy}")))
        }
    }
}

async fn everybody(bus: Bus, arguments: Map<String, Value>, flags: &RequestFlags) -> Result<(), Failure> {
    let hosts = door::online(&bus).await?;
    if hosts.is_empty() {
        let why = "no machine is known to be there; wait until the server has told this one, or name a machine";
        return Err(Failure::Temporary(why.into()));
    }
    let mut asked = JoinSet::new();
    for host in hosts {
        asked.spawn(ask(bus.clone(), host, flags.verb.clone(), arguments.clone(), flags.within));
    }
    let mut answers = Vec::new();
    while let Some(answer) = asked.join_next().await {
        answers.push(answer.map_err(|why| Failure::Temporary(why.to_string()))??);
    }
    answers.sort_by(|one, other| one.host.cmp(&other.host));
    let text: String = if flags.json { answers.iter().map(line).collect() } else { people(&answers) };
    out(&text)?;
    verdict(&answers)
}

/// A failure weighs more than a silence: trying again does not help against it.
fn verdict(answers: &[Answer]) -> Result<(), Failure> {
    let undone = |outcomes: &[Outcome]| {
        let hosts = answers.iter().filter(|answer| outcomes.contains(&answer.reply.outcome));
        hosts.map(|answer| answer.host.as_str()).collect::<Vec<_>>().join(", ")
    };
    let (refused, silent) = (undone(&[Outcome::Failed, Outcome::Refused]), undone(&[Outcome::Expired]));
    match (refused.is_empty(), silent.is_empty()) {
        (false, _) => Err(Failure::Permanent(format!("not done on {refused}; the reasons are above"))),
        (true, false) => Err(Failure::Temporary(format!("no answer in time from {silent}"))),
        (true, true) => Ok(()),
    }
}

fn people(answers: &[Answer]) -> String {
    let head = ["host", "outcome", "took", "remarks"].map(str::to_owned).to_vec();
    let row = |Answer { host, reply, took }: &Answer| {
        let data = data(reply);
        let remarks = format!("{} {data}", escaped(&reply.remarks)).trim().to_owned();
        vec![host.to_string(), reply.outcome.to_string(), words::took(*took), remarks]
    };
    table(&std::iter::once(head).chain(answers.iter().map(row)).collect::<Vec<_>>())
}

/// `done: fserver 0.1.0 key=value`
fn words(reply: &Reply) -> String {
    let (outcome, data) = (reply.outcome, data(reply));
    let remarks = if reply.remarks.is_empty() { String::new() } else { format!(": {}", escaped(&reply.remarks)) };
    format!("{outcome}{remarks} {data}").trim_end().to_owned()
}

fn data(reply: &Reply) -> String {
    Fields(reply.data.clone().into_iter().collect()).people(&[])
}

fn line(answer: &Answer) -> String {
    let Answer { host, reply: Reply { outcome, remarks, data, .. }, took } = answer;
    let took = took.as_secs_f64();
    format!("{}\n", json!({"host": host, "outcome": outcome, "remarks": remarks, "data": data, "took": took}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Epoch;
    use protocol::event::EventId;

    fn answer(host: &str, outcome: Outcome, remarks: &str) -> Answer {
        let host = HostName::parse(host).unwrap();
        let to = EventId { node: host.clone(), epoch: Epoch(1), sequence: 1 };
        let data = if outcome == Outcome::Done { Map::from_iter([("n".to_owned(), 1.into())]) } else { Map::new() };
        Answer { host, reply: Reply { to, outcome, remarks: remarks.into(), data }, took: Duration::from_millis(40) }
    }

    #[test]
    fn an_argument_is_a_text_unless_it_is_marked_as_json() {
        assert_eq!(argument("package=17"), Ok(("package".into(), "17".into())));
        assert_eq!(argument("seconds:=17"), Ok(("seconds".into(), 17.into())));
        assert_eq!(argument("list:=[1,true]"), Ok(("list".into(), json!([1, true]))));
        assert!(argument("a:=x").unwrap_err().contains("write a=x if it is a text"));
        assert!(argument("ping").is_err() && argument("=1").is_err());
    }

    #[test]
    fn an_answer_is_a_line() {
        let done = answer("attic", Outcome::Done, "");
        assert_eq!(words(&done.reply), "done n=1");
        assert_eq!(
            line(&done),
            "{\"data\":{\"n\":1},\"host\":\"attic\",\"outcome\":\"done\",\"remarks\":\"\",\"took\":0.04}\n"
        );
        assert_eq!(words(&answer("attic", Outcome::Refused, "no\n").reply), "refused: no\\n");
    }

    #[test]
    fn the_end_tells_whether_trying_again_helps() {
        let attic = answer("attic", Outcome::Done, "fserver 1");
        let (hall, cave) = (answer("hall", Outcome::Expired, "late"), answer("cave", Outcome::Refused, "no"));
        assert_eq!(verdict(std::slice::from_ref(&attic)), Ok(()));
        assert_eq!(verdict(&[attic.clone(), hall.clone()]).unwrap_err().code(), 111);
        let both = verdict(&[attic.clone(), hall.clone(), cave]).unwrap_err();
        assert_eq!((both.code(), both.to_string().contains("not done on cave;")), (100, true));
        let expected =
            "host   outcome  took     remarks\nattic  done     40.0 ms  fserver 1 n=1\nhall   expired  40.0 ms  late\n";
        assert_eq!(people(&[attic, hall]), expected);
        assert_eq!(one(answer("hall", Outcome::Failed, "x"), false).unwrap_err().code(), 100);
    }
}
