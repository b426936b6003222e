//! A real MQTT broker on a machine of its own, and somebody there who listens to everything that this house says.

use crate::network::Network;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use tests::World;
use tests::world::process::Process;
use tests::world::read;

/// The name of that machine.
pub const BROKER: &str = "broker";

/// The broker and its listener; both end with it.
pub struct Broker {
    address: Ipv4Addr,
    heard: PathBuf,
    _broker: Process,
    _listener: Process,
}

impl Broker {
    /// Plugs the machine in and starts both.
    pub fn start(world: &World, network: &mut Network) -> Broker {
        let address = network.add(BROKER);
        let config = world.path("broker/mosquitto.conf");
        let text = format!("listener 1883 {address}\nallow_anonymous true\nuser root\n");
        fs::write(&config, text).expect("the scratch directory can be written");
        let on = network.on(BROKER);
        let start = |name: &str, words: &[String]| {
            let mut command = world.command(&on[0]);
            command.args(&on[1..]).args(words);
            Process::start(world, &mut command, &world.path(&format!("broker/{name}")))
        };
        let broker = start("mosquitto", &["mosquitto".into(), "-c".into(), config.display().to_string()]);
        world.until("the broker listens", || {
            broker.log().contains("mosquitto version") && broker.log().contains("running")
        });
        let words = ["mosquitto_sub", "-h", &address.to_string(), "-t", "fs/v1/#", "-v"].map(str::to_owned);
        let listener = start("mosquitto_sub", &words);
        let heard = world.path("broker/mosquitto_sub.out.log");
        Broker { address, heard, _broker: broker, _listener: listener }
    }

    /// Where fserver finds it.
    pub fn url(&self) -> String {
        format!("mqtt://{}", self.address)
    }

    /// The line of a topic that the listener heard, if it did.
    pub fn heard(&self, topic: &str) -> Option<String> {
        read(&self.heard).lines().find(|line| line.starts_with(topic)).map(str::to_owned)
    }
}
