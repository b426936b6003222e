//! One real server and some real clients, in networks of their own, and the times between what happens to the server
//! and the hooks of the clients.
//!
//! On the loopback both sides share one network. Behind a bridge each side has its own, with a cable to a third; pulling
//! the server's cable out of the bridge leaves the clients' own link up, as in a house.

use super::ground::agents::{Server, client};
use super::ground::marks::Marks;
use super::ground::network::Network;
use super::ground::started::Started;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Each network is its own, so the port is free.
const PORT: u16 = 5555;
const GROUP: &str = "239.255.55.55:5555";
/// How long any hook may be waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Server and clients.
pub struct Cell {
    name: String,
    folder: PathBuf,
    address: SocketAddr,
    server_side: Rc<Network>,
    client_side: Rc<Network>,
    bridge: Option<Network>,
    server: Option<Server>,
    clients: Vec<Started>,
}

impl Cell {
    /// Both sides on one loopback.
    pub fn on_loopback(folder: &Path, number: usize) -> io::Result<Self> {
        let network = Rc::new(Network::new()?);
        Self::new(folder, number, Ipv4Addr::LOCALHOST, network.clone(), network, None)
    }

    /// Two sides and a bridge between them.
    pub fn behind_bridge(folder: &Path, number: usize) -> io::Result<Self> {
        let (server, client, bridge) = (Network::new()?, Network::new()?, Network::new()?);
        bridge.ip("link add house type bridge")?;
        bridge.ip("link set house up")?;
        for (side, port, address) in [(&server, "to-server", "10.77.0.1"), (&client, "to-client", "10.77.0.2")] {
            bridge.connect(port, side, "eth0")?;
            bridge.ip(&format!("link set {port} master house up"))?;
            side.ip(&format!("address add {address}/24 dev eth0"))?;
            side.ip("link set eth0 up")?;
        }
        let address = Ipv4Addr::new(10, 77, 0, 1);
        Self::new(folder, number, address, Rc::new(server), Rc::new(client), Some(bridge))
    }

    fn new(
        folder: &Path,
        number: usize,
        address: Ipv4Addr,
        server_side: Rc<Network>,
        client_side: Rc<Network>,
        bridge: Option<Network>,
    ) -> io::Result<Self> {
        let name = format!("cell{number}-");
        let folder = folder.join(&name);
        fs::create_dir_all(&folder)?;
        let address = (address, PORT).into();
        Ok(Self { name, folder, address, server_side, client_side, bridge, server: None, clients: Vec::new() })
    }

    /// Starts clients, which then search.
    pub fn start_clients(&mut self, count: usize, hooks: &Path) -> io::Result<()> {
        for number in 0..count {
            let name = format!("{}{number}", self.name);
            let start = || client(&self.folder, &name, self.address, hooks, &[("ANNOUNCE", GROUP)]);
            self.clients.push(self.client_side.inside(start)?);
        }
        Ok(())
    }

    /// Starts the server; how long until each client has run a hook of `server-up`, from before the start.
    pub fn start_server(&mut self, marks: &Marks) -> io::Result<Vec<Duration>> {
        let began = Instant::now();
        let start = || Server::start(&self.folder, &self.address.to_string(), &[("ANNOUNCE", GROUP)]);
        self.server = Some(self.server_side.inside(start)?);
        self.hooks_ran("server-up", began, marks)
    }

    /// Kills the server. The moment before that.
    pub fn kill_server(&mut self) -> io::Result<Instant> {
        let server = self.server.as_mut().ok_or_else(|| io::Error::other("no server runs"))?;
        let began = Instant::now();
        server.process.kill()?;
        Ok(began)
    }

    /// Pulls the server's cable out of the bridge. The moment before that.
    pub fn cut(&self) -> io::Result<Instant> {
        let bridge = self.bridge.as_ref().ok_or_else(|| io::Error::other("there is no cable to pull"))?;
        let began = Instant::now();
        bridge.ip("link set to-server down")?;
        Ok(began)
    }

    /// Whether a client of this name is one of ours.
    pub fn owns(&self, client: &str) -> bool {
        client.starts_with(&self.name)
    }

    /// How long until each client has run a hook of this event.
    pub fn hooks_ran(&self, event: &str, began: Instant, marks: &Marks) -> io::Result<Vec<Duration>> {
        let ran = marks.gather(event, &self.name, self.clients.len(), PATIENCE)?;
        Ok(ran.into_values().map(|at| at - began).collect())
    }
}
