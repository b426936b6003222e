//! What programs of a house tell each other: one variant a fact, named as its hook folder and the last level of its
//! topic. As JSON a fact is one flat object, `{"fact":"motion","camera":"cam1"}`; its fields are what hooks get as
//! variables, `FACT_CAMERA=cam1`. Each has a golden file under `tests/golden/fact`.
//!
//! To add one: a variant with plain fields (text, number, flag), its line in [`Fact::rule`], its golden file. The names
//! `fact`, `at`, `clock`, `id` and `topic` are taken by what stands beside the fields in a body.

mod shape;

pub use shape::{Field, Plain, Shape, shape, shapes};

use crate::event::{Class, Family, Keep};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// How much a fact matters: what is kept when there is too much, and whether its publisher waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Evidence and results: kept until everybody has them, loudly dropped if even that is too much. On the disk first.
    Vital,
    /// What is worth less the older it is. On the disk first.
    Normal,
    /// The same, and there will be more of it soon: no disk is waited for.
    Passing,
}

/// Whether the last word about something counts, or each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retain {
    /// Each is an event of its own.
    Each,
    /// The last one is how it is, and whoever comes later is told it.
    Last,
}

/// What holds for a kind of fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its family.
    pub family: Family,
    /// Its name: that of its hook folder, of the last level of its topic, and of `fact` in JSON.
    pub name: &'static str,
    /// Whether the last word counts.
    pub retain: Retain,
    /// How much it matters.
    pub priority: Priority,
    /// After so long it is worth nothing.
    pub lifetime: Duration,
}

impl Rule {
    /// How an event of this rule is kept.
    pub const fn class(&self) -> Class {
        let keep = match (self.retain, self.priority) {
            (Retain::Last, _) => Keep::LatestPerSubject,
            (Retain::Each, Priority::Vital) => Keep::All,
            (Retain::Each, Priority::Normal | Priority::Passing) => Keep::DropOldest,
        };
        Class { keep, durable: !matches!(self.priority, Priority::Passing) }
    }
}

const fn each(family: Family, name: &'static str, priority: Priority, seconds: u64) -> Rule {
    Rule { family, name, retain: Retain::Each, priority, lifetime: Duration::from_secs(seconds) }
}

const fn last(family: Family, name: &'static str, priority: Priority) -> Rule {
    Rule { family, name, retain: Retain::Last, priority, lifetime: Duration::from_secs(365 * DAY) }
}

/// How a machine is, as far as the house knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// It is there.
    Online,
    /// It lets go, or starts again.
    Draining,
    /// It is not there.
    Offline,
}

