//! Somebody else at the broker.

use super::PATIENCE;
use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Packet, Publish, PublishOptions, PublishProperties,
    QoS,
};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;

pub struct Phone {
    client: AsyncClient,
    messages: UnboundedReceiver<Publish>,
    task: JoinHandle<()>,
}

impl Phone {
    pub fn start(port: u16, name: &str) -> Phone {
        let mut options = MqttOptions::new(name, ("localhost", port));
        options.set_max_packet_size(Some(256 * 1024)).set_keep_alive(30);
        let (client, events) = AsyncClient::builder(options).capacity(1000).build();
        let (forward, messages) = unbounded_channel();
        let task = spawn_local(live(events, forward));
        Phone { client, messages, task }
    }

    /// One that is connected and listens.
    pub async fn listening(port: u16, filter: &str) -> Phone {
        let phone = Phone::start(port, "phone");
        phone.subscribe(filter).await;
        phone
    }

    pub async fn subscribe(&self, filter: &str) {
        let notice = self.client.subscribe_tracked(filter, QoS::AtLeastOnce).await.unwrap();
        timeout(PATIENCE, notice.wait_completion_async()).await.unwrap().unwrap();
    }

    pub async fn publish(&self, topic: &str, payload: &str, retain: bool, properties: PublishProperties) {
        let once = PublishOptions::new(QoS::AtLeastOnce).retain(retain).properties(properties);
        let notice = self.client.publish_tracked(topic, payload.to_owned(), once).await.unwrap();
        timeout(PATIENCE, notice.wait_async()).await.unwrap().unwrap();
    }

    pub async fn say(&self, topic: &str, payload: &str) {
        self.publish(topic, payload, false, PublishProperties::default()).await;
    }

    /// The next message about this.
    pub async fn hear(&mut self, topic: &str) -> Publish {
        let search = async {
            loop {
                let message = self.messages.recv().await.unwrap();
                if message.topic == topic.as_bytes() {
                    return message;
                }
            }
        };
        timeout(PATIENCE, search).await.unwrap_or_else(|_| panic!("nothing about {topic} in time"))
    }

    /// The next message about this that says so.
    pub async fn hear_that(&mut self, topic: &str, key: &str, value: &str) -> Publish {
        loop {
            let message = self.hear(topic).await;
            if json(&message)[key] == value {
                return message;
            }
        }
    }

    pub async fn any(&mut self) -> Publish {
        timeout(PATIENCE, self.messages.recv()).await.expect("a message in time").unwrap()
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn live(mut events: EventLoop, forward: UnboundedSender<Publish>) {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::Publish(publish))) => drop(forward.send(publish)),
            Ok(_) => {}
            Err(ConnectionError::RequestsDone) => return,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

pub fn json(message: &Publish) -> serde_json::Value {
    serde_json::from_slice(&message.payload).unwrap()
}
