//! systemd over D-Bus: by the system's bus, or, as root, by systemd's own socket where no bus runs.
//!
//! What always holds: no call waits longer than its deadline, and what was not done is told. Source of names and
//! meanings: org.freedesktop.systemd1(5).

use super::name::UnitName;
use super::{Verb, within};
use futures_util::StreamExt;
use nix::time::{ClockId, clock_gettime};
use runner::exit::Failure;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::Instant;
use zbus::connection::Builder;
use zbus::proxy::CacheProperties;
use zbus::{Connection, fdo};

mod private;
mod proxies;
use private::Private;
use proxies::{JobRemovedStream, ManagerProxy, ServiceProxy, UnitProxy};

/// systemd's own socket: no bus behind it, and only root may use it.
const PRIVATE: &str = "/run/systemd/private";
/// The system's bus is somewhere else, and so systemd is there too.
const BUS: &str = "DBUS_SYSTEM_BUS_ADDRESS";

/// systemd's manager.
#[derive(Debug)]
pub struct Systemd {
    connection: Connection,
    manager: ManagerProxy<'static>,
    end: Instant,
}

/// What systemd says of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// `loaded`, `masked`, `not-found`, and others.
    pub load: String,
    /// `active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`.
    pub active: String,
    /// `enabled`, `disabled`, `static`, `masked`, and others; empty if there is no file.
    pub file: String,
    /// The main process, or 0.
    pub pid: u32,
    /// Since when, by the clock that counts from boot.
    pub since: Option<Duration>,
}

impl Unit {
    /// Whether it runs, or is on its way down.
    pub fn is_up(&self) -> bool {
        ["active", "reloading", "deactivating"].contains(&self.active.as_str()) || self.pid != 0
    }

    /// Whether it is up or on its way up.
    pub fn wants_up(&self) -> bool {
        ["active", "reloading", "activating"].contains(&self.active.as_str())
    }

    /// Whether it is started at boot.
    pub fn is_enabled(&self) -> bool {
        self.file.starts_with("enabled")
    }

    /// Whether it must not be started at all.
    pub fn is_masked(&self) -> bool {
        self.load == "masked" || self.file.starts_with("masked")
    }

    /// For how long it is as it is.
    pub fn seconds(&self) -> u64 {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
        self.since.map_or(0, |since| now.saturating_sub(since).as_secs())
    }
}

impl Systemd {
    /// That of this machine, if it runs here. All that is then asked has `left` time in all.
    ///
    /// # Errors
    /// It runs and cannot be reached.
    pub async fn here(left: Duration) -> Result<Option<Systemd>, Failure> {
        if std::env::var_os(BUS).is_none() && !crate::service::place::systemd_runs() {
            return Ok(None);
        }
        let end = Instant::now() + left;
        let systemd = within(left, || "systemd was not reached".into(), Systemd::connect(end)).await?;
        Ok(Some(systemd))
    }

    async fn connect(end: Instant) -> Result<Systemd, Failure> {
        let connection = match Builder::system().build().await {
            Ok(connection) => connection,
            Err(_) if Path::new(PRIVATE).exists() => {
                Systemd::connect_private().await.map_err(|why| failed("systemd was not reached", &why))?
            }
            Err(why) => return Err(failed("the bus of the system was not reached", &why)),
        };
        let manager = ManagerProxy::builder(&connection).cache_properties(CacheProperties::No).build().await;
        let manager = manager.map_err(|why| failed("systemd was not reached", &why))?;
        Ok(Systemd { connection, manager, end })
    }

    async fn connect_private() -> zbus::Result<Connection> {
        Builder::socket(Private(UnixStream::connect(PRIVATE).await?)).p2p().build().await
    }

    /// An answer within what is left of the time.
    async fn ask<T>(&self, undone: &str, answer: impl Future<Output = zbus::Result<T>>) -> Result<T, Failure> {
        let answer = async { answer.await.map_err(|why| failed(undone, &why)) };
        within(self.end.saturating_duration_since(Instant::now()), || undone.into(), answer).await
    }

    /// What it says of a unit; `None` if it knows none of that name.
    ///
    /// # Errors
    /// It refuses or does not answer.
    pub async fn unit(&self, name: &str) -> Result<Option<Unit>, Failure> {
        let look = async {
            let path = self.manager.load_unit(name).await?;
            let unit =
                UnitProxy::builder(&self.connection).path(&path).cache_properties(CacheProperties::No).build().await?;
            let (load, active) = (unit.load_state().await?, unit.active_state().await?);
            let since = match active.as_str() {
                "inactive" | "failed" => unit.inactive_enter_timestamp_monotonic().await?,
                _ => unit.active_enter_timestamp_monotonic().await?,
            };
            let pid = match name.ends_with(".service") && load == "loaded" {
                true => {
                    ServiceProxy::builder(&self.connection)
                        .path(&path)
                        .cache_properties(CacheProperties::No)
                        .build()
                        .await?
                        .main_pid()
                        .await?
                }
                false => 0,
            };
            let since = Some(since).filter(|&since| since != 0).map(Duration::from_micros);
            Ok(Unit { load, active, file: unit.unit_file_state().await?, pid, since })
        };
        let unit = self.ask(&format!("{name} could not be looked at"), look).await?;
        Ok(Some(unit).filter(|unit| unit.load != "not-found" || unit.is_up()))
    }

