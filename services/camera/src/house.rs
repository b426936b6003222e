//! What the house is told. Recording never waits for the bus: facts stand in a queue, and an agent that is away finds them there.

use bus::client::Bus;
use protocol::fact::Fact;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// So many facts wait for the agent: days of segments. What comes then is lost, and logged.
const WAITING: usize = 4096;

#[derive(Debug)]
enum Post {
    Fact(Fact),
    End(oneshot::Sender<()>),
}

/// The way to the bus; clones are the same one.
#[derive(Debug, Clone)]
pub struct House(mpsc::Sender<Post>);

impl House {
    /// Begins to carry facts to the bus. Needs a running tokio runtime.
    pub fn open(bus: Bus) -> House {
        let (post, posted) = mpsc::channel(WAITING);
        tokio::spawn(carry(bus, posted));
        House(post)
    }

    /// Says a fact; never waits.
    pub fn say(&self, fact: Fact) {
        if let Err(lost) = self.0.try_send(Post::Fact(fact)) {
            let what = match lost.into_inner() {
                Post::Fact(fact) => fact.rule().name,
                Post::End(_) => "",
            };
            tracing::warn!(
                "{WAITING} facts wait for the bus already; {what} is not told: is fclient or fserver running?"
            );
        }
    }

    /// Waits until what was said before is kept, but not for longer than this.
    pub async fn end(&self, within: Duration) {
        let (end, ended) = oneshot::channel();
        let sent = self.0.send(Post::End(end));
        let all = async { sent.await.is_ok() && ended.await.is_ok() };
        if !tokio::time::timeout(within, all).await.unwrap_or(false) {
            let left = self.0.max_capacity() - self.0.capacity();
            tracing::warn!(
                "{} facts or so are not told, the bus did not take them in time: is fclient or fserver running?",
                left.max(1)
            );
        }
    }
}

async fn carry(bus: Bus, mut posted: mpsc::Receiver<Post>) {
    while let Some(post) = posted.recv().await {
        match post {
            Post::Fact(fact) => {
                if let Err(why) = bus.publish(&fact).await {
                    tracing::warn!("{} was not kept: {why}", fact.rule().name);
                }
            }
            Post::End(end) => drop(end.send(())),
        }
    }
}
