//! `pistop pair` on the server: asks fserver for a code, shows it, and waits until a machine has joined with it.

use crate::ask::{Answers, ask};
use crate::config::PairFlags;
use crate::status::{self, Told};
use crate::words::{agreed, say, span};
use protocol::HostName;
use protocol::control::{HouseStatus, PairRequest, PairedStatus, Reply, Request, ServerStatus};
use runner::exit::Failure;
use std::path::Path;
use std::time::Duration;

/// The port that nobody has to name.
const PORT: &str = "5555";

/// Says what it means, asks for a code, shows it, and waits.
pub async fn run(socket: &Path, flags: &PairFlags) -> Result<(), Failure> {
    let name = flags.name.as_deref().map(HostName::parse).transpose();
    let name = name.map_err(|why| Failure::Permanent(why.to_string()))?;
    let told = status::asked(socket).await?;
    agree(&told, flags.yes)?;
    let lasts = flags.lasts.unwrap_or(bus::secure::pairing::LASTS);
    let request = PairRequest { roles: flags.roles.clone(), name, lasts };
    wait(ask(socket, Request::Pair(request)).await?, &told.server).await
}

async fn wait(mut answers: Answers, server: &ServerStatus) -> Result<(), Failure> {
    loop {
        match answers.next().await? {
            Reply::PairingCode { code, lasts } => {
                let place = place(server);
                say(&format!(
                    "The code is {}, for one machine and for {}.",
                    code.reveal(),
                    span(Duration::from_secs(lasts.as_secs_f64().ceil() as u64))
                ));
                say(&format!("On that machine, as root:\n\n  pistop pair --server {place} --code {}\n", code.reveal()));
                say("Waiting for it ...");
            }
            Reply::PairingFailed(why) => say(&why),
            Reply::Paired(joined) => joined.iter().for_each(|machine| say(&welcome(machine))),
            Reply::Done { .. } => return Ok(()),
            other => return Err(Failure::Permanent(format!("an answer that does not belong to pair: {other:?}"))),
        }
    }
}

fn welcome(PairedStatus { name, fingerprint, roles, .. }: &PairedStatus) -> String {
    format!("{name} has joined; its key is {fingerprint}, and it may: {roles}")
}

/// How another machine reaches the server.
fn place(server: &ServerStatus) -> String {
    let port = server.listening.first().and_then(|address| Some(address.rsplit_once(':')?.1));
    match port {
        Some(port) if port != PORT => format!("{}:{port}", server.name),
        _ => server.name.to_string(),
    }
}

/// The first machine that is paired closes the house, and whoever is here and is not paired has to be told so before.
fn agree(told: &Told, yes: bool) -> Result<(), Failure> {
    let Some(house) = told.house.filter(|house| !house.closed) else { return Ok(()) };
    say(&consequence(&house, told));
    match house.unpaired + house.old {
        0 => Ok(()),
        _ => agreed(yes),
    }
}

fn consequence(house: &HouseStatus, told: &Told) -> String {
    let of_kind = |kind: &str| told.peers.iter().filter(|peer| peer.kind == kind).collect::<Vec<_>>();
    let names = of_kind("new").into_iter().filter_map(|peer| peer.host.as_ref()).map(HostName::to_string);
    let old = of_kind("old").into_iter().map(|peer| format!("an old client at {}", peer.address));
    let here: Vec<String> = names.chain(old).collect();
    let mut text = format!(
        "This house is open: anybody on this network may follow {} and publish. Once a machine is paired it is closed: only \
         paired machines follow.",
        told.server.name
    );
    let count = house.unpaired + house.old;
    if count > 0 {
        let (who, they) =
            if count == 1 { ("1 machine is here that is", "it") } else { ("machines are here that are", "they") };
        let number = if count == 1 { String::new() } else { format!("{count} ") };
        text += &format!("\n{number}{who} not paired: {}; {they} will be refused until paired", here.join(", "));
        text += ", old clients unless OLD_PEERS lets them in.";
    }
    text
}
