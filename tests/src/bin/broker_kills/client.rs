//! One MQTT client, publisher or subscriber, that tells what becomes of it.

use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Packet, PubAckReason, Publish, PublishNotice,
    PublishOptions, PublishResult, QoS,
};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::{JoinHandle, spawn_local};

/// What is put to the test.
pub const LIBRARY: &str = "rumqttc-next 0.34.0";
const TOPIC: &str = "torture/number";
/// Requests that wait inside the library.
const CAPACITY: usize = 200;
/// Between two attempts. Without it a dead broker is asked thousands of times a second.
const PAUSE: Duration = Duration::from_millis(50);
const DAY: u32 = 86_400;

/// What a client tells.
#[derive(Debug)]
pub enum Told {
    /// It is connected; a subscriber: and listens.
    Up(&'static str),
    /// The broker has the number and somebody who wants it.
    Accepted(u64),
    /// The broker has nobody who wants it, or the session that it was sent in is gone: to be sent again.
    Refused(u64),
    /// The number has arrived.
    Heard(u64),
    /// The connection is gone, or could not be made.
    Down(&'static str, String),
}

/// A client, which ends when this is dropped.
pub struct Client {
    requests: AsyncClient,
    told: UnboundedSender<Told>,
    task: JoinHandle<()>,
}

impl Client {
    /// Who hears the numbers.
    pub fn subscriber(port: u16, told: UnboundedSender<Told>) -> Self {
        Self::start("subscriber", port, told)
    }

    /// Who sends them.
    pub fn publisher(port: u16, told: UnboundedSender<Told>) -> Self {
        Self::start("publisher", port, told)
    }

    fn start(name: &'static str, port: u16, told: UnboundedSender<Told>) -> Self {
        let mut options = MqttOptions::new(name, ("127.0.0.1", port));
        options.set_clean_start(false).set_session_expiry_interval(Some(DAY)).set_keep_alive(5);
        let (requests, events) = AsyncClient::builder(options).capacity(CAPACITY).build();
        let task = spawn_local(live(name, events, requests.clone(), told.clone()));
        Self { requests, told, task }
    }

    /// Whether the library took the number; then it will tell what became of it.
    pub fn publish(&self, number: u64) -> bool {
        let once = PublishOptions::new(QoS::AtLeastOnce);
        let taken = self.requests.try_publish_tracked(TOPIC, number.to_string(), once);
        taken.map(|notice| spawn_local(follow(number, notice, self.told.clone()))).is_ok()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(number: u64, notice: PublishNotice, told: UnboundedSender<Told>) {
    let _ = told.send(match notice.wait_async().await {
        Ok(PublishResult::Qos1(answer)) if answer.reason == PubAckReason::Success => Told::Accepted(number),
        _ => Told::Refused(number),
    });
}

async fn live(name: &'static str, mut events: EventLoop, requests: AsyncClient, told: UnboundedSender<Told>) {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(packet)) => note(name, &packet, &requests, &told),
            Ok(_) => {}
            Err(ConnectionError::RequestsDone) => return,
            Err(why) => {
                let _ = told.send(Told::Down(name, why.to_string()));
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// A subscriber subscribes each time, since a broker may bring back a session from before it subscribed.
fn note(name: &'static str, packet: &Packet, requests: &AsyncClient, told: &UnboundedSender<Told>) {
    match packet {
        Packet::ConnAck(_) if name == "subscriber" => {
            let _ = requests.try_subscribe(TOPIC, QoS::AtLeastOnce);
        }
        Packet::ConnAck(_) | Packet::SubAck(_) => drop(told.send(Told::Up(name))),
        Packet::Publish(publish) => drop(number(publish).map(|number| told.send(Told::Heard(number)))),
        _ => {}
    }
}

fn number(publish: &Publish) -> Option<u64> {
    std::str::from_utf8(&publish.payload).ok()?.parse().ok()
}
