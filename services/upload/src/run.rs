//! The one loop: looks, hands what it sees to the machine, and performs what that says.

use crate::config::Config;
use crate::deliver::{Courier, Manners};
use crate::hours::{Hours, Standing};
use crate::key;
use crate::ledger::{Ledger, State, Told, id_of};
use crate::machine::{Action, Id, Input, Item, Machine, Outcome};
use crate::manifest::Hour;
use crate::pacer::Pacer;
use crate::shaper::Class;
use crate::store::Store;
use crate::teller::Teller;
use crate::timetable::Rate;
use crate::trouble::Trouble;
use crate::watch::{Watch, look};
use bus::client::{Bus, Shutdown, Shutdowns};
use protocol::fact::Fact;
use runner::clock::{Clock, unix_now};
use runner::exit::Failure;
use runner::ready;
use runner::signals::{Signal, Signals};
use runner::supervisor::machine_goes;
use segments::Label;
use segments::ledger::What;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

/// How long the last facts may take to reach the bus.
const LAST_FACTS: Duration = Duration::from_secs(2);
/// So long the end of the machine is held up, if nobody announced it with a deadline; no longer than services of systemd may take anyway.
const LAST_CALL: Duration = Duration::from_secs(60);
/// Old lines of the ledger are dropped so often.
const COMPACT: Duration = Duration::from_secs(3600);

struct Loop {
    config: Config,
    clock: Clock,
    machine: Machine,
    courier: Courier,
    store: Result<Store, String>,
    teller: Teller,
    shutdowns: Shutdowns,
    rate: watch::Receiver<Rate>,
    /// Asks whether the machine goes, once told to end.
    going: JoinSet<bool>,
    hours: Hours,
    labels: BTreeMap<Id, Label>,
    sendings: JoinSet<(Item, Outcome)>,
    manifests: JoinSet<(String, Told, Result<(), Trouble>)>,
    complaint: String,
    left: Option<(u64, u64)>,
    /// The directory is another one than that which was opened.
    displaced: bool,
}

/// Uploads until a signal ends it. If a RAM disk is mounted over the directory meanwhile, it begins once more with what
/// is there then.
///
/// # Errors
/// The directory of segments cannot be used.
pub async fn run(config: Config) -> Result<(), Failure> {
    let mut signals = Signals::listen().map_err(|why| Failure::Temporary(format!("signals cannot be heard: {why}")))?;
    let watch = Watch::new().map_err(|why| Failure::Temporary(format!("inotify: {why}; raise fs.inotify limits")))?;
    while is_displaced(config.clone(), &mut signals, &watch).await? {
        tracing::info!("{}: something was mounted there, and is looked at from now on", config.ram_dir.display());
    }
    Ok(())
}

/// Uploads from the directory that is there now. Whether it ended because there is another one.
async fn is_displaced(config: Config, signals: &mut Signals, watch: &Watch) -> Result<bool, Failure> {
    let ledger = Ledger::open(&config.ram_dir, now_ms()).map_err(|why| {
        let dir = config.ram_dir.display();
        Failure::Temporary(format!("{dir}: {why}; is it there, and may this user write to it?"))
    })?;
    let mut this = Loop::new(config, ledger);
    this.paced();
    this.see(watch);
    let place = &this.config.way.place;
    let words = format!("uploads from {} to {} at {}", this.config.ram_dir.display(), place.bucket, place.endpoint);
    tracing::info!("{words}");
    ready::ready(&words);
    this.go(signals, watch).await;
    let displaced = this.displaced;
    this.end().await;
    Ok(displaced)
}

