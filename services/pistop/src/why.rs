//! `pistop why HOST`: the last decisions about a host, and what they rest on.

use crate::ask::ask;
use crate::words::span;
use protocol::HostName;
use protocol::control::{Reply, Request, Verdict};
use runner::exit::Failure;
use serde_json::json;
use std::path::Path;

/// Asks and prints, newest first.
pub async fn run(socket: &Path, host: &str, as_json: bool) -> Result<(), Failure> {
    let host = HostName::parse(host).map_err(|why| Failure::Permanent(why.to_string()))?;
    let mut answers = ask(socket, Request::Why(host)).await?;
    loop {
        match answers.next().await? {
            Reply::Why(verdicts) if as_json => println!("{}", json!(verdicts)),
            Reply::Why(verdicts) => verdicts.iter().for_each(|verdict| print!("{}", people(verdict))),
            Reply::Done { .. } => return Ok(()),
            other => return Err(Failure::Permanent(format!("an answer that does not belong to why: {other:?}"))),
        }
    }
}

fn people(Verdict { by, decision }: &Verdict) -> String {
    let mut text = format!("{} ago, {by}: {}\n", span(decision.ago), decision.what);
    text.extend(decision.evidence.iter().map(|fact| format!("    because {fact}\n")));
    text
}
