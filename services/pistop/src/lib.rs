//! The control command: asks and tells the running fserver over its local socket.
//!
//! | module | what it does |
//! |---|---|
//! | [`config`] | verbs, flags, and where the socket is |
//! | [`ask`] | the connection: one request, its replies |
//! | [`status`], [`shutdown`], [`why`] | one verb each: the request, and its answer for people or as JSON |
//! | [`pishutdown`] | the second program: shutdown(8) with the two-phase shutdown before it |
//! | [`cut_power`], [`usb`] | takes the power from the disks of a USB hub, once nothing uses them |
//! | [`display`] | a line for the display, a notice for the desktop |
//! | [`child`] | an outside command with a deadline |
//! | [`words`] | durations and tables for people |

pub mod ask;
pub mod child;
pub mod config;
pub mod cut_power;
pub mod display;
pub mod pishutdown;
pub mod shutdown;
pub mod status;
pub mod usb;
pub mod why;
pub mod words;

use config::{Options, Verb};
use runner::exit::Failure;

/// The whole program.
pub fn main(options: Options) -> Result<(), Failure> {
    // Not every verb needs it, so what is wrong with it matters only to those that do.
    let socket = options.socket();
    let variables = options.variables;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Failure::Temporary(format!("cannot start the event loop: {why}")))?;
    runtime.block_on(async {
        match options.verb {
            Verb::Status { json } => status::run(&socket?, json).await,
            Verb::Shutdown(flags) => shutdown::run(&socket?, flags).await,
            Verb::Why { host, json } => why::run(&socket?, &host, json).await,
            Verb::Drill { deadline, json } => shutdown::drill(&socket?, deadline, json).await,
            Verb::CutPower(flags) => cut_power::run(&flags, variables),
            Verb::Display(flags) => display::display(&flags, variables),
            Verb::Notify(flags) => display::notify(&flags, variables),
        }
    })
}
