//! The three signals that a pistop program answers, one after another. What SIGTERM means is for
//! [`crate::supervisor`] to find out.

use std::io;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// What somebody asks of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: end in order.
    Terminate,
    /// SIGINT: the same, from a terminal.
    Interrupt,
    /// SIGHUP: what it means is the program's own.
    Hangup,
}

/// Hears the signals of the process from its making on; until then they have their usual deadly effect.
#[derive(Debug)]
pub struct Signals {
    terminate: Stream,
    interrupt: Stream,
    hangup: Stream,
}

impl Signals {
    /// Begins to listen. Needs a running tokio runtime with IO.
    ///
    /// # Errors
    /// The kernel refused a handler or a descriptor for it.
    pub fn listen() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal. Nothing is lost if the future is dropped, but several of a kind may be heard as one.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            biased;
            Some(()) = self.terminate.recv() => Signal::Terminate,
            Some(()) = self.interrupt.recv() => Signal::Interrupt,
            Some(()) = self.hangup.recv() => Signal::Hangup,
            else => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::raise;

    #[tokio::test]
    async fn each_signal_is_heard_by_its_name() {
        use nix::sys::signal::Signal::{SIGHUP, SIGINT, SIGTERM};
        let mut signals = Signals::listen().unwrap();
        for (sent, heard) in [
            (SIGTERM, Signal::Terminate),
            (SIGINT, Signal::Interrupt),
            (SIGHUP, Signal::Hangup),
            (SIGTERM, Signal::Terminate),
        ] {
            raise(sent).unwrap();
            assert_eq!(signals.next().await, heard);
        }
    }
}
