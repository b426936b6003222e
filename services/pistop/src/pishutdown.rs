//! `pishutdown`: takes the arguments of shutdown(8), lets the house go first, and then becomes shutdown, with exactly these
//! arguments.
//!
//! What always holds: a machine that was told to go down goes down. A server that does not answer, a client that does not let
//! go, a terminal that is gone: all that is said and costs bounded time. Only somebody's
//! word keeps it up: Ctrl-C, or a cancellation.

mod plan;
mod teller;

pub use plan::{First, plan};

use crate::ask::ask;
use crate::words;
use nix::unistd::{AccessFlags, access};
use protocol::control::{CANCELLED, Reply, Request, ShutdownRequest};
use protocol::shutdown::Afterwards;
use runner::exit::Failure;
use runner::settings::{Setting, Settings, Sources};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use teller::Teller;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{error::Elapsed, sleep, timeout};

const CONFIG: &str = "/etc/pistop/fserver.toml";
/// What fserver's own deadline is given on top, for the hooks of clients-released.
const HOOKS: Duration = Duration::from_secs(30);
/// What is promised if the setting is of no use.
const REBOOT: Duration = Duration::from_secs(300);
/// How long a cancellation may take.
const SHORT: Duration = Duration::from_secs(5);
/// How often one looks after a shutdown that somebody else has begun.
const LOOK: Duration = Duration::from_millis(200);

const fn setting(key: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { key, default, help }
}

/// What fserver's settings say about it. There are no flags: all arguments are shutdown's.
pub const SETTINGS: &[Setting] = &[
    setting("control", "/run/pistop/fserver.sock", "the local socket of fserver"),
    setting("shutdown-command", "/sbin/shutdown", "what is run at the end"),
    setting("shutdown-deadline", "30", "seconds that fserver waits for everybody to let go"),
    setting("reboot-within", "300", "seconds within which this machine is back when it starts again"),
    setting("pishutdown-deadline", "", "seconds that pishutdown waits in all; empty for shutdown-deadline + 30"),
];

/// The whole program; it returns only if this machine stays up.
///
/// # Errors
/// Ctrl-C was pressed, somebody cancelled, or there is no shutdown to run.
pub fn main(arguments: Vec<OsString>) -> Result<(), Failure> {
    let teller = Teller::start();
    let house = House::load(&teller);
    let first = plan(&arguments);
    if matches!(first, First::LetGo { .. }) {
        house.can_shut_down()?;
    }
    teller.tell(first.to_string());
    house.first(first, &teller)?;
    let command = house.command.display().to_string();
    teller.tell(format!("now {command} {}", as_line(&arguments)));
    teller.finish();
    let why = Command::new(&house.command).args(&arguments).exec();
    Err(Failure::Permanent(format!("cannot run {command}: {why}; set SHUTDOWN_COMMAND to the path of shutdown")))
}

