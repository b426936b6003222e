//! The program: everything is made, the cameras are recorded, and at the end each tail is closed.

use crate::config::{self, CAMERA, Camera, Config};
use crate::foreign::Foreign;
use crate::house::House;
use crate::live::{self, Show};
use crate::mend::Mending;
use crate::orphans;
use crate::pipeline::{self, encoder};
use crate::presets::{self, Times};
use crate::pressure::Pressure;
use crate::ram::Ram;
use crate::recorder::{self, Outlets, Surroundings};
use crate::status::Board;
use crate::wall::Wall;
use bus::client::{Bus, Shutdown, Shutdowns};
use protocol::fact::Fact;
use runner::exit::Failure;
use runner::signals::{Signal, Signals};
use segments::places::{Changed, Places};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// So often settings, clock and RAM are looked at.
const LOOK: Duration = Duration::from_secs(2);
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
    // The lower half of the run's epoch: the next run of this machine has another one.
    let boot = bus.epoch().0 as u32;
    let (server, leaving) = Server::listen(&bus);
    let house = House::open(bus);
    let wall = Arc::new(Wall::start(config.clock_dir.clone()));
    let mount = config.ram_mount.as_deref();
    let count = config.cameras.len();
    let ram = Ram::prepare(&config.ram_dir, config.ram_bytes, mount, count, house.clone(), wall.clone())?;
    pipeline::init()?;
    let (encoder, why) = encoder::choose(config.encoder);
    tracing::info!("{why}");
    let orphans = adopt(&ram, &house, &wall, boot);
    for (name, bad) in &config.unusable {
        tracing::error!("camera `{name}` is not recorded: {bad}");
        house.say(Fact::CameraOffline { camera: name.clone(), why: format!("is not recorded: {bad}") });
        if segments::is_camera_name(name) {
            ram.ledgers().unusable(name, bad.to_string());
        }
    }
    let around = Surroundings {
        wall,
        ram,
        house: house.clone(),
        encoder,
        patience: config.pipeline_timeout,
        boot,
        sequence: Arc::default(),
        leaving,
        stop: CancellationToken::new(),
    };
    let listener = listen(&config).await?;
    let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let (board, mut tasks) = (Board::new(around.wall.clone(), around.ram.clone(), address), JoinSet::new());
    let (pictures, watched) = start_cameras(&config, &around, &board, &mut tasks)?;
    listener.map(|listener| tokio::spawn(live::serve(listener, Show { pictures, board: board.clone() })));
    let cameras = config.cameras.iter().map(|camera| camera.name.as_str()).collect::<Vec<_>>().join(" ");
    tracing::info!("{cameras}: recorded to {}, {} bytes at most", around.ram.dir().display(), around.ram.cap());
    runner::ready::ready(&format!("records {cameras} by {}", encoder.name()));
    let mut keeper = Keeper {
        places: config.places.clone(),
        watched,
        around: around.clone(),
        board,
        pressure: Pressure::default(),
        mending: Mending::default(),
        orphans,
        foreign: Foreign::default(),
    };
    let ended = wait(&mut signals, server, &mut tasks, &mut keeper).await;
    runner::ready::stopping();
    around.stop.cancel();
    while let Some(task) = tasks.join_next().await {
        if let Ok(Err(why)) = task {
            tracing::error!("{why}");
        }
    }
    keeper.board.take_down();
    house.end(LAST_WORDS).await;
    ended
}

/// Until a signal, or until a recorder gives up.
async fn wait(
    signals: &mut Signals,
    mut server: Server,
    tasks: &mut JoinSet<Result<(), Failure>>,
    keeper: &mut Keeper,
) -> Result<(), Failure> {
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Hangup => keeper.look(),
                Signal::Terminate | Signal::Interrupt => {
                    tracing::info!("told to end: the open segments are closed");
                    return Ok(());
                }
            },
            word = server.shutdowns.next() => server.says(word),
            Some(task) = tasks.join_next() => match task {
                Ok(ended) => return ended,
                Err(why) => return Err(Failure::Temporary(format!("a recorder died: {why}"))),
            },
            () = tokio::time::sleep(LOOK) => keeper.look(),
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
fn adopt(ram: &Ram, house: &House, wall: &Wall, boot: u32) -> bool {
    let wait = orphans::adopt_all(ram, house, wall, boot);
    for (camera, folder) in segments::cameras(ram.dir()).unwrap_or_default() {
        ram.ledgers().complete(&camera, &segments::read(&folder).unwrap_or_default().closed);
    }
    ram.keep_within();
    wait
}

