//! The trial: numbers are published without a pause, the broker dies at a random moment and comes back a random moment
//! later, and each number that it had not acknowledged has to be heard in time.

use super::broker::Broker;
use super::client::{Client, Told};
use std::collections::BTreeSet;
use std::io;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout_at};

/// Numbers under way at once: more than the 20 that mosquitto lets a client have in flight, so that some of them wait
/// inside the library when the broker dies.
const WINDOW: usize = 60;
/// Both clients have to be back, and all that is owed has to be heard, within this time.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a trial came to.
pub struct Outcome {
    kills: usize,
    published: u64,
    owed: usize,
    lost: usize,
    back: Vec<Duration>,
    settled: Vec<Duration>,
    /// What was still missing, if somebody was stuck.
    pub stuck: Option<String>,
}

impl Outcome {
    /// Of the table.
    pub const HEADINGS: [&'static str; 8] = [
        "broker",
        "kills",
        "published",
        "owed at kills",
        "acked, then lost by the broker",
        "back ms (median, max)",
        "settled ms (median, max)",
        "stuck",
    ];

    /// A row of the table.
    pub fn cells(&self, name: &str) -> [String; 8] {
        [
            name.to_owned(),
            self.kills.to_string(),
            self.published.to_string(),
            self.owed.to_string(),
            self.lost.to_string(),
            spread(&self.back),
            spread(&self.settled),
            self.stuck.clone().unwrap_or_else(|| "nobody".to_owned()),
        ]
    }
}

fn spread(times: &[Duration]) -> String {
    let mut times: Vec<_> = times.iter().map(Duration::as_millis).collect();
    times.sort_unstable();
    match (times.get(times.len() / 2), times.last()) {
        (Some(middle), Some(last)) => format!("{middle}, {last}"),
        _ => "-".to_owned(),
    }
}

/// A broker, its two clients, and the numbers.
pub struct Trial {
    broker: Broker,
    publisher: Client,
    _subscriber: Client,
    told: UnboundedReceiver<Told>,
    random: fastrand::Rng,
    up: BTreeSet<&'static str>,
    next: u64,
    waiting: BTreeSet<u64>,
    flying: BTreeSet<u64>,
    accepted: BTreeSet<u64>,
    heard: BTreeSet<u64>,
    last_trouble: String,
}

impl Trial {
    /// Starts the clients.
    pub fn open(broker: Broker, seed: u64) -> Self {
        let (tell, told) = unbounded_channel();
        Self {
            publisher: Client::publisher(broker.port, tell.clone()),
            _subscriber: Client::subscriber(broker.port, tell),
            broker,
            told,
            random: fastrand::Rng::with_seed(seed),
            up: BTreeSet::new(),
            next: 0,
            waiting: BTreeSet::new(),
            flying: BTreeSet::new(),
            accepted: BTreeSet::new(),
            heard: BTreeSet::new(),
            last_trouble: String::new(),
        }
    }

    /// Kills the broker so many times, or until somebody is stuck.
    pub async fn run(mut self, kills: usize) -> io::Result<Outcome> {
        let (mut owed, mut back, mut settled) = (0, Vec::new(), Vec::new());
        let mut stuck = self.settle(&BTreeSet::new(), Instant::now()).await.err();
        while stuck.is_none() && back.len() < kills {
            let debt = self.kill().await?;
            owed += debt.len();
            let began = Instant::now();
            match self.settle(&debt, began).await {
                Ok(returned) => {
                    back.push(returned);
                    settled.push(began.elapsed());
                }
                Err(why) => stuck = Some(format!("at kill {}: {why}", back.len() + 1)),
            }
        }
        let lost = self.accepted.difference(&self.heard).count();
        Ok(Outcome { kills: back.len(), published: self.next, owed, lost, back, settled, stuck })
    }

    /// Talks, kills, goes on talking to nobody, starts the broker again. What is owed are the numbers that were not
    /// acknowledged by then; answers that the dead broker had still sent are read before the library finds it dead.
    async fn kill(&mut self) -> io::Result<BTreeSet<u64>> {
        let (before, after) = (self.random.u64(20..300), self.random.u64(1..300));
        self.talk(before).await;
        self.broker.kill()?;
        let end = Instant::now() + PATIENCE;
        while !self.up.is_empty() && Instant::now() < end {
            self.talk(1).await;
        }
        self.talk(after).await;
        let owed = self.waiting.union(&self.flying).copied().collect();
        self.broker.again()?;
        Ok(owed)
    }

    async fn talk(&mut self, milliseconds: u64) {
        let until = Instant::now() + Duration::from_millis(milliseconds);
        self.pump();
        while let Ok(Some(told)) = timeout_at(until, self.told.recv()).await {
            self.note(told);
            self.pump();
        }
    }

    /// Goes on until both clients are up, all that is owed was heard and a new number has gone through. Returns after
    /// what time both were up.
    async fn settle(&mut self, owed: &BTreeSet<u64>, began: Instant) -> Result<Duration, String> {
        let (mut returned, mut fresh) = (None, None);
        self.pump();
        while let Ok(Some(told)) = timeout_at(began + PATIENCE, self.told.recv()).await {
            self.note(told);
            self.pump();
            if self.up.len() == 2 && returned.is_none() {
                (returned, fresh) = (Some(began.elapsed()), Some(self.next));
            }
            let through = fresh.is_some_and(|fresh| self.heard.last().is_some_and(|&last| last >= fresh));
            if let Some(returned) = returned.filter(|_| through && owed.is_subset(&self.heard)) {
                return Ok(returned);
            }
        }
        let missing = owed.difference(&self.heard).count();
        let (up, flying, trouble) = (&self.up, self.flying.len(), &self.last_trouble);
        Err(format!("up: {up:?}; {missing} of {} not heard, {flying} flying; last trouble: {trouble}", owed.len()))
    }

    fn note(&mut self, told: Told) {
        match told {
            Told::Up(who) => drop(self.up.insert(who)),
            Told::Accepted(number) => {
                self.flying.remove(&number);
                self.accepted.insert(number);
            }
            Told::Refused(number) => {
                self.flying.remove(&number);
                self.waiting.insert(number);
            }
            Told::Heard(number) => drop(self.heard.insert(number)),
            Told::Down(who, why) => {
                self.up.remove(who);
                self.last_trouble = format!("{who}: {why}");
            }
        }
    }

    /// Publishes what is to be sent again, then new numbers, as far as the window goes. What has nobody to hear it
    /// would only be refused, so it waits for the subscriber.
    fn pump(&mut self) {
        while self.flying.len() < WINDOW {
            let again = self.waiting.first().copied();
            if again.is_some() && !self.up.contains("subscriber") {
                return;
            }
            let number = again.unwrap_or(self.next);
            if !self.publisher.publish(number) {
                return;
            }
            self.next = self.next.max(number + 1);
            self.waiting.remove(&number);
            self.flying.insert(number);
        }
    }
}
