//! A program at the door of an agent that does nothing by itself: no connection is made again, nothing is said twice, and
//! nothing is acknowledged until the test says so. What real programs use is `bus::client`.

use super::PATIENCE;
use super::pipe::Pipe;
use protocol::door::{Ask, Subscribe, Tell, Waiting};
use protocol::event::Event;
use protocol::{HostName, codec, frame};
use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A connection to an agent.
pub struct Door {
    pipe: Pipe<Tell>,
    /// The agent's machine.
    pub node: HostName,
    heard: VecDeque<(u64, Event)>,
    /// So many events were told to be lost.
    pub missed: u64,
    answers: VecDeque<Tell>,
}

impl Door {
    /// Connects and is welcomed.
    ///
    /// # Errors
    /// There is no agent, or it refuses.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let mut pipe = Pipe::new(UnixStream::connect(path)?, take);
        pipe.say(&framed(&Ask::Hello("a test".into())), PATIENCE)?;
        match pipe.hear(PATIENCE)? {
            Some(Tell::Welcome { node, .. }) => {
                Ok(Self { pipe, node, heard: VecDeque::new(), missed: 0, answers: VecDeque::new() })
            }
            other => Err(io::Error::other(format!("the agent answers {other:?}"))),
        }
    }

    /// Connects as soon as there is an agent.
    #[track_caller]
    pub fn connect_soon(path: &Path) -> Self {
        let start = Instant::now();
        loop {
            match Self::connect(path) {
                Ok(door) => return door,
                Err(why) if start.elapsed() > PATIENCE => panic!("{}: {why}", path.display()),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Says something.
    ///
    /// # Errors
    /// The connection is over.
    pub fn say(&mut self, ask: &Ask) -> io::Result<()> {
        self.say_bytes(&framed(ask))
    }

    /// Says bytes that need not be anything.
    ///
    /// # Errors
    /// The connection is over.
    pub fn say_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pipe.say(bytes, PATIENCE)
    }

    /// Subscribes; returns when that has been seen to.
    ///
    /// # Errors
    /// It is refused, or the connection is over.
    pub fn subscribe(&mut self, wanted: Subscribe) -> io::Result<()> {
        self.say(&Ask::Subscribe(wanted))?;
        self.queue().map(drop)
    }

    /// What waits for whom; all that was asked before has been seen to.
    ///
    /// # Errors
    /// The connection is over.
    pub fn queue(&mut self) -> io::Result<Vec<Waiting>> {
        self.say(&Ask::Queue)?;
        loop {
            if let Tell::Queue(waiting) = self.answer()? {
                return Ok(waiting);
            }
        }
    }

    /// The next event; nothing if none comes in time.
    ///
    /// # Errors
    /// The connection is over.
    pub fn next(&mut self, patience: Duration) -> io::Result<Option<(u64, Event)>> {
        let start = Instant::now();
        while self.heard.is_empty() && self.hear(patience.saturating_sub(start.elapsed()))? {}
        Ok(self.heard.pop_front())
    }

    /// The next answer.
    ///
    /// # Errors
    /// The connection is over, or no answer comes.
    pub fn answer(&mut self) -> io::Result<Tell> {
        loop {
            if let Some(answer) = self.answers.pop_front() {
                return Ok(answer);
            }
            if !self.hear(PATIENCE)? {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the agent does not answer"));
            }
        }
    }

    /// Takes what comes next; says whether something came in time.
    fn hear(&mut self, patience: Duration) -> io::Result<bool> {
        let Some(tell) = self.pipe.hear(patience)? else { return Ok(false) };
        match tell {
            Tell::Events(events) => self.heard.extend(events),
            Tell::Missed(count) => self.missed += count,
            Tell::Live => {}
            Tell::Error(why) => return Err(io::Error::other(why)),
            answer => self.answers.push_back(answer),
        }
        Ok(true)
    }
}

/// What is said, as bytes.
pub fn framed(ask: &Ask) -> Vec<u8> {
    frame::encode(ask)
}

fn take(bytes: &[u8]) -> Result<Option<(Tell, usize)>, String> {
    let Some((body, used)) = frame::take_body(bytes).map_err(|why| why.to_string())? else { return Ok(None) };
    codec::decode(body).map(|tell| Some((tell, used))).map_err(|why| why.0)
}