impl Loop {
    fn new(config: Config, ledger: Ledger) -> Loop {
        let pacer = Pacer::start(config.rate.clone(), config.weights.clone(), config.zone.clone());
        let ledger = std::sync::Arc::new(std::sync::Mutex::new(ledger));
        let bus = Bus::open(&config.door, concat!("upload ", env!("CARGO_PKG_VERSION")));
        let courier = Courier { zone: config.zone.clone(), pacer, ledger, manners: Manners::default().into() };
        Loop {
            clock: Clock::start(),
            machine: Machine::new(config.rules.clone()),
            rate: courier.pacer.rate(),
            going: JoinSet::new(),
            courier,
            store: config.store(),
            shutdowns: bus.shutdowns(),
            teller: Teller::start(bus),
            hours: Hours::new(config.manifest_every),
            labels: BTreeMap::new(),
            sendings: JoinSet::new(),
            manifests: JoinSet::new(),
            complaint: String::new(),
            left: None,
            displaced: false,
            config,
        }
    }

    async fn go(&mut self, signals: &mut Signals, watch: &Watch) {
        let mut scan = interval(self.config.scan);
        scan.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut compact = interval(COMPACT);
        while self.left.is_none() && !self.displaced {
            let deadline = self.machine.deadline().map(|at| self.clock.tokio(at));
            tokio::select! {
                signal = signals.next() => self.signalled(signal),
                word = self.shutdowns.next() => self.heard(word),
                Some(ended) = self.sendings.join_next() => self.sent(ended),
                Some(ended) = self.manifests.join_next() => self.wrote(ended),
                Some(Ok(true)) = self.going.join_next() => self.machine_goes(),
                Ok(()) = self.rate.changed() => self.paced(),
                () = watch.changed() => self.see(watch),
                _ = scan.tick() => self.see(watch),
                _ = compact.tick() => self.compact(),
                () = sleep_until(deadline.unwrap_or_else(tokio::time::Instant::now)), if deadline.is_some() => {
                    self.feed(Input::Tick);
                }
            }
            if self.left.is_none() {
                self.write_hour(false);
            }
        }
    }

    /// Another rate holds.
    fn paced(&mut self) {
        let halted = *self.rate.borrow_and_update() == Rate::Stop;
        self.feed(Input::Halt(halted));
    }

    fn compact(&self) {
        self.courier.ledger().compact(now_ms(), |id| self.machine.knows(id));
    }

    fn signalled(&mut self, signal: Signal) {
        match signal {
            Signal::Hangup => {
                tracing::info!("the key is read anew, and everything tried at once");
                self.renew();
                self.feed(Input::Hurry);
            }
            Signal::Terminate | Signal::Interrupt => {
                let (files, bytes) = self.machine.waiting();
                tracing::info!("told to end; {files} segments of {bytes} bytes wait");
                ready::stopping();
                self.feed(Input::Stop(self.config.drain));
                self.extend();
                self.going.spawn(machine_goes("systemctl"));
            }
        }
    }

    /// Its RAM goes with it, whether its server was told or not.
    fn machine_goes(&mut self) {
        tracing::info!("this machine goes down, and with it what is in RAM; everything is tried at once");
        self.feed(Input::Going(LAST_CALL));
        self.extend();
    }

    /// systemd waits for as long as this program will take.
    fn extend(&self) {
        if let Some(end) = self.machine.end() {
            ready::extend(end.since(self.clock.now()) + 2 * LAST_FACTS + Duration::from_secs(5));
        }
    }

    fn heard(&mut self, word: Shutdown) {
        match word {
            Shutdown::Announced(within) => {
                let (files, bytes) = self.machine.waiting();
                let seconds = within.as_secs();
                tracing::info!(
                    "the server goes within {seconds} s; {files} segments of {bytes} bytes wait, and are tried at once"
                );
                self.feed(Input::Leaving(within));
            }
            Shutdown::Cancelled => self.feed(Input::Staying),
        }
        self.extend();
    }

