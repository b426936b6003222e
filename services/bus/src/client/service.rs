//! Doing what others ask. A command is handed out until it was answered; after its deadline it is not done any more.

use super::{Bus, Item, Refused, Subscription};
use crate::command::{Outcome, Reply, Request};
use protocol::Event;
use protocol::door::{From, Subscribe};
use serde_json::{Map, Value};

/// What comes under one verb.
#[derive(Debug)]
pub struct Service {
    bus: Bus,
    verb: String,
    subscription: Option<Subscription>,
}

/// Something that is asked for.
#[derive(Debug)]
pub struct Asked {
    bus: Bus,
    number: u64,
    event: Box<Event>,
    /// What is asked, by whom, with which arguments.
    pub request: Request,
}

impl Service {
    pub(super) fn start(bus: Bus, verb: &str) -> Service {
        Service { bus, verb: verb.into(), subscription: None }
    }

    /// The next thing that is asked for, and whose deadline has not passed.
    pub async fn next(&mut self) -> Asked {
        loop {
            let node = self.bus.node().await;
            let subscription = self.subscription.get_or_insert_with(|| {
                let (name, filters) = (format!("serve:{}", self.verb), vec![format!("{node}/req/{}", self.verb)]);
                self.bus.subscribe(Subscribe { name: Some(name), filters, from: From::Next })
            });
            let (number, event) = match subscription.next().await {
                Item::Event(number, event) => (number, event),
                Item::Refused(why) => {
                    tracing::error!("`{}` is not served any more: {why}", self.verb);
                    continue;
                }
                Item::Missed(_) | Item::Live | Item::Restarted => continue,
            };
            let request = match Request::decode(&event.body.0) {
                Ok(request) => request,
                Err(why) => {
                    tracing::warn!("{}: {why}", event.id);
                    subscription.done(number);
                    continue;
                }
            };
            let asked = Asked { bus: self.bus.clone(), number, event, request };
            if !asked.request.is_over(crate::unix_ms()) {
                return asked;
            }
            let remarks = "its deadline had passed; it was not done".into();
            if let Err(why) = self.answer(asked, Outcome::Expired, remarks, Map::new()).await {
                tracing::warn!("{why}");
            }
        }
    }

    /// Answers what was asked, once and for all.
    ///
    /// # Errors
    /// The reply could not be kept.
    pub async fn answer(
        &self,
        asked: Asked,
        outcome: Outcome,
        remarks: String,
        data: Map<String, Value>,
    ) -> Result<(), Refused> {
        let Asked { bus, number, event, request } = asked;
        let node = bus.node().await;
        let reply = Reply { to: event.id.clone(), outcome, remarks, data };
        let said = reply.event(bus.publisher.next_id(&node), &request, crate::unix_ms());
        bus.resend(said).await?;
        self.subscription.iter().for_each(|subscription| subscription.done(number));
        Ok(())
    }
}
