//! Whether the clock of this machine is kept right by somebody.

use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;
use zbus::connection::Builder;
use zbus::proxy::CacheProperties;

/// How long the machine may take to answer.
const ANSWER: Duration = Duration::from_secs(3);
/// systemd-timesyncd makes this file when it has set the clock: systemd-timesyncd.service(8).
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";

/// What is known about the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// It goes by others.
    Synchronised,
    /// It goes by itself, as the kernel says.
    Alone,
    /// Nobody here can say so.
    Unknown,
}

#[zbus::proxy(
    interface = "org.freedesktop.timedate1",
    default_service = "org.freedesktop.timedate1",
    default_path = "/org/freedesktop/timedate1"
)]
trait TimeDate {
    /// The kernel's word, whoever sets the clock: org.freedesktop.timedate1(5).
    #[zbus(property, name = "NTPSynchronized")]
    fn ntp_synchronized(&self) -> zbus::Result<bool>;
}

/// Asks systemd, or looks for the trace of its time daemon.
pub async fn look() -> Clock {
    match timeout(ANSWER, ask()).await {
        Ok(Ok(true)) => Clock::Synchronised,
        _ if Path::new(SYNCHRONIZED).exists() => Clock::Synchronised,
        Ok(Ok(false)) => Clock::Alone,
        Ok(Err(_)) | Err(_) => Clock::Unknown,
    }
}

async fn ask() -> zbus::Result<bool> {
    let connection = Builder::system().build().await?;
    let time = TimeDateProxy::builder(&connection).cache_properties(CacheProperties::No).build().await?;
    time.ntp_synchronized().await
}