    fn see(&mut self, watch: &Watch) {
        self.displaced = !self.courier.ledger().is_in_place();
        if self.displaced {
            return;
        }
        match look(&self.config.ram_dir) {
            Ok(sight) => {
                watch.add(&self.config.ram_dir, &sight.folders);
                self.complain(sight.unread.join(", "));
                let before = std::mem::replace(&mut self.labels, sight.labels);
                for (id, label) in before {
                    self.labels.entry(id).or_insert(label);
                }
                self.feed(Input::Seen(sight.items));
                let machine = &self.machine;
                self.labels.retain(|id, _| machine.knows(id));
            }
            Err(why) => self.complain(format!("{}: {why}", self.config.ram_dir.display())),
        }
    }

    /// The same complaint is not made each few seconds.
    fn complain(&mut self, about: String) {
        if !about.is_empty() && about != self.complaint {
            tracing::error!("cannot be read: {about}; may this user read it?");
        }
        self.complaint = about;
    }

    fn feed(&mut self, input: Input) {
        for action in self.machine.handle(input, self.clock.now()) {
            self.perform(action);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Send { item, class, renewed } => self.send(item, class, renewed),
            Action::Vanished(item) => self.vanished(&item),
            Action::Lift(lifted) => self.courier.pacer.lift(lifted),
            Action::Tell(fact) => {
                if let Fact::UploadFailed { file, why, paused } = &fact {
                    let paused = if *paused { "uploads pause: " } else { "" };
                    tracing::error!("{paused}{why} ({file})");
                }
                self.teller.tell(fact);
            }
            Action::Recovered(what) => tracing::info!("{what}"),
            Action::End { files, bytes } => self.left = Some((files, bytes)),
        }
    }

    /// The key as it stands in its file now.
    fn renew(&mut self) {
        self.store = self.config.store();
        self.courier.manners.forget();
    }

    fn send(&mut self, item: Item, class: Class, renewed: bool) {
        if renewed || self.store.is_err() {
            self.renew();
        }
        let (courier, store) = (self.courier.clone(), self.store.clone());
        self.sendings.spawn(async move {
            let pacer = courier.pacer.clone();
            let outcome = match store {
                Ok(store) => tokio::select! {
                    outcome = courier.send(store, item.clone(), class) => outcome,
                    () = pacer.halted() => Outcome::Halted,
                },
                Err(why) => Outcome::Failed(Trouble::Setup { cause: "credentials", why }),
            };
            (item, outcome)
        });
    }

    fn sent(&mut self, ended: Result<(Item, Outcome), tokio::task::JoinError>) {
        // A sending does not panic; if one did, its segment would be under way for ever, and a new run is better.
        let (item, outcome) = ended.expect("a sending ends with an outcome");
        if let Outcome::Failed(trouble) = &outcome {
            tracing::warn!("{} is not uploaded: {}", item.path.display(), trouble.why());
        }
        if outcome == Outcome::Gone && !is_there(&item) {
            self.vanished(&item);
        }
        self.feed(Input::Ended(item.id, outcome));
    }

    fn vanished(&mut self, item: &Item) {
        let Some(label) = self.labels.remove(&item.id) else { return };
        let (run, sequence) = (label.boot.clone(), label.sequence);
        let what = match self.courier.ledger().get(&item.id).is_some_and(|entry| entry.state == State::Done) {
            true => What::Sent { run, sequence },
            false => {
                tracing::warn!("{} went before it was uploaded", item.path.display());
                What::Vanished { run, sequence }
            }
        };
        let told = segments::ledger::tell(&self.config.ram_dir, &item.id.camera, what);
        if let Err(why) = told {
            tracing::warn!("{}: its ledger takes nothing: {why}", item.id.camera);
        }
        self.courier.ledger().lost(&self.config.zone, &item.id, label);
    }

