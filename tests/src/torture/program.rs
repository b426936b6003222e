//! The programs: they are this binary again, and die as real ones do. What they use of the bus is what all programs use.

use super::diary::{Diary, Pen};
use crate::world::mqtt::Mqtt;
use crate::world::mqtt::packet::Introduction;
use bus::client::{Bus, Item};
use clap::Subcommand;
use protocol::door::{From, Subscribe};
use protocol::event::{Class, Keep};
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The topic of everything, behind the machine's name.
const TOPIC: &str = "evt/camera/motion";
/// How long a program waits for the broker before it asks again.
const PAUSE: Duration = Duration::from_millis(50);

/// What a program is.
#[derive(Debug, Subcommand)]
pub enum Program {
    /// Says one number after the other, and writes down what was acknowledged.
    #[command(hide = true)]
    Speak {
        /// The agent's door.
        #[arg(long)]
        door: PathBuf,
        /// Where it writes.
        #[arg(long)]
        diary: PathBuf,
        /// Who it is.
        #[arg(long)]
        name: String,
        /// Microseconds between two.
        #[arg(long)]
        pause: u64,
        /// How many; zero is without end.
        #[arg(long, default_value_t = 0)]
        count: u64,
    },
    /// Writes down what it hears.
    #[command(hide = true)]
    Listen {
        /// The agent's door.
        #[arg(long)]
        door: PathBuf,
        /// Where it writes.
        #[arg(long)]
        diary: PathBuf,
        /// Who it is.
        #[arg(long)]
        name: String,
    },
    /// Writes down what it hears from the broker.
    #[command(hide = true)]
    ListenMqtt {
        /// Where the broker listens.
        #[arg(long)]
        broker: SocketAddr,
        /// Where it writes.
        #[arg(long)]
        diary: PathBuf,
        /// Who it is.
        #[arg(long)]
        name: String,
    },
}

impl Program {
    /// Runs it, until it is killed or its task is done.
    ///
    /// # Errors
    /// The diary cannot be written, or the broker speaks another language.
    pub fn run(self) -> io::Result<()> {
        match self {
            Program::Speak { door, diary, name, pause, count } => {
                on_one_thread(speak(door, &Diary::at(&diary), &name, Duration::from_micros(pause), count))
            }
            Program::Listen { door, diary, name } => on_one_thread(listen(door, &Diary::at(&diary), &name)),
            Program::ListenMqtt { broker, diary, name } => listen_to_broker(broker, &Diary::at(&diary), &name),
        }
    }
}

fn on_one_thread(task: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(task)
}

async fn speak(door: PathBuf, diary: &Diary, name: &str, pause: Duration, count: u64) -> io::Result<()> {
    let (bus, mut pen) = (Bus::open(door, "torture 1"), diary.pen()?);
    let (topic, class) = (format!("{}/{TOPIC}", bus.node().await), Class { keep: Keep::All, durable: true });
    let from = diary.last_tried() + 1;
    for number in from..if count > 0 { from + count } else { u64::MAX } {
        pen.write(&format!("try {number}"))?;
        let body = format!("{{\"by\":\"{name}\",\"number\":{number}}}").into_bytes();
        match bus.say_text(topic.clone(), class, None, body).await {
            Ok(_) => pen.write(&format!("ack {number}"))?,
            Err(why) => pen.write(&format!("refused {number} {why}"))?,
        }
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

async fn listen(door: PathBuf, diary: &Diary, name: &str) -> io::Result<()> {
    let mut ear = Ear::new(diary)?;
    let bus = Bus::open(door, "torture 1");
    let filters = vec![format!("+/{TOPIC}")];
    let mut heard = bus.subscribe(Subscribe { name: Some(name.into()), filters, from: From::Next });
    loop {
        match heard.next().await {
            Item::Event(number, event) => {
                ear.hear(&event.body.0)?;
                heard.done(number);
            }
            Item::Missed(count) => ear.pen.write(&format!("missed {count}"))?,
            Item::Refused(why) => return Err(io::Error::other(why)),
            Item::Live | Item::Restarted => {}
        }
    }
}

fn listen_to_broker(broker: SocketAddr, diary: &Diary, name: &str) -> io::Result<()> {
    let mut ear = Ear::new(diary)?;
    let who = Introduction { client: name.into(), clean: false, session: 3600, will: None };
    loop {
        // It is away, or was killed; that is what this is about.
        let _ = listen_while_it_is_there(broker, &who, &mut ear);
        std::thread::sleep(PAUSE);
    }
}

fn listen_while_it_is_there(broker: SocketAddr, who: &Introduction, ear: &mut Ear) -> io::Result<()> {
    let mut mqtt = Mqtt::connect(broker, who)?;
    mqtt.subscribe(&[&format!("+/+/+/{TOPIC}")], false)?;
    ear.pen.write("listening")?;
    loop {
        if let Some(delivery) = mqtt.next(Duration::from_secs(1))? {
            ear.hear(&delivery.payload)?;
            mqtt.acknowledge(delivery.id)?;
        }
    }
}

/// What is known from this life and those before.
struct Ear {
    known: BTreeSet<(String, u64)>,
    pen: Pen,
}

impl Ear {
    fn new(diary: &Diary) -> io::Result<Self> {
        Ok(Self { known: diary.heard().into_iter().collect(), pen: diary.pen()? })
    }

    fn hear(&mut self, body: &[u8]) -> io::Result<()> {
        let body: serde_json::Value = serde_json::from_slice(body)?;
        let (by, number) = (body["by"].as_str().unwrap_or("nobody"), body["number"].as_u64().unwrap_or(0));
        let word = if self.known.insert((by.into(), number)) { "got" } else { "again" };
        self.pen.write(&format!("{word} {by} {number}"))
    }
}