/// A fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Fact {
    /// How a machine is; said under `NODE/state`.
    MachineState {
        /// How it is.
        state: Condition,
        /// Its run, so that a late word about an earlier one changes nothing.
        boot: u64,
        /// The program that speaks for it, with its version.
        program: String,
        /// Why, in the words of a cause; empty while it is online.
        cause: String,
    },
    /// A shutdown or restart of the server was announced.
    ShutdownAnnounced {
        /// Its id.
        shutdown: String,
        /// `shutdown` or `restart`.
        cause: String,
        /// The operator's words.
        reason: String,
        /// Seconds until the server waits no longer.
        within: u64,
    },
    /// It was taken back.
    ShutdownCancelled {
        /// Its id.
        shutdown: String,
    },
    /// Everybody has let go, or the time was over.
    ShutdownCommitted {
        /// Its id.
        shutdown: String,
        /// Who did not finish, separated by blanks.
        late: String,
    },

    /// A hook failed for good; or one of `server-up` asks to be tried again and again.
    HookFailed {
        /// As in `motion/50-tell-police`.
        hook: String,
        /// The event that it was for, which will not come again; or `server-up` and the like.
        about: String,
        /// How it ended.
        result: String,
    },
    /// Records of the bus were dropped because a bound was reached.
    EventsDropped {
        /// Of which class: `keep-all`, `latest-per-subject`, `drop-oldest`.
        class: String,
        /// `bytes` or `age`.
        by: String,
        /// How many.
        count: u64,
        /// Who had not had them yet, separated by blanks.
        unread_by: String,
    },
    /// Somebody asked for events that are gone.
    EventsMissed {
        /// Who.
        consumer: String,
        /// How many at most.
        count: u64,
    },
    /// A file of the journal is not what was written there.
    JournalDamaged {
        /// The file, the place and what is the matter.
        what: String,
    },
    /// An event or a command was refused.
    EventRefused {
        /// Who sent it.
        from: String,
        /// Its topic.
        about: String,
        /// Why, and the remedy.
        why: String,
    },
    /// Somebody tried what he may not.
    StrangerRefused {
        /// Where he is.
        address: String,
        /// What he tried.
        what: String,
    },
    /// A machine was joined to the house.
    PeerPaired {
        /// Its name.
        peer: String,
        /// The print of its key.
        key: String,
    },
    /// A machine was refused, since another one has its name.
    PeerRefused {
        /// The name.
        peer: String,
        /// Where the refused one is.
        address: String,
        /// Where they are, and the remedy.
        why: String,
    },
    /// Whether a machine knows what time it is; said by its recorder, whose recordings carry the time.
    MachineClock {
        /// It does.
        set: bool,
        /// What helps, if it does not.
        why: String,
    },
    /// How the MQTT broker is.
    Uplink {
        /// The broker's address.
        broker: String,
        /// Whether it is reached.
        connected: bool,
        /// What is the matter, or its version.
        detail: String,
    },

    /// A recording was closed and can be looked at.
    SegmentClosed {
        /// Which camera.
        camera: String,
        /// The file.
        file: String,
        /// Its size in bytes.
        bytes: u64,
        /// Its length in milliseconds.
        duration_ms: u64,
        /// Something moved in it.
        motion: bool,
    },
    /// A recording had to go to make room.
    SegmentEvicted {
        /// Which camera.
        camera: String,
        /// The file.
        file: String,
        /// Why.
        why: String,
    },
    /// A camera sends pictures.
    CameraOnline {
        /// Which one.
        camera: String,
    },
    /// A camera sends none.
    CameraOffline {
        /// Which one.
        camera: String,
        /// What it did.
        why: String,
    },
    /// How a camera is.
    Camera {
        /// Which one.
        camera: String,
        /// Whether it sends pictures.
        online: bool,
        /// Whether it is recorded.
        recording: bool,
        /// What encodes its pictures, as in `x264`.
        encoder: String,
    },
    /// How much of the room for recordings they take: whether it runs short, as when nothing can be uploaded.
    QueuePressure {
        /// It runs short.
        high: bool,
        /// There is none: pictures are lost, whoever fills the disk.
        full: bool,
        /// What recordings take, in bytes.
        bytes: u64,
        /// What they may take, in bytes.
        cap: u64,
    },
    /// Something moves.
    Motion {
        /// Before which camera.
        camera: String,
        /// How much of the picture, in percent.
        percent: f64,
    },

    /// A file is at the safe place, and that was checked.
    UploadDone {
        /// The file.
        file: String,
        /// Where it is.
        key: String,
        /// Its size in bytes.
        bytes: u64,
    },
    /// A file could not be brought there.
    UploadFailed {
        /// The file.
        file: String,
        /// Why.
        why: String,
        /// It is not tried again before somebody does something.
        paused: bool,
    },
    /// How much waits to be uploaded.
    UploadQueue {
        /// Files.
        files: u64,
        /// Bytes.
        bytes: u64,
        /// Seconds that the oldest has waited.
        oldest: u64,
    },

    /// A backup has begun.
    BackupStarted {
        /// What is backed up.
        source: String,
    },
    /// A backup is complete.
    BackupDone {
        /// What was backed up.
        source: String,
        /// Files that were copied.
        files: u64,
        /// Their bytes.
        bytes: u64,
        /// Whether the copy was read back and compared.
        verified: bool,
    },
    /// A backup is not complete.
    BackupFailed {
        /// What was to be backed up.
        source: String,
        /// Why.
        why: String,
    },
    /// The last complete backup.
    LastBackup {
        /// What was backed up.
        source: String,
        /// When it was complete, in seconds since 1970.
        completed: u64,
        /// Whether the copy was read back and compared.
        verified: bool,
    },

    /// A memory card is there.
    CardInserted {
        /// Its label or device.
        card: String,
    },
    /// All of it was copied, and the copies were compared.
    CardCopied {
        /// Its label or device.
        card: String,
        /// Where to.
        folder: String,
        /// Files that were new.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Not all of it was copied; it must not be erased.
    CardFailed {
        /// Its label or device.
        card: String,
        /// Why.
        why: String,
    },

    /// A new version is there.
    UpdateAvailable {
        /// Of what.
        package: String,
        /// Which one.
        version: String,
    },
    /// A new version runs.
    UpdateDone {
        /// Of what.
        package: String,
        /// Which one.
        version: String,
    },
    /// A new version does not run, and the old one does.
    UpdateFailed {
        /// Of what.
        package: String,
        /// Which one.
        version: String,
        /// Why.
        why: String,
    },
    /// Which version runs.
    Version {
        /// Of what.
        package: String,
        /// Which one.
        version: String,
    },

    /// A process that is looked after died, or says nothing any more.
    ProcessDied {
        /// Its name.
        process: String,
        /// How it ended.
        how: String,
    },
    /// It was started again.
    ProcessRestarted {
        /// Its name.
        process: String,
        /// How often in the last hour.
        times: u64,
    },
    /// How a process is.
    Process {
        /// Its name.
        process: String,
        /// Whether it runs and says so.
        alive: bool,
        /// Its version.
        version: String,
    },

    /// Something was done by the clock.
    ScheduleRan {
        /// What.
        job: String,
        /// Seconds that it came late.
        late: u64,
    },
    /// Something was not done in its time.
    ScheduleMissed {
        /// What.
        job: String,
        /// Why.
        why: String,
    },

    /// People are shown this.
    Notice {
        /// The headline.
        summary: String,
        /// What is below it.
        text: String,
    },
}

