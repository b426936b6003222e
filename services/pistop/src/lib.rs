//! The control command: asks and tells the running fserver over its local socket.
//!
//! | module | what it does |
//! |---|---|
//! | [`config`] | verbs, flags, and where the socket is |
//! | [`ask`] | the connection: one request, its replies |
//! | [`status`], [`shutdown`], [`why`] | one verb each: the request, and its answer for people or as JSON |
//! | [`unmount`] | a disk of this machine: nobody is asked but the kernel |
//! | [`words`] | durations and tables for people |

pub mod ask;
pub mod config;
pub mod shutdown;
pub mod status;
pub mod unmount;
pub mod why;
pub mod words;

use config::{Options, Verb};
use runner::exit::Failure;

/// The whole program.
pub fn main(options: Options) -> Result<(), Failure> {
    let socket = options.socket()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Failure::Temporary(format!("cannot start the event loop: {why}")))?;
    runtime.block_on(async {
        match options.verb {
            Verb::Status { json } => status::run(&socket, json).await,
            Verb::Shutdown(flags) => shutdown::run(&socket, flags).await,
            Verb::Why { host, json } => why::run(&socket, &host, json).await,
            Verb::Unmount(flags) => unmount::run(&flags),
            Verb::Drill { deadline, json } => shutdown::drill(&socket, deadline, json).await,
        }
    })
}