type Pictures = BTreeMap<String, watch::Receiver<Option<bytes::Bytes>>>;

/// A camera whose settings and switch may change.
struct Watched {
    tell: watch::Sender<Camera>,
    /// When what is said about it was changed, and what its switch says, as far as it is known here.
    seen: (Changed, Option<bool>),
}

fn start_cameras(
    config: &Config,
    around: &Surroundings,
    board: &Board,
    tasks: &mut JoinSet<Result<(), Failure>>,
) -> Result<(Pictures, Vec<Watched>), Failure> {
    let (mut pictures, mut watched) = (Pictures::new(), Vec::new());
    for camera in &config.cameras {
        let folder = around.ram.folder(&camera.name);
        let bad =
            |why| Failure::Permanent(format!("{}: {why}; set RAM_DIR to a folder for recordings", folder.display()));
        std::fs::create_dir_all(&folder).map_err(bad)?;
        let (back, came_back) = mpsc::unbounded_channel();
        let (tell, told) = watch::channel(camera.clone());
        let (picture, shown) = watch::channel(None);
        let outlets = Outlets { picture, board: board.clone(), back };
        tasks.spawn(recorder::run(told.clone(), around.clone(), outlets));
        tokio::spawn(presets::keep(told, Times { day: config.day, night: config.night }, came_back));
        pictures.insert(camera.name.clone(), shown);
        watched.push(Watched { tell, seen: seen(&config.places, &camera.name) });
    }
    Ok((pictures, watched))
}

/// Where pictures are to be served.
async fn listen(config: &Config) -> Result<Option<TcpListener>, Failure> {
    let Some(address) = config.live else { return Ok(None) };
    let bad =
        |why| Failure::Permanent(format!("pictures cannot be served at {address}: {why}; set LIVE to another address"));
    let listener = TcpListener::bind(address).await.map_err(bad)?;
    tracing::info!("pictures are served at http://{}/", listener.local_addr().map_err(bad)?);
    Ok(Some(listener))
}

/// Looks after what changes slowly.
struct Keeper {
    places: Places,
    watched: Vec<Watched>,
    around: Surroundings,
    board: Board,
    pressure: Pressure,
    mending: Mending,
    /// Some wait for room.
    orphans: bool,
    foreign: Foreign,
}

impl Keeper {
    fn look(&mut self) {
        let Surroundings { wall, ram, house, boot, .. } = &self.around;
        let full = ram.is_full() || self.orphans;
        self.pressure.look(ram.used(), ram.cap(), full).into_iter().for_each(|fact| house.say(fact));
        ram.keep_within();
        if self.orphans && ram.has_room() {
            self.orphans = orphans::adopt_all(ram, house, wall, *boot);
        }
        self.foreign.look(ram.dir());
        self.board.write();
        // Not at once: between two of its steps a label lies there that looks like a stray one.
        if !self.orphans {
            self.mending.go_on(wall, ram.dir());
        }
        self.watched.iter_mut().for_each(|watched| watched.look(&self.places));
    }
}

fn seen(places: &Places, name: &str) -> (Changed, Option<bool>) {
    (places.changed(name, CAMERA), places.switched(name))
}

impl Watched {
    fn look(&mut self, places: &Places) {
        let name = self.tell.borrow().name.clone();
        let seen = seen(places, &name);
        if seen != self.seen {
            self.seen = seen;
            self.reread(places, &name);
        }
    }

    /// With settings that cannot be used everything stays as it is, but the switch counts.
    fn reread(&self, places: &Places, name: &str) {
        match config::camera(places, name) {
            Ok(new) => {
                tracing::info!("{name}: its settings were read again");
                self.tell.send_replace(new);
            }
            Err(bad) => {
                tracing::warn!("{name}: goes on as before: {bad}");
                self.tell.send_modify(|camera| camera.recording.on = self.seen.1.unwrap_or(camera.recording.on));
            }
        }
    }
}
