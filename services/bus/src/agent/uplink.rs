//! The agent's uplink to the broker, and what is known of it for those who ask.

use super::{Settings, Shared};
use crate::mqtt;
use jiff::Timestamp;
use protocol::fact::Fact;
use std::rc::Rc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How the uplink is, as it said last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    connected: bool,
    /// Seconds since 1970.
    since: u64,
    /// What is the matter, or the broker's version.
    detail: String,
}

impl Standing {
    /// After these news; only the other state is a new one.
    fn after(before: Option<Standing>, connected: bool, detail: &str, unix: u64) -> Standing {
        let same = before.filter(|before| before.connected == connected);
        Standing { connected, since: same.map_or(unix, |same| same.since), detail: detail.into() }
    }

    /// For people; nobody has reached the broker nor failed to, if there is none.
    fn words(standing: Option<&Standing>) -> String {
        let Some(Standing { connected, since, detail }) = standing else { return "not reached yet".into() };
        let state = if *connected { "connected" } else { "not connected" };
        let since = i64::try_from(*since).ok().and_then(|since| Timestamp::from_second(since).ok());
        let since = since.map_or_else(String::new, |since| format!(" since {since}"));
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        format!("{state}{since}{detail}")
    }
}

impl Shared {
    /// Whether the broker is reached.
    pub(super) fn reaches_broker(&self) -> bool {
        self.uplink.borrow().as_ref().is_some_and(|standing| standing.connected)
    }

    /// The broker's address and how the uplink to it is, if there is one.
    pub(super) fn broker(&self) -> Option<(String, String)> {
        let address = self.settings.uplink.as_ref()?.broker.to_string();
        Some((address, Standing::words(self.uplink.borrow().as_ref())))
    }
}

/// Starts the uplink, if one is wanted.
pub(super) fn start(shared: &Rc<Shared>, ending: &CancellationToken) -> Option<JoinHandle<()>> {
    let Settings { node, epoch, program, uplink, .. } = shared.settings.clone();
    let uplink = mqtt::Uplink { config: uplink?, node, epoch, program };
    let (teller, ending) = (shared.clone(), ending.clone());
    let tell = move |fact| {
        if let Fact::Uplink { connected, detail, .. } = &fact {
            let before = teller.uplink.take();
            teller.uplink.replace(Some(Standing::after(before, *connected, detail, teller.unix())));
        }
        teller.clerk.tell(&teller.settings.node, &fact);
    };
    let stop = async move { ending.cancelled().await };
    Some(tokio::task::spawn_local(mqtt::run(uplink, shared.journal.clone(), tell, stop)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_as_old_as_its_first_word() {
        let first = Standing::after(None, true, "", 1_800_000_000);
        let second = Standing::after(Some(first), true, "mosquitto version 2.0.11", 1_800_000_060);
        let words = Standing::words(Some(&second));
        assert_eq!(words, "connected since 2027-01-15T08:00:00Z: mosquitto version 2.0.11");
        let third = Standing::after(Some(second), false, "it has fallen silent", 1_800_000_060);
        assert_eq!(Standing::words(Some(&third)), "not connected since 2027-01-15T08:01:00Z: it has fallen silent");
        assert_eq!(Standing::words(None), "not reached yet");
    }
}
