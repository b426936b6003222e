//! One connection to the broker, from the attempt to its end. The only file that names the MQTT library, and a new
//! connection has nothing of the library's state from the one before: what is to be sent again is the machine's to say.

mod options;
mod told;

use super::config::Config;
use super::machine::{Mark, Message, Publication, Trouble, Verdict, WINDOW};
use rumqttc::{
    AsyncClient, Event, EventLoop, Packet, Publish, PublishNotice, PublishOptions, PublishProperties, QoS,
    RetainForwardRule, SubscribeFilter, SubscribeNotice,
};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{JoinHandle, JoinSet, spawn_local};

/// So many requests wait inside the library: all that is under way, and what goes with it.
const REQUESTS: usize = 4 * WINDOW;
/// So many packets wait for us; a broker that sends more waits itself.
const PACKETS: usize = 64;
/// So long the end of a connection may take.
const END: Duration = Duration::from_secs(1);

/// What comes over a connection.
#[derive(Debug)]
pub(super) enum Heard {
    /// The broker takes us.
    Up(super::machine::Greeting),
    /// It has answered what we subscribe to; what it refuses.
    Subscribed(Vec<String>),
    /// It has answered for a publication.
    Answered(Mark, Verdict),
    /// Something that we subscribe to.
    Message(Message),
    /// The end.
    Down(Trouble),
}

/// A connection. It ends at once, without a word, when this is dropped.
pub(super) struct Link {
    requests: AsyncClient,
    packets: Receiver<Result<Box<Packet>, Trouble>>,
    driver: JoinHandle<()>,
    notices: JoinSet<Heard>,
    /// What was heard and not acknowledged.
    open: BTreeMap<u64, Publish>,
    /// The token of what was heard last.
    last: u64,
}

impl Link {
    /// Begins to connect. Tokens of messages begin above `last`.
    ///
    /// # Errors
    /// A file of the settings cannot be used.
    pub(super) fn open(config: &Config, will: &Publication, last: u64) -> Result<Link, Trouble> {
        let options = options::options(config, will).map_err(Trouble::Other)?;
        let (requests, events) = AsyncClient::builder(options).capacity(REQUESTS).build();
        let (forward, packets) = channel(PACKETS);
        let driver = spawn_local(drive(events, forward, config.clone()));
        Ok(Link { requests, packets, driver, notices: JoinSet::new(), open: BTreeMap::new(), last })
    }

    /// What comes next. Nothing is lost if this is dropped before it has ended.
    pub(super) async fn next(&mut self) -> Heard {
        loop {
            let packet = tokio::select! {
                biased;
                Some(Ok(heard)) = self.notices.join_next() => return heard,
                packet = self.packets.recv() => packet,
            };
            let heard = match packet {
                Some(Ok(packet)) => self.heard(*packet),
                Some(Err(trouble)) => Some(Heard::Down(trouble)),
                None => Some(Heard::Down(Trouble::Closed)),
            };
            if let Some(heard) = heard {
                return heard;
            }
        }
    }

    fn heard(&mut self, packet: Packet) -> Option<Heard> {
        match packet {
            Packet::ConnAck(answer) => Some(Heard::Up(told::greeting(&answer))),
            Packet::Publish(publish) => {
                self.last += 1;
                let message = told::message(&publish, self.last);
                if publish.qos != QoS::AtMostOnce {
                    self.open.insert(self.last, publish);
                }
                Some(Heard::Message(message))
            }
            _ => None,
        }
    }

    /// The token of what was heard last.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Subscribes to commands, each at least once, and to what else is wanted.
    pub(super) fn subscribe(&mut self, commands: &str, others: &[String]) {
        let mut command = SubscribeFilter::new(commands, QoS::AtLeastOnce);
        // A command that somebody has the broker keep is seen as such, and not again at each connection.
        (command.preserve_retain, command.retain_forward_rule) = (true, RetainForwardRule::OnNewSubscribe);
        let other = |topic: &String| SubscribeFilter { nolocal: true, ..SubscribeFilter::new(topic, QoS::AtMostOnce) };
        let filters: Vec<SubscribeFilter> = std::iter::once(command).chain(others.iter().map(other)).collect();
        let names = filters.iter().map(|filter| filter.path.clone()).collect();
        match self.requests.try_subscribe_many_tracked(filters) {
            Ok(notice) => drop(self.notices.spawn_local(subscribed(names, notice))),
            Err(why) => drop(self.notices.spawn_local(async move { Heard::Subscribed(vec![why.to_string()]) })),
        }
    }

    /// Publishes; the answer comes later.
    pub(super) fn publish(&mut self, mark: Mark, publication: Publication) {
        let Publication { topic, payload, keep, .. } = &publication;
        let once = PublishOptions::new(QoS::AtLeastOnce).retain(*keep).properties(properties(&publication));
        match self.requests.try_publish_tracked(topic.clone(), payload.clone(), once) {
            Ok(notice) => drop(self.notices.spawn_local(published(mark, notice))),
            Err(_) => drop(self.notices.spawn_local(async move { Heard::Answered(mark, Verdict::Later) })),
        }
    }

    /// Acknowledges what was heard; what came over an earlier connection is none of this one's.
    pub(super) fn acknowledge(&mut self, token: u64) {
        if let Some(publish) = self.open.remove(&token)
            && self.requests.try_ack(&publish).is_err()
        {
            self.open.insert(token, publish);
        }
    }

    /// Says goodbye; then the end comes.
    pub(super) fn disconnect(&self) {
        let _ = self.requests.try_disconnect_with_timeout(END);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Drives the library until the connection ends; it would begin a new one by itself.
async fn drive(mut events: EventLoop, forward: Sender<Result<Box<Packet>, Trouble>>, config: Config) {
    loop {
        let heard = match events.poll().await {
            Ok(Event::Incoming(packet)) => Ok(Box::new(packet)),
            Ok(_) => continue,
            Err(why) => Err(told::trouble(&why, &config)),
        };
        let end = heard.is_err();
        if forward.send(heard).await.is_err() || end {
            return;
        }
    }
}

async fn published(mark: Mark, notice: PublishNotice) -> Heard {
    match told::verdict(notice.wait_async().await) {
        Some(verdict) => Heard::Answered(mark, verdict),
        None => std::future::pending().await,
    }
}

async fn subscribed(names: Vec<String>, notice: SubscribeNotice) -> Heard {
    Heard::Subscribed(match notice.wait_async().await {
        Ok(answer) => told::refused(&names, &answer),
        // The connection ended first, which is told by itself.
        Err(_) => Vec::new(),
    })
}

fn properties(publication: &Publication) -> PublishProperties {
    let id = publication.id.iter().flat_map(|id| {
        let (node, epoch, sequence) = (id.node.to_string(), id.epoch.to_string(), id.sequence.to_string());
        [("node".to_owned(), node), ("epoch".to_owned(), epoch), ("seq".to_owned(), sequence)]
    });
    PublishProperties {
        payload_format_indicator: Some(1),
        content_type: Some("application/json".into()),
        message_expiry_interval: publication.expires,
        correlation_data: publication.correlation.clone().map(Into::into),
        user_properties: id.collect(),
        ..PublishProperties::default()
    }
}
