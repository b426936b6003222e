//! Records of the journal on their way to the broker: what is said of them there, and what of it is none of its business.

use super::{Action, Machine, Now, Phase, Publication};
use crate::journal::Entry;
use crate::mqtt::{payload, topic};
use crate::told;
use protocol::fact::Fact;
use protocol::topic::{Kind, Topic};
use std::sync::Arc;

impl Machine {
    /// How everything is: what the broker forgot is said again, and Home Assistant's devices follow from it.
    pub(super) fn states(&mut self, entries: &[Arc<Entry>], now: Now) -> Vec<Action> {
        if self.phase != Phase::Up(false) {
            return Vec::new();
        }
        self.phase = Phase::Up(true);
        if let Some(herald) = &mut self.herald {
            herald.house.clear();
        }
        for entry in entries {
            let Ok(topic) = Topic::parse(&entry.record.subject) else { continue };
            if let Some(herald) = &mut self.herald {
                herald.house.note(&topic, &entry.record.body);
            }
            let own = topic.node == self.host.node && topic.kind == Kind::State;
            if self.forgetful
                && !own
                && let Ok(publication) = self.publication(entry, &topic, now)
            {
                self.flow.push(publication);
            }
        }
        Vec::new()
    }

    pub(super) fn record(&mut self, entry: &Entry, now: Now) -> Vec<Action> {
        if self.phase != Phase::Up(true) {
            return Vec::new();
        }
        let position = entry.position;
        let Ok(topic) = Topic::parse(&entry.record.subject) else { return vec![Action::Settle(position)] };
        if topic.kind == Kind::State && topic.node == self.host.node && !self.is_of_this_run(&entry.record.body) {
            return vec![Action::Settle(position)];
        }
        if let Some(herald) = &mut self.herald {
            self.flow.push_all(herald.note(&topic, &entry.record.body));
        }
        match self.publication(entry, &topic, now) {
            Ok(publication) => {
                self.flow.push_record(publication, position);
                Vec::new()
            }
            Err(why) => {
                let mut actions = self.refused(entry.record.key.node.as_str(), &entry.record.subject, why, now);
                actions.push(Action::Settle(position));
                actions
            }
        }
    }

    /// Whether our own state is that of this run. If so, it is remembered for the next connection.
    fn is_of_this_run(&mut self, body: &[u8]) -> bool {
        match told::decode(body).map(|told| told.fact) {
            Ok(Fact::MachineState { state, boot, cause, .. }) if boot == self.host.epoch.0 => {
                self.condition = (state, cause);
                true
            }
            _ => false,
        }
    }

    fn publication(&mut self, entry: &Entry, topic: &Topic, now: Now) -> Result<Publication, String> {
        let own_reply = matches!(topic.kind, Kind::Reply(_)) && topic.node == self.host.node;
        let address = own_reply
            .then(|| self.desk.address(&entry.record.key.node, &entry.record.body))
            .flatten()
            .unwrap_or_default();
        let record = &entry.record;
        let payload = payload::outgoing(&record.body, &record.key, address.transaction.as_deref())?;
        let left = |expires: u64| u32::try_from(expires.saturating_sub(now.unix.as_secs())).unwrap_or(u32::MAX);
        Ok(Publication {
            topic: address.topic.unwrap_or_else(|| self.prefix.below(&record.subject)),
            payload,
            keep: topic::is_kept(topic),
            expires: record.expires.map(left),
            id: Some(record.key.clone()),
            correlation: address.correlation,
        })
    }
}