impl Fact {
    /// What holds for this kind of fact.
    pub const fn rule(&self) -> Rule {
        use Family::{Backup, Camera, Display, Host, Ingest, Presence, Schedule, Update, Upload, Watchdog};
        use Priority::{Normal, Passing, Vital};
        match self {
            Fact::MachineState { .. } => last(Presence, "machine-state", Normal),
            Fact::ShutdownAnnounced { .. } => each(Presence, "shutdown-announced", Normal, HOUR),
            Fact::ShutdownCancelled { .. } => each(Presence, "shutdown-cancelled", Normal, HOUR),
            Fact::ShutdownCommitted { .. } => each(Presence, "shutdown-committed", Normal, HOUR),
            Fact::HookFailed { .. } => each(Host, "hook-failed", Vital, 30 * DAY),
            Fact::EventsDropped { .. } => each(Host, "events-dropped", Normal, 30 * DAY),
            Fact::EventsMissed { .. } => each(Host, "events-missed", Normal, 30 * DAY),
            Fact::JournalDamaged { .. } => each(Host, "journal-damaged", Vital, 30 * DAY),
            Fact::EventRefused { .. } => each(Host, "event-refused", Normal, 7 * DAY),
            Fact::StrangerRefused { .. } => each(Host, "stranger-refused", Normal, 30 * DAY),
            Fact::PeerPaired { .. } => each(Host, "peer-paired", Vital, 90 * DAY),
            Fact::PeerRefused { .. } => each(Host, "peer-refused", Normal, 30 * DAY),
            Fact::MachineClock { .. } => last(Host, "machine-clock", Normal),
            Fact::Uplink { .. } => last(Host, "uplink", Normal),
            Fact::SegmentClosed { .. } => each(Camera, "segment-closed", Vital, 3 * DAY),
            Fact::SegmentEvicted { .. } => each(Camera, "segment-evicted", Vital, 30 * DAY),
            Fact::CameraOnline { .. } => each(Camera, "camera-online", Normal, 7 * DAY),
            Fact::CameraOffline { .. } => each(Camera, "camera-offline", Vital, 30 * DAY),
            Fact::Camera { .. } => last(Camera, "camera", Normal),
            Fact::QueuePressure { .. } => last(Camera, "queue-pressure", Normal),
            Fact::Motion { .. } => each(Camera, "motion", Passing, HOUR),
            Fact::UploadDone { .. } => each(Upload, "upload-done", Vital, 30 * DAY),
            Fact::UploadFailed { .. } => each(Upload, "upload-failed", Vital, 30 * DAY),
            Fact::UploadQueue { .. } => last(Upload, "upload-queue", Passing),
            Fact::BackupStarted { .. } => each(Backup, "backup-started", Normal, 7 * DAY),
            Fact::BackupDone { .. } => each(Backup, "backup-done", Vital, 90 * DAY),
            Fact::BackupFailed { .. } => each(Backup, "backup-failed", Vital, 90 * DAY),
            Fact::LastBackup { .. } => last(Backup, "last-backup", Normal),
            Fact::CardInserted { .. } => each(Ingest, "card-inserted", Normal, DAY),
            Fact::CardCopied { .. } => each(Ingest, "card-copied", Vital, 90 * DAY),
            Fact::CardFailed { .. } => each(Ingest, "card-failed", Vital, 90 * DAY),
            Fact::UpdateAvailable { .. } => each(Update, "update-available", Normal, 30 * DAY),
            Fact::UpdateDone { .. } => each(Update, "update-done", Vital, 90 * DAY),
            Fact::UpdateFailed { .. } => each(Update, "update-failed", Vital, 90 * DAY),
            Fact::Version { .. } => last(Update, "version", Normal),
            Fact::ProcessDied { .. } => each(Watchdog, "process-died", Vital, 30 * DAY),
            Fact::ProcessRestarted { .. } => each(Watchdog, "process-restarted", Normal, 30 * DAY),
            Fact::Process { .. } => last(Watchdog, "process", Normal),
            Fact::ScheduleRan { .. } => each(Schedule, "schedule-ran", Normal, 7 * DAY),
            Fact::ScheduleMissed { .. } => each(Schedule, "schedule-missed", Vital, 30 * DAY),
            Fact::Notice { .. } => each(Display, "notice", Normal, HOUR),
        }
    }

    /// Which one of several it is about, if its last word counts: the last level of its topic.
    pub fn item(&self) -> Option<&str> {
        match self {
            Fact::Camera { camera: item, .. }
            | Fact::LastBackup { source: item, .. }
            | Fact::Version { package: item, .. }
            | Fact::Process { process: item, .. } => Some(item),
            _ => None,
        }
    }
}