    /// Does what is asked of a unit.
    ///
    /// # Errors
    /// It is masked, systemd refuses, the job fails, or there is no answer in time.
    pub async fn run(
        &self,
        verb: Verb,
        UnitName(name): &UnitName,
        seen: &Unit,
        if_present: bool,
    ) -> Result<(), Failure> {
        if seen.is_masked() && !(verb == Verb::Stop && seen.is_up()) && verb != Verb::Disable {
            let sentence = format!("{name} is masked, so it was not {}", verb.past());
            if verb == Verb::Stop && if_present {
                println!("{sentence}; nothing of it runs");
                return Ok(());
            }
            return Err(Failure::Permanent(format!("{sentence}; unmask it first: systemctl unmask {name}")));
        }
        match verb {
            Verb::Start => self.start(name).await,
            Verb::Stop => self.stop(name).await,
            Verb::Restart => self.job(Verb::Restart, name).await,
            Verb::Enable => self.enable(name).await,
            Verb::Disable => self.disable(name).await,
        }
    }

    /// Starts a unit and waits for it.
    ///
    /// # Errors
    /// See [`Systemd::run`].
    pub async fn start(&self, name: &str) -> Result<(), Failure> {
        self.job(Verb::Start, name).await
    }

    /// Stops a unit and waits for it.
    ///
    /// # Errors
    /// See [`Systemd::run`].
    pub async fn stop(&self, name: &str) -> Result<(), Failure> {
        self.job(Verb::Stop, name).await
    }

    async fn job(&self, verb: Verb, name: &str) -> Result<(), Failure> {
        let undone = format!("{name} was not {}", verb.past());
        let work = async {
            // systemd tells the end of jobs only to those who subscribed, and a short job ends before its answer is read.
            self.manager.subscribe().await?;
            let mut ended = self.manager.receive_job_removed().await?;
            let job = match verb {
                Verb::Stop => self.manager.stop_unit(name, "replace").await?,
                Verb::Restart => self.manager.restart_unit(name, "replace").await?,
                _ => self.manager.start_unit(name, "replace").await?,
            };
            end_of(&mut ended, job.as_str()).await
        };
        let result = self.ask(&undone, work).await?;
        match result.as_deref() {
            Some("done" | "skipped") => Ok(()),
            Some("timeout" | "canceled") | None => Err(Failure::Temporary(format!(
                "{undone}: systemd's job ended as `{}`",
                result.unwrap_or("lost".into())
            ))),
            Some(other) => {
                Err(Failure::Permanent(format!("{undone}: systemd's job ended as `{other}`; see journalctl -u {name}")))
            }
        }
    }

    /// Has a unit started at boot.
    ///
    /// # Errors
    /// See [`Systemd::run`].
    pub async fn enable(&self, name: &str) -> Result<(), Failure> {
        let work = async { self.manager.enable_unit_files(&[name], false, false).await.map(drop) };
        self.ask(&format!("{name} was not enabled"), work).await?;
        self.reload().await
    }

    /// Has a unit no longer started at boot.
    ///
    /// # Errors
    /// See [`Systemd::run`].
    pub async fn disable(&self, name: &str) -> Result<(), Failure> {
        let work = async { self.manager.disable_unit_files(&[name], false).await.map(drop) };
        self.ask(&format!("{name} was not disabled"), work).await?;
        self.reload().await
    }

    /// Has systemd read its units again.
    ///
    /// # Errors
    /// See [`Systemd::run`].
    pub async fn reload(&self) -> Result<(), Failure> {
        self.ask("the units of systemd were not reloaded", self.manager.reload()).await
    }
}

/// How the job ended; `None` if the bus ended first.
async fn end_of(ended: &mut JobRemovedStream, job: &str) -> zbus::Result<Option<String>> {
    while let Some(signal) = ended.next().await {
        let told = signal.args()?;
        if told.job.as_str() == job {
            return Ok(Some(told.result.clone()));
        }
    }
    Ok(None)
}

fn failed(undone: &str, why: &zbus::Error) -> Failure {
    let denied = |why: &fdo::Error| {
        matches!(
            why,
            fdo::Error::AccessDenied(_) | fdo::Error::AuthFailed(_) | fdo::Error::InteractiveAuthorizationRequired(_)
        )
    };
    match why {
        zbus::Error::FDO(inner) if denied(inner) => Failure::Permanent(format!("{undone}: {why}; become root")),
        zbus::Error::MethodError(name, _, _) if name.starts_with("org.freedesktop.systemd1.") => {
            Failure::Permanent(format!("{undone}: {why}"))
        }
        _ => Failure::Temporary(format!("{undone}: {why}")),
    }
}
