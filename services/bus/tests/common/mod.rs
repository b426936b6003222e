//! Agents in this process, each with a folder of its own, and links between them that carry real frames.
#![allow(dead_code, clippy::unwrap_used, missing_docs)]

use bus::agent::{Agent, Order, Out, Settings};
use bus::client::{Bus, Item, Subscription};
use bus::journal::{Bounds, Place};
use bus::secure::Roles;
use protocol::door::{From, Subscribe};
use protocol::frame::{self, Frame};
use protocol::{Epoch, Event, Filter, HostName};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Machine {
    pub agent: Agent,
    pub outs: UnboundedReceiver<Out>,
    pub node: HostName,
    pub folder: TempDir,
}

pub fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

pub fn settings(name: &str, folder: &TempDir, server: bool) -> Settings {
    Settings {
        node: host(name),
        program: format!("{name} 1"),
        epoch: Epoch(1),
        place: Place::Directory(folder.path().join("journal")),
        ram: false,
        spare: None,
        bounds: Bounds::default(),
        door: folder.path().join("bus.sock"),
        group: None,
        hooks: None,
        uplink: None,
        follow: vec![],
        server,
        forget_after: None,
        strangers_per_address: u32::MAX,
        state_dir: None,
    }
}

impl Machine {
    pub fn start(name: &str, server: bool) -> Machine {
        Machine::follow(name, server, &[])
    }

    pub fn follow(name: &str, server: bool, follow: &[&str]) -> Machine {
        let folder = tempfile::tempdir().unwrap();
        Machine::again(name, server, folder, follow)
    }

    pub fn again(name: &str, server: bool, folder: TempDir, follow: &[&str]) -> Machine {
        let follow = follow.iter().map(|text| Filter::parse(text).unwrap()).collect();
        let (agent, outs) = Agent::start(Settings { follow, ..settings(name, &folder, server) }).unwrap();
        Machine { agent, outs, node: host(name), folder }
    }

    pub fn door(&self) -> PathBuf {
        self.folder.path().join("bus.sock")
    }

    pub fn bus(&self) -> Bus {
        Bus::open(self.door(), "test 1")
    }
}

/// Carries what two agents say to each other until either ends; the first is the server.
pub async fn link(server: &mut Machine, client: &mut Machine, number: u64) {
    let roles = Roles::parse(&["follow", "publish:*", "command:*"]).unwrap();
    server.agent.order(Order::LinkUp { link: number, host: client.node.clone(), roles: roles.clone(), stranger: None });
    client.agent.order(Order::LinkUp { link: number, host: server.node.clone(), roles, stranger: None });
    carry(server, client, number).await;
    server.agent.order(Order::LinkDown(number));
    client.agent.order(Order::LinkDown(number));
}

async fn carry(server: &mut Machine, client: &mut Machine, number: u64) {
    loop {
        let (out, to) = tokio::select! {
            Some(out) = server.outs.recv() => (out, &client.agent),
            Some(out) = client.outs.recv() => (out, &server.agent),
            else => return,
        };
        let Out::Send(_, bytes) = out else { continue };
        let mut rest = &bytes[..];
        while let Some((Frame::Known(message), used)) = frame::take(rest).unwrap() {
            to.order(Order::Heard(number, message));
            rest = &rest[used..];
        }
    }
}

pub fn wanted(name: Option<&str>, filters: &[&str], from: From) -> Subscribe {
    Subscribe { name: name.map(str::to_owned), filters: filters.iter().map(|&text| text.into()).collect(), from }
}

/// The next event, whatever else is told before it.
pub async fn event(subscription: &mut Subscription) -> (u64, Event) {
    let next = async {
        loop {
            if let Item::Event(number, event) = subscription.next().await {
                return (number, *event);
            }
        }
    };
    timeout(PATIENCE, next).await.expect("an event comes")
}
