//! The satellite. It follows one file server: runs hooks when the server comes and goes, reports to it while it waits
//! for everybody to let go, and may power its own machine off.
//!
//! | module | what it does |
//! |---|---|
//! | [`machine`] | all decisions about hooks, reports, power and the end of the program. Pure |
//! | [`approach`] | when to try to reach the server. Pure |
//! | [`intent`] | what the journal holds, as values. Pure |
//! | [`follow`] | the one loop that performs them |
//! | [`connect`], [`link`], [`ucspi`] | the link: made by us or by tcpclient, bytes in and out |
//! | [`prove`] | the server proves who it is, if this machine is paired |
//! | [`announce`], [`probe`], [`interface`] | the network beside the link: announcements, questions, our own cable |
//! | [`row`] | one row of hooks |
//! | [`share`] | the shared directory: mount and unmount |
//! | [`journal`], [`leave`] | the disk, and the signals |
//! | [`config`], [`check`] | the settings with their defaults, and what they would lead to |

pub mod announce;
pub mod approach;
pub mod check;
pub mod config;
pub mod connect;
pub mod follow;
pub mod intent;
pub mod interface;
pub mod journal;
pub mod leave;
pub mod link;
pub mod machine;
pub mod probe;
pub mod prove;
pub mod row;
pub mod share;
pub mod ucspi;

use config::{Command, Config, Options};
use follow::World;
use runner::descriptor::{Duplex, keep_inherited_to_ourselves};
use runner::exit::Failure;
use runner::signals::Signals;
use tokio::sync::mpsc::channel;

/// The whole program: which of its forms the flags ask for.
///
/// # Errors
/// The settings or the surroundings cannot be used, or whoever started this program should do so again.
pub fn main(options: &Options) -> Result<(), Failure> {
    // Before anything else is opened: a runtime takes the next free numbers.
    let link = if options.ucspi && options.command.is_none() { Some(ucspi::descriptors()?) } else { None };
    keep_inherited_to_ourselves();
    runner::log::init("fclient");
    match &options.command {
        Some(Command::Check) => return check::run(options),
        Some(Command::Mount(flags)) => return share::mount(options, flags),
        Some(Command::Unmount(flags)) => return share::unmount(options, flags),
        None => (),
    }
    let config = Config::load(options)?;
    let no_loop = |why| Failure::Temporary(format!("cannot start the event loop: {why}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_loop)?;
    runtime.block_on(start(config, link))
}

async fn start(config: Config, link: Option<(std::os::fd::OwnedFd, std::os::fd::OwnedFd)>) -> Result<(), Failure> {
    let link = link.map(|(read, write)| adopted(&config, read, write)).transpose()?;
    let signals = Signals::listen().map_err(|why| Failure::Temporary(format!("signals cannot be heard: {why}")))?;
    let (tell, leave) = channel(4);
    let on_term = config.settings.text("on-term").map(str::to_owned);
    let systemctl = config.settings.text("systemctl").unwrap_or("systemctl").to_owned();
    tokio::spawn(leave::listen(signals, on_term, systemctl, tell));
    follow::run(config, World { leave, link }).await
}

fn adopted(config: &Config, read: std::os::fd::OwnedFd, write: std::os::fd::OwnedFd) -> Result<Duplex, Failure> {
    connect::watch_if_socket(&write, config.data_timeout);
    let duplex = Duplex::new(read, write);
    duplex.map_err(|why| Failure::Permanent(format!("--ucspi needs a link on 6 and 7: {why}")))
}