fn as_line(arguments: &[OsString]) -> String {
    arguments.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// How the two-phase shutdown ended.
#[derive(Debug)]
enum Outcome {
    Released,
    Late(String),
    Cancelled,
}

/// What is known of the house.
#[derive(Debug)]
struct House {
    socket: PathBuf,
    command: PathBuf,
    patience: Duration,
    back_within: Duration,
}

impl House {
    /// Settings that are of no use are told and left aside: this is not the moment to refuse.
    fn load(teller: &Teller) -> House {
        let config = Path::new(CONFIG).exists().then(|| CONFIG.into());
        let sources = Sources { config, environment: std::env::vars_os().collect(), ..Sources::default() };
        let settings = Settings::load_shared(SETTINGS, sources).unwrap_or_else(|why| {
            teller.tell(format!("{why}; going on without it"));
            Settings::load(SETTINGS, Sources::default()).expect("nothing is read, so nothing can be wrong")
        });
        House {
            socket: settings.path("control").unwrap_or_else(|| "/run/pistop/fserver.sock".into()),
            command: settings.path("shutdown-command").unwrap_or_else(|| "/sbin/shutdown".into()),
            back_within: settings.seconds("reboot-within").unwrap_or(REBOOT),
            patience: patience(&settings).unwrap_or_else(|why| {
                teller.tell(format!("{why}; going on with 60 s"));
                2 * HOOKS
            }),
        }
    }

    /// A house that lets go, and machines that power off, for a server that then stays on: that is refused beforehand.
    fn can_shut_down(&self) -> Result<(), Failure> {
        let path = Some(&self.command).filter(|command| command.is_absolute());
        path.map_or(Ok(()), |path| access(path, AccessFlags::X_OK)).map_err(|why| {
            let remedy = "nobody was told; set SHUTDOWN_COMMAND to the path of shutdown";
            Failure::Permanent(format!("cannot run {}: {}; {remedy}", self.command.display(), why.desc()))
        })
    }

    fn first(&self, first: First, teller: &Teller) -> Result<(), Failure> {
        if matches!(first, First::Nothing(_)) {
            return Ok(());
        }
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(why) => {
                teller.tell(format!("nobody can be told: {why}"));
                return Ok(());
            }
        };
        runtime.block_on(async {
            match first {
                First::LetGo { reboot, reason } => {
                    self.until_over(request(reboot, reason, self.back_within), teller).await
                }
                First::Cancel => {
                    teller.tell(self.cancel().await);
                    Ok(())
                }
                First::Nothing(_) => Ok(()),
            }
        })
    }

    /// The two-phase shutdown, at most as long as our patience lasts.
    async fn until_over(&self, request: ShutdownRequest, teller: &Teller) -> Result<(), Failure> {
        let mut interrupted = signal(SignalKind::interrupt()).ok();
        // Whoever asked may be gone, as a telephone whose connection ends: these do not end us any more.
        let _deaf = [SignalKind::hangup(), SignalKind::terminate()].map(signal);
        tokio::select! {
            biased;
            () = heard(&mut interrupted) => {
                let cancelled = self.cancel().await;
                Err(Failure::Temporary(format!("interrupted, this machine stays up; {cancelled}")))
            }
            over = timeout(self.patience, self.let_go(request, teller)) => self.judge(over, teller),
        }
    }

    /// Whether this machine goes down; only somebody's word keeps it up.
    fn judge(&self, over: Result<Result<Outcome, Failure>, Elapsed>, teller: &Teller) -> Result<(), Failure> {
        let trouble = match over {
            Ok(Ok(Outcome::Released)) => "everybody has let go".into(),
            Ok(Ok(Outcome::Cancelled)) => {
                return Err(Failure::Temporary("somebody has taken it back, this machine stays up".into()));
            }
            Ok(Ok(Outcome::Late(who))) => format!("not finished: {who}; this machine goes down all the same"),
            Ok(Err(why)) => format!("{why}; this machine goes down all the same"),
            Err(_) => format!("not over after {} s; this machine goes down all the same", self.patience.as_secs()),
        };
        teller.tell(trouble);
        Ok(())
    }

    /// While another shutdown is in the way, it is waited for; if it was taken back, ours is still to be done.
    async fn let_go(&self, request: ShutdownRequest, teller: &Teller) -> Result<Outcome, Failure> {
        loop {
            match self.follow(request.clone(), teller).await {
                Err(Failure::Permanent(refusal)) => teller.tell(format!("fserver refuses: {refusal}")),
                result => return result,
            }
            if self.another_is_committed().await? {
                return Ok(Outcome::Released);
            }
        }
    }

    async fn follow(&self, request: ShutdownRequest, teller: &Teller) -> Result<Outcome, Failure> {
        let mut answers = ask(&self.socket, Request::Shutdown(request)).await?;
        loop {
            match answers.next().await? {
                Reply::Moment(moment) => teller.tell(words::moment(&moment)),
                Reply::Done { late } if late.is_empty() => return Ok(Outcome::Released),
                Reply::Done { late } if late == [CANCELLED] => return Ok(Outcome::Cancelled),
                Reply::Done { late } => return Ok(Outcome::Late(late.join("; "))),
                _ => (),
            }
        }
    }

    /// Waits for the end of one that somebody else has begun; after its commit nobody holds this server any more.
    async fn another_is_committed(&self) -> Result<bool, Failure> {
        loop {
            sleep(LOOK).await;
            let first = ask(&self.socket, Request::Status).await?.next().await?;
            let Reply::Server(status) = first else { return Ok(false) };
            match status.shutdown.map(|shutdown| shutdown.phase) {
                Some(phase) if phase == "announced" => (),
                over => return Ok(over.is_some()),
            }
        }
    }

    async fn cancel(&self) -> String {
        let asked = async { ask(&self.socket, Request::Cancel).await?.next().await };
        match timeout(SHORT, asked).await {
            Ok(Ok(_)) => "the shutdown of the house is taken back".into(),
            Ok(Err(why)) => why.to_string(),
            Err(_) => "fserver is silent".into(),
        }
    }
}

/// What fserver is asked for: everybody lets go, and at a reboot nobody powers off.
fn request(reboot: bool, reason: String, back_within: Duration) -> ShutdownRequest {
    let then = if reboot { Afterwards::Returns(back_within) } else { Afterwards::GoesDown };
    ShutdownRequest { deadline: None, reason, restart: None, dry_run: false, drill: false, then }
}

fn patience(settings: &Settings) -> Result<Duration, Failure> {
    match settings.is_set("pishutdown-deadline") {
        true => Ok(settings.seconds("pishutdown-deadline")?),
        false => Ok(settings.seconds("shutdown-deadline")?.saturating_add(HOOKS)),
    }
}

async fn heard(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
