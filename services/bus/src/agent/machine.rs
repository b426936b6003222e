//! What an agent decides about its links: how much may be on the way, what an acknowledgement settles, and what a peer
//! may say. Pure.

use crate::command::Reply;
use crate::journal::Position;
use crate::secure::Roles;
use protocol::event::{Event, Keep, MAX_BODY};
use protocol::topic::{Kind, Topic};
use protocol::{Filter, HostName};

/// So many bytes of events may be on the way to one peer and not yet acknowledged: below what the presence loop keeps for
/// one that does not read (64 KiB), and many times what a house says in a second.
pub const ON_THE_WAY: usize = 48 * 1024;
/// One frame carries about so many bytes of events; at least one event.
pub const FRAME: usize = 24 * 1024;
/// So many bytes of a peer's events wait for the journal; one that keeps to [`ON_THE_WAY`] never reaches it.
pub const MOST_WAITING: usize = 4 * ON_THE_WAY;
/// Verbs by which the house is shut down or restarted; for those who have the role.
pub const HOUSE: [&str; 2] = ["shutdown", "restart"];
/// Verbs that every agent answers and that change nothing; every machine of the house may ask for them.
pub const HARMLESS: [&str; 2] = ["ping", "version"];
/// So many patterns a peer may ask for.
pub const MOST_FILTERS: usize = 256;

/// Batches on their way to a peer. On an idle link it is two words.
#[derive(Debug, Default)]
pub struct Flow {
    number: u64,
    /// Never empty.
    on_the_way: Option<Box<OnTheWay>>,
}

/// An event for a house has thousands of these at the same time, each with one batch of one event.
#[derive(Debug, Default)]
struct OnTheWay {
    batches: Vec<Sent>,
    bytes: usize,
}

#[derive(Debug)]
struct Sent {
    number: u64,
    positions: Vec<Position>,
    bytes: usize,
}

impl Flow {
    /// How many bytes may be sent now. A batch is let through whole, so that none is too large for ever.
    pub fn room(&self) -> usize {
        let bytes = self.on_the_way.as_ref().map_or(0, |way| way.bytes);
        if bytes < ON_THE_WAY { FRAME } else { 0 }
    }

    /// A batch of so many bytes goes; its number, which the peer repeats.
    pub fn send(&mut self, positions: Vec<Position>, bytes: usize) -> u64 {
        self.number += 1;
        let way = self.on_the_way.get_or_insert_default();
        way.bytes += bytes;
        if way.batches.is_empty() {
            way.batches.reserve_exact(1);
        }
        way.batches.push(Sent { number: self.number, positions, bytes });
        self.number
    }

    /// The peer has kept all batches up to that number: what is settled by it.
    pub fn kept(&mut self, through: u64) -> Vec<Position> {
        let mut settled = Vec::new();
        let Some(way) = &mut self.on_the_way else { return settled };
        let count = way.batches.partition_point(|batch| batch.number <= through);
        for batch in way.batches.drain(..count) {
            way.bytes -= batch.bytes;
            settled.extend(batch.positions);
        }
        self.on_the_way.take_if(|way| way.batches.is_empty());
        settled
    }

    /// Whether nothing is on the way.
    pub fn is_idle(&self) -> bool {
        self.on_the_way.is_none()
    }
}

/// The topic of an event that can be kept, whoever says it.
///
/// # Errors
/// It is none; the text names the remedy.
pub fn form(event: &Event) -> Result<Topic, String> {
    let topic = event.topic().map_err(|why| why.to_string())?;
    if event.body.0.len() > MAX_BODY {
        return Err(format!(
            "a body of {} bytes; at most {MAX_BODY} are kept, name a file instead",
            event.body.0.len()
        ));
    }
    let passes = matches!(topic.kind, Kind::Request(_) | Kind::Reply(_));
    if passes && event.class.keep == Keep::LatestPerSubject {
        return Err("a command is done once and never kept as a state; send it with another class".into());
    }
    Ok(topic)
}

/// Why an event of a peer is not kept; the text names the remedy.
///
/// What `from` says may be about itself only: its own events, its own states, commands to anybody if it may, and replies.
///
/// # Errors
/// It is not kept.
pub fn admit(event: &Event, from: &HostName, roles: &Roles) -> Result<Topic, String> {
    let topic = form(event)?;
    if event.id.node != *from {
        return Err(format!("{from} sent an event of {}; a machine speaks for itself only", event.id.node));
    }
    let about_itself = topic.node == *from;
    match &topic.kind {
        Kind::Reply(_) if Reply::decode(&event.body.0).is_ok_and(|reply| reply.is_by_server()) => {
            return Err(format!("{from} answered as if it were the server"));
        }
        Kind::Reply(_) => {}
        Kind::Request(verb) if HOUSE.contains(&&**verb) && roles.may_shut_down() => {}
        Kind::Request(verb) if HOUSE.contains(&&**verb) => {
            return Err(format!("{from} may not command `{verb}`; give it the role shutdown in authorized_peers"));
        }
        Kind::Request(verb) if roles.may_command(verb) || HARMLESS.contains(&&**verb) => {}
        Kind::Request(verb) => {
            return Err(format!(
                "{from} may not command `{verb}`; give it the role command:{verb} in authorized_peers"
            ));
        }
        _ if !about_itself => return Err(format!("{from} spoke of {}; a machine speaks for itself only", topic.node)),
        _ => {
            let family = topic.family().map_or("presence", |family| family.name());
            if !roles.may_publish(family) {
                let remedy = format!("give it the role publish:{family} in authorized_peers");
                return Err(format!("{from} may not publish events of the family {family}; {remedy}"));
            }
        }
    }
    Ok(topic)
}

