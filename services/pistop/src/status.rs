//! `pistop status`: who is here, since when, old or new, round trip, last hook, and how a shutdown goes.

use crate::ask::ask;
use crate::words::{span, table};
use protocol::control::{HouseStatus, PeerStatus, Reply, Request, ServerStatus, ShutdownStatus};
use runner::exit::Failure;
use serde_json::json;
use std::path::Path;

/// All that a server tells of itself.
#[derive(Debug)]
pub struct Told {
    /// The server.
    pub server: ServerStatus,
    /// Who is here.
    pub peers: Vec<PeerStatus>,
    /// Whom it lets in; an older server does not say.
    pub house: Option<HouseStatus>,
}

/// Asks and prints.
pub async fn run(socket: &Path, as_json: bool) -> Result<(), Failure> {
    let Told { server, peers, house } = asked(socket).await?;
    let text = match as_json {
        true => format!("{}\n", json!({"server": server, "peers": peers, "house": house})),
        false => people(&server, house.as_ref(), &peers),
    };
    print!("{text}");
    Ok(())
}

/// Asks.
pub async fn asked(socket: &Path) -> Result<Told, Failure> {
    let mut answers = ask(socket, Request::Status).await?;
    let (mut server, mut peers, mut house) = (None, Vec::new(), None);
    loop {
        match answers.next().await? {
            Reply::Server(status) => server = Some(status),
            Reply::Peers(page) => peers.extend(page),
            Reply::House(status) => house = Some(status),
            Reply::Done { .. } => break,
            other => return Err(Failure::Permanent(format!("an answer that does not belong to status: {other:?}"))),
        }
    }
    let server = server.ok_or_else(|| Failure::Permanent("fserver told nothing of itself".into()))?;
    Ok(Told { server, peers, house })
}

fn people(server: &ServerStatus, house: Option<&HouseStatus>, peers: &[PeerStatus]) -> String {
    let mut text = format!(
        "{} is up for {} ({}, run {}), {} of at most {} peers\n",
        server.name,
        span(server.up),
        server.program,
        server.epoch,
        server.peers,
        server.most_peers
    );
    text.extend(house.map(|house| in_words(house) + "\n"));
    text.extend(server.shutdown.as_ref().map(shutdown));
    if !peers.is_empty() {
        let head =
            ["host", "address", "kind", "via", "here for", "round trip", "last hook"].map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> = std::iter::once(head).chain(peers.iter().map(row)).collect();
        text.push_str(&table(&rows));
    }
    text
}

/// Whom the server lets in.
fn in_words(house: &HouseStatus) -> String {
    let old = match house {
        HouseStatus { old_allowed: false, .. } => "none".to_owned(),
        HouseStatus { old, .. } => format!("let in where OLD_PEERS says so, {old} here"),
    };
    match house {
        HouseStatus { closed: false, .. } => {
            "open house: anybody on this network may follow and publish; `pistop pair` closes it".into()
        }
        HouseStatus { paired: 1, .. } => format!("closed house: 1 machine is paired; old clients: {old}"),
        HouseStatus { paired, .. } => format!("closed house: {paired} machines are paired; old clients: {old}"),
    }
}

fn shutdown(status: &ShutdownStatus) -> String {
    let mut text = format!("{} {} is {}", status.kind, status.id, status.phase);
    if status.phase == "announced" {
        text.push_str(&format!(", {} left", span(status.left)));
    }
    if status.phase == "committed" {
        text.push_str("; power this machine off, or restart fserver to take up work again");
    }
    let waiting: Vec<&str> = status.parts.iter().filter(|part| !part.released).map(|part| part.who.as_str()).collect();
    if !waiting.is_empty() {
        text.push_str(&format!(", waiting for {}", waiting.join(", ")));
    }
    text + "\n"
}

fn row(peer: &PeerStatus) -> Vec<String> {
    let unknown = || "-".to_owned();
    let hook = peer.last_hook.as_ref().map(|outcome| format!("{}: {}", outcome.hook, outcome.result));
    vec![
        peer.host.as_ref().map_or_else(unknown, |host| host.to_string()),
        peer.address.clone(),
        peer.kind.clone(),
        peer.via.clone(),
        span(peer.since),
        peer.round_trip.map_or_else(unknown, |trip| format!("{:.1} ms", trip.as_secs_f64() * 1000.0)),
        hook.unwrap_or_else(unknown),
    ]
}
