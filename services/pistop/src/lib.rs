//! The control command: asks and tells the running fserver and the event bus over their local sockets, and looks after services.
//!
//! | module | what it does |
//! |---|---|
//! | [`config`] | verbs, flags, and where the socket is |
//! | [`ask`] | the connection: one request, its replies |
//! | [`status`], [`shutdown`], [`why`] | one verb each: the request, and its answer for people or as JSON |
//! | [`pair`], [`join`], [`peers`] | pairs machines: on the server, on the machine; who is paired |
//! | [`door`] | the way to the event bus |
//! | [`events`], [`publish`], [`request`], [`queue`] | one verb of the event bus each |
//! | [`doctor`] | what is wrong with this machine's part of it, with its uploads and its disk |
//! | [`unmount`] | a disk of this machine: nobody is asked but the kernel |
//! | [`pishutdown`] | the second program: shutdown(8) with the two-phase shutdown before it |
//! | [`cut_power`], [`usb`] | takes the power from the disks of a USB hub, once nothing uses them |
//! | [`display`] | a line for the display, a notice for the desktop |
//! | [`service`] | makes service directories and units, and takes them away |
//! | [`drive`] | starts, stops and shows services of daemontools and of systemd |
//! | [`logs`] | what services have logged |
//! | [`cam`] | cameras |
//! | [`words`], [`local_time`] | durations and tables for people |

pub mod ask;
pub mod cam;
pub mod config;
pub mod cut_power;
pub mod display;
pub mod doctor;
pub mod door;
pub mod drive;
pub mod events;
pub mod join;
pub mod local_time;
pub mod logs;
pub mod pair;
pub mod peers;
pub mod pishutdown;
pub mod publish;
pub mod queue;
pub mod request;
pub mod service;
pub mod shutdown;
pub mod status;
pub mod unmount;
pub mod usb;
pub mod why;
pub mod words;

use config::{Options, StatusFlags, Verb};
use drive::{DriveFlags, Verb as Drive};
use runner::exit::Failure;

/// The whole program.
pub fn main(options: Options) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Failure::Temporary(format!("cannot start the event loop: {why}")))?;
    let result = runtime.block_on(run(options));
    // Whatever hangs, such as a bus that says nothing, must not hold up the end.
    runtime.shutdown_background();
    result
}

async fn run(options: Options) -> Result<(), Failure> {
    let socket = || options.socket();
    let door = || options.door();
    match &options.verb {
        Verb::Status(flags) if flags.names.is_empty() => status::run(&socket()?, flags.json).await,
        Verb::Status(StatusFlags { names, how, json }) => {
            drive::status(&DriveFlags { names: names.clone(), how: how.clone() }, *json).await
        }
        Verb::Shutdown(flags) => shutdown::run(&socket()?, flags).await,
        Verb::Why { host, json } => why::run(&socket()?, host, *json).await,
        Verb::Drill { deadline, json } => shutdown::drill(&socket()?, *deadline, *json).await,
        Verb::Events(flags) => events::run(&door()?, flags).await,
        Verb::Publish(flags) => publish::run(door, flags).await,
        Verb::Request(flags) => request::run(&door()?, flags).await,
        Verb::Queue { json } => queue::run(&door()?, *json).await,
        Verb::Doctor(flags) => doctor::run(&door()?, flags).await,
        Verb::Pair(flags) => match &flags.server {
            Some(server) => join::run(server, flags, options.variables.clone()).await,
            None => pair::run(&socket()?, flags).await,
        },
        Verb::Peers { verb, json } => peers::run(&socket()?, verb.as_ref(), *json).await,
        Verb::Unmount(flags) => unmount::run(flags),
        Verb::CutPower(flags) => cut_power::run(flags, options.variables.clone()),
        Verb::Display(flags) => display::display(flags, options.variables.clone()),
        Verb::Notify(flags) => display::notify(flags, options.variables.clone()),
        Verb::Service { verb } => service::run(verb).await,
        Verb::Start(flags) => drive::run(Drive::Start, flags).await,
        Verb::Stop(flags) => drive::run(Drive::Stop, flags).await,
        Verb::Restart(flags) => drive::run(Drive::Restart, flags).await,
        Verb::Enable(flags) => drive::run(Drive::Enable, flags).await,
        Verb::Disable(flags) => drive::run(Drive::Disable, flags).await,
        Verb::Logs(flags) => logs::run(flags).await,
        Verb::Cam(flags) => cam::run(flags, options.variables.clone(), &door()?).await,
    }
}
