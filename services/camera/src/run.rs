//! The program: everything is made, the cameras are recorded, and at the end each tail is closed.

use crate::cameras::Cameras;
use crate::clock::Clock;
use crate::config::Config;
use crate::foreign::Foreign;
use crate::house::House;
use crate::live::{self, Pictures, Show};
use crate::mend::Mending;
use crate::orphans;
use crate::pipeline::{self, encoder};
use crate::pressure::Pressure;
use crate::ram::Ram;
use crate::recorder::Surroundings;
use crate::status::Board;
use crate::wall::Wall;
use bus::client::{Bus, Shutdown, Shutdowns};
use protocol::fact::Fact;
use runner::exit::Failure;
use runner::signals::{Signal, Signals};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// So often settings, clock and RAM are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// And so soon again at settings that are just being written: what counts is what is seen twice.
const SOON: Duration = Duration::from_millis(300);
/// So long the bus may take at the end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Records until it is told to end.
///
/// # Errors
/// The surroundings cannot be used, or GStreamer hangs.
pub async fn run(config: Config) -> Result<(), Failure> {
    let no_signals = |why| Failure::Temporary(format!("signals cannot be heard: {why}"));
    let mut signals = Signals::listen().map_err(no_signals)?;
    let bus = Bus::open(&config.door, concat!("camera ", env!("CARGO_PKG_VERSION")));
    let (server, leaving) = Server::listen(&bus);
    let around = surroundings(&config, bus, leaving)?;
    let orphans = adopt(&around);
    let (board, pictures) = (Board::new(around.wall.clone(), around.ram.clone()), Pictures::default());
    let cameras = Cameras::start(&config, &around, &board, pictures.clone())?;
    if let Some(address) = config.live {
        tokio::spawn(live::open(address, Show { pictures, board: board.clone() }));
    }
    let names = config.cameras.iter().map(|camera| camera.name.as_str()).collect::<Vec<_>>().join(" ");
    tracing::info!("{names}: recorded to {}, {} bytes at most", around.ram.dir().display(), around.ram.cap());
    runner::ready::ready(&format!("records {names} by {}", around.encoder.name()));
    let mut keeper = Keeper::new(&around, board, cameras, orphans);
    let ended = wait(&mut signals, server, &mut keeper).await;
    runner::ready::stopping();
    around.stop.cancel();
    keeper.cameras.close().await;
    keeper.board.take_down();
    around.house.end(LAST_WORDS).await;
    ended
}

fn surroundings(config: &Config, bus: Bus, leaving: watch::Receiver<u32>) -> Result<Surroundings, Failure> {
    // The lower half of the run's epoch: the next run of this machine has another one.
    let boot = bus.epoch().0 as u32;
    let house = House::open(bus);
    let wall = Arc::new(Wall::start(config.clock_dir.clone()));
    let mount = config.ram_mount.as_deref();
    let count = config.cameras.len();
    let ram = Ram::prepare(&config.ram_dir, config.ram_bytes, mount, count, house.clone(), wall.clone())?;
    pipeline::init()?;
    let (encoder, why) = encoder::choose(config.encoder);
    tracing::info!("{why}");
    Ok(Surroundings {
        wall,
        ram,
        house,
        encoder,
        patience: config.pipeline_timeout,
        hung: Arc::default(),
        boot,
        sequence: Arc::default(),
        leaving,
        stop: CancellationToken::new(),
    })
}

/// Until a signal, or until a recorder needs a new process.
async fn wait(signals: &mut Signals, mut server: Server, keeper: &mut Keeper) -> Result<(), Failure> {
    let mut pause = SOON;
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Hangup => pause = keeper.look(),
                Signal::Terminate | Signal::Interrupt => {
                    tracing::info!("told to end: the open segments are closed");
                    return Ok(());
                }
            },
            word = server.shutdowns.next() => server.says(word),
            why = keeper.cameras.ended() => return Err(why),
            () = tokio::time::sleep(pause) => pause = keeper.look(),
        }
    }
}

/// What the file server says of its own end. Recording goes on until somebody stops it; what was recorded so far is
/// closed, so that it can still be brought to safety.
struct Server {
    shutdowns: Shutdowns,
    tell: watch::Sender<u32>,
}

impl Server {
    fn listen(bus: &Bus) -> (Server, watch::Receiver<u32>) {
        let (tell, leaving) = watch::channel(0);
        (Server { shutdowns: bus.shutdowns(), tell }, leaving)
    }

    fn says(&self, word: Shutdown) {
        if let Shutdown::Announced(within) = word {
            tracing::info!(
                "the server goes within {} s: the open segments are closed, and others begun",
                within.as_secs()
            );
            self.tell.send_modify(|times| *times += 1);
        }
    }
}

/// What lies there from before; whether some of it waits for room.
fn adopt(around: &Surroundings) -> bool {
    let Surroundings { wall, ram, house, boot, .. } = around;
    let wait = orphans::adopt_all(ram, house, wall, *boot);
    for (camera, folder) in segments::cameras(ram.dir()).unwrap_or_default() {
        ram.ledgers().complete(&camera, &segments::read(&folder).unwrap_or_default().closed);
    }
    ram.keep_within();
    wait
}

/// Looks after what changes slowly.
struct Keeper {
    around: Surroundings,
    board: Board,
    cameras: Cameras,
    pressure: Pressure,
    clock: Clock,
    mending: Mending,
    /// Some wait for room.
    orphans: bool,
    foreign: Foreign,
}

impl Keeper {
    fn new(around: &Surroundings, board: Board, cameras: Cameras, orphans: bool) -> Keeper {
        let (pressure, clock, mending, foreign) = Default::default();
        Keeper { around: around.clone(), board, cameras, pressure, clock, mending, orphans, foreign }
    }

    /// When to look again.
    fn look(&mut self) -> Duration {
        let Surroundings { wall, ram, house, boot, .. } = &self.around;
        let full = ram.is_full() || self.orphans;
        self.pressure.look(ram.used(), ram.cap(), full).into_iter().for_each(|fact| house.say(fact));
        ram.keep_within();
        if self.orphans && ram.has_room() {
            self.orphans = orphans::adopt_all(ram, house, wall, *boot);
        }
        self.foreign.look(ram.dir());
        self.board.write();
        let was_unset = self.clock.is_unset();
        if let Some(fact) = self.clock.look(wall.is_set()) {
            log_clock(&fact, was_unset);
            house.say(fact);
        }
        // Not at once: between two of its steps a label lies there that looks like a stray one.
        if !self.orphans {
            self.mending.go_on(wall, ram.dir());
        }
        if self.cameras.look() { SOON } else { LOOK }
    }
}

fn log_clock(fact: &Fact, was_unset: bool) {
    match fact {
        Fact::MachineClock { set: false, why } => tracing::warn!("the clock is not set: {why}"),
        _ if was_unset => tracing::info!("the clock is set now"),
        _ => {}
    }
}
