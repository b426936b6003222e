//! Facts for the house. They are handed to a task; nothing here waits for the agent, which may be away for hours.

use bus::client::Bus;
use protocol::fact::Fact;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

/// So many facts may wait for an agent that is away; an hour of two cameras.
const WAITING: usize = 500;

/// The way to the task.
#[derive(Debug)]
pub struct Teller {
    to: Sender<Fact>,
    task: JoinHandle<()>,
    lost: u64,
}

impl Teller {
    /// Starts the task.
    pub fn start(bus: Bus) -> Teller {
        let (to, facts) = channel(WAITING);
        Teller { to, task: tokio::spawn(tell(bus, facts)), lost: 0 }
    }

    /// Tells a fact, or counts it as lost if too many wait.
    pub fn tell(&mut self, fact: Fact) {
        if self.to.try_send(fact).is_err() {
            self.lost += 1;
            if self.lost.is_power_of_two() {
                tracing::warn!(
                    "{} facts are lost, the event bus takes none; is fserver or fclient running?",
                    self.lost
                );
            }
        }
    }

    /// Nothing more is told; waits for what is under way, at most so long.
    pub async fn end(self, most: Duration) {
        let Teller { to, task, .. } = self;
        let waiting = to.max_capacity() - to.capacity() + 1;
        drop(to);
        if tokio::time::timeout(most, task).await.is_err() {
            tracing::warn!(
                "up to {waiting} facts are not told, the event bus does not answer: is fserver or fclient running?"
            );
        }
    }
}

async fn tell(bus: Bus, mut facts: Receiver<Fact>) {
    while let Some(fact) = facts.recv().await {
        if let Err(why) = bus.publish(&fact).await {
            tracing::warn!("a fact is not told: {why}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_absent_agent_holds_up_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let mut teller = Teller::start(Bus::open(dir.path().join("bus.sock"), "upload test"));
        for files in 0..2 * WAITING as u64 {
            teller.tell(Fact::UploadQueue { files, bytes: 0, oldest: 0 });
        }
        assert_eq!(teller.lost, WAITING as u64);
        teller.end(Duration::from_millis(10)).await;
    }
}
