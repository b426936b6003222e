//! `pistop peers`: which machines are paired with this server, and taking one away.

use crate::ask::ask;
use crate::config::PeersVerb;
use crate::words::{say, span, table};
use protocol::HostName;
use protocol::control::{PairedStatus, Reply, Request};
use runner::exit::Failure;
use serde_json::json;
use std::path::Path;

/// Lists, or takes one away.
pub async fn run(socket: &Path, verb: Option<&PeersVerb>, as_json: bool) -> Result<(), Failure> {
    match verb {
        None => list(socket, as_json).await,
        Some(PeersVerb::Remove { name, yes }) => remove(socket, name, *yes).await,
    }
}

async fn asked(socket: &Path) -> Result<Vec<PairedStatus>, Failure> {
    let mut answers = ask(socket, Request::Paired).await?;
    let mut all = Vec::new();
    loop {
        match answers.next().await? {
            Reply::Paired(page) => all.extend(page),
            Reply::Done { .. } => return Ok(all),
            other => return Err(Failure::Permanent(format!("an answer that does not belong to peers: {other:?}"))),
        }
    }
}

async fn list(socket: &Path, as_json: bool) -> Result<(), Failure> {
    let all = asked(socket).await?;
    match all.as_slice() {
        _ if as_json => say(&json!(all).to_string()),
        [] => say("no machine is paired; `pistop pair` pairs one"),
        all => crate::words::out(&people(all))?,
    }
    Ok(())
}

fn people(all: &[PairedStatus]) -> String {
    let head = ["name", "key", "here", "last seen", "may"].map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(all.iter().map(row)).collect();
    table(&rows)
}

fn row(machine: &PairedStatus) -> Vec<String> {
    let seen = match machine {
        PairedStatus { here: true, .. } => "now".into(),
        PairedStatus { seen: Some(ago), .. } => format!("{} ago", span(*ago)),
        PairedStatus { seen: None, .. } => "not since fserver started".into(),
    };
    let here = if machine.here { "yes" } else { "no" };
    vec![machine.name.to_string(), machine.fingerprint.clone(), here.into(), seen, machine.roles.clone()]
}

async fn remove(socket: &Path, name: &str, yes: bool) -> Result<(), Failure> {
    let name = HostName::parse(name).map_err(|why| Failure::Permanent(why.to_string()))?;
    let all = asked(socket).await?;
    let last = matches!(all.as_slice(), [only] if only.name == name);
    if last && !yes {
        return Err(Failure::Permanent(format!(
            "{name} is the last machine that is paired; without it the house is open to everybody on this network. Nothing \
             was done; give --yes if that is meant"
        )));
    }
    ask(socket, Request::Unpair(name.clone())).await?.next().await?;
    say(&format!("{name} is paired no longer, and its link ends"));
    if last {
        say("nobody is paired any more: the house is open");
    }
    Ok(())
}