    /// Writes an hour down, if one is due.
    fn write_hour(&mut self, last: bool) {
        let Ok(store) = self.store.clone() else { return };
        if !self.manifests.is_empty() {
            return;
        }
        let standings = self.standings();
        let due = self.hours.due(&standings, self.machine.is_calm(), last, self.clock.now());
        let Some(Standing { state, complete }) = due else { return };
        let ledger = self.courier.ledger();
        let entries = ledger.of_hour(&state.folder);
        let Some(first) = entries.first().map(|entry| &entry.label) else { return };
        let lines = segments::ledger::read(&self.config.ram_dir, &first.camera).unwrap_or_else(|why| {
            tracing::warn!("{}: its ledger cannot be read: {why}; gaps are not explained", first.camera);
            Vec::new()
        });
        let hour = Hour {
            folder: &state.folder,
            ledger: lines,
            span: key::span_of_hour(&self.config.zone, first.end_unix_ms()),
            before: ledger.before(&first.camera, first.start_unix_ms),
            begun: ledger.begun(),
            called: ledger.called(),
            now_unix_ms: now_ms(),
            complete,
            entries,
        };
        let told = Told { count: state.count, complete };
        let manifest = (hour.manifest_key(), "application/json", format!("{:#}\n", hour.manifest()).into_bytes());
        let playlist = (hour.playlist_key(), "application/vnd.apple.mpegurl", hour.playlist().into_bytes());
        self.manifests.spawn(async move {
            let mut result = Ok(());
            for (key, content_type, content) in [playlist, manifest] {
                result = result.and(store.put_small(&key, content_type, content).await.map(drop));
            }
            (state.folder, told, result)
        });
    }

    fn standings(&self) -> Vec<Standing> {
        let now = now_ms();
        let zone = &self.config.zone;
        let stands = |state: crate::ledger::HourState| {
            let camera = state.folder.split('/').next().unwrap_or_default();
            let over = *state.folder < *key::hour(zone, camera, now);
            let oldest = self.machine.oldest(camera).map(|start| key::hour(zone, camera, start));
            let complete = over && oldest.is_none_or(|oldest| oldest > state.folder);
            Standing { state, complete }
        };
        self.courier.ledger().hours().into_iter().map(stands).collect()
    }

    fn wrote(&mut self, ended: Result<(String, Told, Result<(), Trouble>), tokio::task::JoinError>) {
        let (folder, told, result) = ended.expect("a writing ends with a result");
        match result {
            Ok(()) => {
                self.hours.told(&folder);
                tracing::debug!("wrote down {folder}, {} segments", told.count);
                self.courier.ledger().hour_told(&folder, told);
            }
            Err(trouble) => {
                tracing::warn!("the manifest of {folder} is not written: {}", trouble.why());
                self.hours.failed(&folder, self.clock.now());
            }
        }
    }

    /// What is under way is given up; if all is there, what is there is written down.
    async fn end(mut self) {
        self.sendings.shutdown().await;
        let (files, bytes) = self.left.unwrap_or_default();
        match files {
            _ if self.displaced => {}
            0 => tracing::info!("everything is uploaded"),
            _ => tracing::warn!("{files} segments of {bytes} bytes stay in {}", self.config.ram_dir.display()),
        }
        if self.machine.is_calm() {
            let most = self.clock.tokio(self.clock.now() + LAST_FACTS);
            let _ = tokio::time::timeout_at(most, self.write_all()).await;
        }
        self.teller.end(LAST_FACTS).await;
    }

    async fn write_all(&mut self) {
        self.hours.forgive();
        for _ in 0..=self.standings().len() {
            while let Some(ended) = self.manifests.join_next().await {
                self.wrote(ended);
            }
            self.write_hour(true);
        }
    }
}

/// Under whatever name: its recorder may have mended it.
fn is_there(item: &Item) -> bool {
    let contents = item.path.parent().and_then(|folder| segments::read(folder).ok()).unwrap_or_default();
    contents.closed.iter().any(|found| id_of(&item.id.camera, &found.name) == item.id)
}

fn now_ms() -> u64 {
    u64::try_from(unix_now().as_millis()).unwrap_or(u64::MAX)
}
