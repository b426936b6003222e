//! The machine's own end, as systemd's logind tells it: we hold a delay lock, so a `poweroff` that somebody types
//! waits for us while everything still runs, and NFS still serves.
//!
//! The lock is given back when everybody has let go, at the latest when logind's patience ends (InhibitDelayMaxSec, 5 s
//! unless configured). Without logind nothing is held, and the end comes as SIGTERM. Source: the D-Bus page of logind,
//! org.freedesktop.login1(5); newer versions also say which kind of end it is, older ones do not.

use futures_util::StreamExt;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender};
use zbus::{Connection, Message, OwnedFd, OwnedVariant, Proxy};

/// How long to wait before logind is looked for again.
const AGAIN: Duration = Duration::from_secs(10);
/// The same for one that has just been there: it starts again, as after an update of its package.
const SOON: Duration = Duration::from_secs(1);
/// No signal comes over a connection that has ended; a new one has to be made.
const BUS_ENDED: &str = "the system bus has ended";
/// How long logind may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// What logind says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// The machine goes down and does not come back by itself.
    GoesDown,
    /// It starts again.
    StartsAgain,
    /// One of the two.
    Goes,
    /// It does not go after all.
    Stays,
}

/// Holds the lock and reports for ever. A word on `let_go` gives the lock back. `patience` is how long we would like to be
/// waited for.
pub async fn watch(patience: Duration, said: Sender<Said>, mut let_go: Receiver<()>) {
    let mut told = false;
    loop {
        let mut held = false;
        let Err(why) = hold(patience, &said, &mut let_go, &mut held).await;
        if held || !told {
            tracing::info!("logind does not hold this machine's end back for us ({why}); the end comes as SIGTERM");
        }
        told = true;
        if said.is_closed() {
            return;
        }
        tokio::time::sleep(if held { SOON } else { AGAIN }).await;
    }
}

enum Never {}

async fn hold(
    patience: Duration,
    said: &Sender<Said>,
    let_go: &mut Receiver<()>,
    held: &mut bool,
) -> Result<Never, String> {
    let bus = in_time(Connection::system()).await?;
    let logind =
        Proxy::new(&bus, "org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager");
    let logind = in_time(logind).await?;
    let mut plain = in_time(logind.receive_signal("PrepareForShutdown")).await?;
    let mut kinds = in_time(logind.receive_signal("PrepareForShutdownWithMetadata")).await?;
    let mut owner = in_time(logind.receive_owner_changed()).await?;
    let mut lock = Some(take(&logind).await?);
    *held = true;
    tracing::info!("logind holds the end of this machine back until everybody has let go");
    compare(&logind, patience).await;
    let mut goes = false;
    loop {
        let heard = tokio::select! {
            message = kinds.next() => with_kind(&message.ok_or(BUS_ENDED)?),
            message = plain.next() => without_kind(&message.ok_or(BUS_ENDED)?),
            change = owner.next() => match change.ok_or(BUS_ENDED)? {
                None => return Err("it has ended".into()),
                Some(_) => continue,
            },
            // A word that comes when the machine stays after all is about the end that was called off.
            Some(()) = let_go.recv() => {
                lock = lock.filter(|_| !goes);
                continue;
            }
        };
        let Some(heard) = heard else { continue };
        goes = heard != Said::Stays;
        if !goes && lock.is_none() {
            lock = Some(take(&logind).await?);
        }
        let _ = said.send(heard).await;
    }
}

async fn take(logind: &Proxy<'_>) -> Result<OwnedFd, String> {
    let why = "lets every machine of the house unmount first";
    in_time(logind.call("Inhibit", &("shutdown", "fserver", why, "delay"))).await
}

/// Says it in time if logind will not wait for as long as we would like.
async fn compare(logind: &Proxy<'_>, patience: Duration) {
    let Ok(most) = in_time(logind.get_property::<u64>("InhibitDelayMaxUSec")).await.map(Duration::from_micros) else {
        return;
    };
    if most < patience {
        tracing::warn!(
            "logind waits {} s and not {}; set InhibitDelayMaxSec={} in /etc/systemd/logind.conf.d/50-pistop.conf",
            most.as_secs(),
            patience.as_secs(),
            patience.as_secs()
        );
    }
}

async fn in_time<T>(answer: impl Future<Output = zbus::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(ANSWER, answer).await {
        Ok(answer) => answer.map_err(|why| why.to_string()),
        Err(_) => Err(format!("no answer in {} s", ANSWER.as_secs())),
    }
}

fn without_kind(message: &Message) -> Option<Said> {
    let goes: bool = message.body().deserialize().ok()?;
    Some(if goes { Said::Goes } else { Said::Stays })
}

fn with_kind(message: &Message) -> Option<Said> {
    let body = message.body();
    let (goes, facts): (bool, HashMap<String, OwnedVariant>) = body.deserialize().ok()?;
    let kind = facts.get("type").and_then(|kind| kind.downcast_ref::<&str>().ok());
    Some(if goes { kind.map_or(Said::Goes, of_kind) } else { Said::Stays })
}

fn of_kind(kind: &str) -> Said {
    match kind {
        "reboot" | "kexec" | "soft-reboot" => Said::StartsAgain,
        "power-off" | "halt" => Said::GoesDown,
        _ => Said::Goes,
    }
}
