//! Publishing: what was not answered when the agent went is sent again to the next one, with the same ids, so that it is
//! kept once. What comes while an answer is awaited goes together in the next frame.

use super::connection::{self, Connection, FIRST_PAUSE, LAST_PAUSE};
use protocol::door::{Ask, Tell};
use protocol::event::{Event, EventId};
use protocol::{Epoch, HostName};
use runner::framing;
use runner::retry::Backoff;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot, watch};

/// So many events may wait for the agent; whoever publishes more waits himself.
const MOST: usize = 4096;
/// A frame carries about so many bytes of events.
const FRAME: usize = 32 * 1024;
/// So many frames are on the way at a time: one is written while another is kept.
const FRAMES: usize = 2;

/// Why an event was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    /// With the remedy.
    pub why: String,
    /// It may work later.
    pub temporary: bool,
}

type Answer = oneshot::Sender<Result<EventId, Refused>>;

/// The way to the task that publishes.
#[derive(Debug, Clone)]
pub(super) struct Publisher {
    inbox: mpsc::Sender<(Event, Answer)>,
    node: watch::Receiver<Option<HostName>>,
    epoch: Epoch,
    sequence: Arc<AtomicU64>,
}

impl Publisher {
    pub(super) fn start(door: PathBuf, program: String) -> Publisher {
        let (inbox, drafts) = mpsc::channel(MOST);
        let (tell_node, node) = watch::channel(None);
        let post = Post { door, program, drafts, tell_node, unanswered: VecDeque::new(), unsent: 0 };
        tokio::spawn(post.run());
        Publisher { inbox, node, epoch: Epoch(crate::fresh_epoch()), sequence: Arc::default() }
    }

    pub(super) async fn node(&self) -> HostName {
        let mut node = self.node.clone();
        loop {
            let known = node.borrow_and_update().clone();
            match known {
                Some(node) => return node,
                None if node.changed().await.is_ok() => {}
                // The task ends with the runtime only.
                None => std::future::pending().await,
            }
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn next_id(&self, node: &HostName) -> EventId {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        EventId { node: node.clone(), epoch: self.epoch, sequence }
    }

    pub(super) async fn publish(&self, event: Event) -> Result<EventId, Refused> {
        let (answer, answered) = oneshot::channel();
        let ended = || Refused { why: "the program ends".into(), temporary: true };
        self.inbox.send((event, answer)).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

struct Post {
    door: PathBuf,
    program: String,
    drafts: mpsc::Receiver<(Event, Answer)>,
    tell_node: watch::Sender<Option<HostName>>,
    unanswered: VecDeque<(Event, Answer)>,
    /// So many of those at the end have not been sent on this connection.
    unsent: usize,
}

impl Post {
    async fn run(mut self) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LAST_PAUSE);
        let mut told = String::new();
        loop {
            match connection::connect(&self.door, &self.program).await {
                Ok(connection) => {
                    backoff.reset();
                    told.clear();
                    self.tell_node.send_replace(Some(connection.node.clone()));
                    self.unsent = self.unanswered.len();
                    match self.serve(connection).await {
                        Ok(()) => return,
                        Err(why) => tracing::debug!("the agent went: {why}"),
                    }
                }
                Err(why) => {
                    let why = connection::unreachable(&self.door, &why);
                    if why != told {
                        tracing::warn!("{why}");
                        told = why;
                    }
                }
            }
            if self.drafts.is_closed() && self.unanswered.is_empty() && self.drafts.is_empty() {
                return;
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }

    /// Until the connection breaks, or nobody has anything to say any more.
    async fn serve(&mut self, connection: Connection) -> io::Result<()> {
        let Connection { mut read, mut write, .. } = connection;
        let mut frames: VecDeque<usize> = VecDeque::new();
        loop {
            while self.unsent > 0 && frames.len() < FRAMES {
                let (frame, count) = self.frame();
                self.unsent -= count;
                frames.push_back(count);
                framing::write(&mut write, &frame).await?;
            }
            tokio::select! {
                tell = read.next::<Tell>() => match tell? {
                    Some(tell) => self.answered(tell, &mut frames)?,
                    None => return Err(io::ErrorKind::UnexpectedEof.into()),
                },
                draft = self.drafts.recv(), if self.unanswered.len() < MOST => match draft {
                    Some(draft) => self.take(draft),
                    None if self.unanswered.is_empty() => return Ok(()),
                    None => std::future::pending().await,
                },
            }
        }
    }

    fn take(&mut self, draft: (Event, Answer)) {
        self.unanswered.push_back(draft);
        self.unsent += 1;
        while self.unanswered.len() < MOST
            && let Ok(draft) = self.drafts.try_recv()
        {
            self.unanswered.push_back(draft);
            self.unsent += 1;
        }
    }

    /// The next events, as many as go together.
    fn frame(&self) -> (Ask, usize) {
        let (mut events, mut bytes) = (Vec::new(), 0);
        for (event, _) in self.unanswered.iter().skip(self.unanswered.len() - self.unsent) {
            bytes += event.size();
            if !events.is_empty() && bytes > FRAME {
                break;
            }
            events.push(event.clone());
        }
        let count = events.len();
        (Ask::Publish(events), count)
    }

    fn answered(&mut self, tell: Tell, frames: &mut VecDeque<usize>) -> io::Result<()> {
        let (count, refused) = match tell {
            Tell::Kept(count) => (count as usize, None),
            Tell::Refused { why, temporary } => (1, Some(Refused { why, temporary })),
            Tell::Error(why) => return Err(io::Error::other(why)),
            _ => return Ok(()),
        };
        for _ in 0..count {
            let Some((event, answer)) = self.unanswered.pop_front() else { break };
            // Whoever does not wait any more does not want to know.
            let _ = answer.send(refused.clone().map_or(Ok(event.id), Err));
        }
        let mut left = count;
        while let Some(first) = frames.front_mut().filter(|_| left > 0) {
            let some = left.min(*first);
            (*first, left) = (*first - some, left - some);
            if *first == 0 {
                frames.pop_front();
            }
        }
        Ok(())
    }
}