/// The patterns in what a peer or program asked for.
///
/// # Errors
/// One of them is none, or they are too many; names it.
pub fn filters(texts: &[String]) -> Result<Vec<Filter>, String> {
    if texts.len() > MOST_FILTERS {
        return Err(format!("{} patterns; at most {MOST_FILTERS} are taken, use `+` and `#`", texts.len()));
    }
    let mut all =
        texts.iter().map(|text| Filter::parse(text)).collect::<Result<Vec<_>, _>>().map_err(|w| w.to_string())?;
    all.sort();
    all.dedup();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Outcome;
    use protocol::Epoch;
    use protocol::event::{Body, Class, EventId};

    fn host(name: &str) -> HostName {
        HostName::parse(name).unwrap()
    }

    fn event(node: &str, topic: &str) -> Event {
        let id = EventId { node: host(node), epoch: Epoch(1), sequence: 1 };
        let class = Class { keep: Keep::All, durable: true };
        Event { id, class, topic: topic.into(), ttl: None, body: Body(b"{}".to_vec()) }
    }

    fn why(node: &str, topic: &str, roles: &str) -> String {
        let roles = Roles::parse(&roles.split(' ').collect::<Vec<_>>()).unwrap();
        admit(&event(node, topic), &host("kitchen"), &roles).err().unwrap_or_default()
    }

    #[test]
    fn what_is_on_the_way_is_bounded_and_settled_in_order() {
        let mut flow = Flow::default();
        let mut last = 0;
        while flow.room() > 0 {
            last = flow.send(vec![Position(last + 1)], FRAME);
        }
        assert_eq!(last, 2);
        assert_eq!(flow.kept(1), [Position(1)]);
        assert!(flow.room() > 0 && flow.kept(1).is_empty());
        assert_eq!(flow.kept(99), [Position(2)]);
        assert!(flow.is_idle());
    }

    #[test]
    fn a_machine_speaks_for_itself_and_within_its_roles() {
        let all = "follow publish:* command:*";
        assert_eq!(why("kitchen", "kitchen/evt/camera/motion", all), "");
        assert_eq!(why("kitchen", "kitchen/state", all), "");
        assert_eq!(why("kitchen", "attic/req/version", all), "");
        assert_eq!(why("kitchen", "attic/res/version", "follow"), "");
        assert!(why("attic", "kitchen/evt/camera/motion", all).contains("sent an event of attic"));
        assert!(why("kitchen", "attic/st/camera/camera/cam1", all).contains("spoke of attic"));
        assert!(why("kitchen", "kitchen/evt/camera/motion", "publish:upload").contains("role publish:camera"));
        assert!(why("kitchen", "attic/req/update", "follow command:version").contains("role command:update"));
        assert!(why("kitchen", "attic/req/shutdown", "follow command:*").contains("role shutdown in"));
        assert_eq!(why("kitchen", "attic/req/shutdown", "command:* shutdown"), "");
        assert!(why("kitchen", "kitchen/evt/garden/rain", all).contains("`garden` is no family"));
    }

    #[test]
    fn nobody_answers_in_the_servers_name_and_everybody_may_ping() {
        let id = EventId { node: host("attic"), epoch: Epoch(1), sequence: 1 };
        let body = |reply: Reply| Event { body: Body(reply.encode(0)), ..event("kitchen", "attic/res/update") };
        let all = Roles::parse(&["command:*"]).unwrap();
        let why = |reply| admit(&body(reply), &host("kitchen"), &all).err().unwrap_or_default();
        assert!(why(Reply::by_server(id.clone(), "no".into())).contains("as if it were the server"));
        let own = Reply { to: id, outcome: Outcome::Refused, remarks: "no".into(), data: Default::default() };
        assert_eq!(why(own), "");
        assert_eq!(["ping", "version"].map(|verb| why_of("kitchen", verb)), ["", ""]);
    }

    fn why_of(node: &str, verb: &str) -> String {
        why(node, &format!("attic/req/{verb}"), "follow")
    }

    #[test]
    fn a_command_is_never_a_state() {
        let class = Class { keep: Keep::LatestPerSubject, durable: true };
        for topic in ["attic/req/version", "attic/res/version"] {
            let why = form(&Event { class, ..event("kitchen", topic) }).unwrap_err();
            assert!(why.contains("never kept as a state"), "{why}");
        }
        assert!(form(&Event { class, ..event("kitchen", "kitchen/st/camera/camera/cam1") }).is_ok());
    }

    #[test]
    fn a_pattern_that_is_none_is_named() {
        let texts = |texts: &[&str]| filters(&texts.iter().map(|&text| text.into()).collect::<Vec<_>>());
        assert_eq!(texts(&["b/#", "a", "b/#"]).unwrap().len(), 2);
        assert!(texts(&["a", "a#"]).unwrap_err().contains("`a#`"));
        assert!(filters(&vec!["a".into(); MOST_FILTERS + 1]).unwrap_err().contains("257 patterns"));
    }
}
