//! What the signals of this process ask of it, as words for the machine.

use crate::machine::Leave;
use runner::signals::{Signal, Signals};
use runner::supervisor::{Meaning, meaning_of_term};
use tokio::sync::mpsc::Sender;

/// Listens for ever. SIGTERM is looked into, since a restart must not let go of anything; SIGINT comes from a
/// terminal, where nobody starts this program again.
pub async fn listen(mut signals: Signals, on_term: Option<String>, systemctl: String, leave: Sender<Leave>) {
    loop {
        let asked = match signals.next().await {
            Signal::Terminate => terminate(on_term.as_deref(), &systemctl).await,
            Signal::Interrupt => {
                tracing::info!("interrupted");
                Leave::Shutdown
            }
            Signal::Hangup => {
                tracing::info!("settings are read at the start only; restart this service to read them again");
                continue;
            }
        };
        let _ = leave.send(asked).await;
    }
}

async fn terminate(on_term: Option<&str>, systemctl: &str) -> Leave {
    let verdict = meaning_of_term(on_term, systemctl).await;
    let (leave, meaning) = match verdict.meaning {
        Meaning::Shutdown | Meaning::Reboot => (Leave::Shutdown, "stop"),
        Meaning::Restart => (Leave::Restart, "restart"),
    };
    tracing::info!("told to end; this is a {meaning}: {}", verdict.evidence.join("; "));
    leave
}
