//! What every program of the house shares: how it starts, how it lives, how it ends. Nothing here decides about
//! presence or shutdowns; that is `protocol`, and each program's own `machine.rs`.
//!
//! | | module | what it settles |
//! |---|---|---|
//! | start | [`settings`], [`envdir`], [`envfile`] | what the program was told, from five places, and what its hooks inherit |
//! | | [`log`], [`limits`], [`descriptor`] | its log lines, its open files, the descriptors it was given |
//! | | [`check`] | what would be done, and what stands in its way |
//! | life | [`clock`], [`retry`] | the time that its machines see, and how long to wait before trying again |
//! | | [`state`] | what it keeps over a power cut |
//! | | [`nearest`] | which name somebody meant who wrote another one |
//! | | [`framing`] | values over a local socket |
//! | | [`hooks`] | which executables an event has, and running them |
//! | | [`supervise`], [`tai64n`] | what daemontools keeps beside a service, and its instants |
//! | end | [`signals`], [`supervisor`] | what it is asked, and what that means |
//! | | [`ready`], [`exit`] | what it tells systemd and whoever started it |

pub mod check;
pub mod clock;
pub mod descriptor;
pub mod envdir;
pub mod envfile;
pub mod exit;
pub mod framing;
pub mod hooks;
pub mod limits;
pub mod log;
mod nearest;
pub mod ready;
pub mod retry;
pub mod settings;
pub mod signals;
pub mod state;
pub mod supervise;
pub mod supervisor;
pub mod tai64n;

pub use nearest::nearest;
