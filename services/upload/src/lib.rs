//! Brings recordings to S3-compatible storage: the newest and what is marked first, no faster than it may, checked, and deleted here only when
//! it is safe there.
//!
//! | module | what it does |
//! |---|---|
//! | [`machine`] | what is sent when, and what holds everything up. Pure |
//! | [`trouble`] | what an answer of the storage means, and the remedy. Pure |
//! | [`timetable`], [`shaper`] | how fast it may go, and who comes first. Pure |
//! | [`key`], [`manifest`], [`hours`] | where things lie, what an hour holds, when that is written down. Pure |
//! | [`run`] | the one loop |
//! | [`watch`] | the directory of segments |
//! | [`deliver`] | one segment on its way |
//! | [`ledger`] | what became of each segment |
//! | [`pacer`] | the bucket of tokens, and a body that asks it |
//! | [`store`], [`doctor`] | the storage, and what is wrong with it |
//! | [`teller`] | facts for the house |
//! | [`config`], [`credentials`] | the settings with their defaults, and the key |

pub mod config;
pub mod credentials;
pub mod deliver;
pub mod doctor;
pub mod hours;
pub mod key;
pub mod ledger;
pub mod machine;
pub mod manifest;
pub mod pacer;
pub mod run;
pub mod shaper;
pub mod store;
pub mod teller;
pub mod timetable;
pub mod trouble;
pub mod watch;

use config::{Command, Config, Options};
use runner::check::usual;
use runner::exit::Failure;

/// The whole program: which of its forms the flags ask for.
///
/// # Errors
/// The settings or the surroundings cannot be used.
pub fn main(options: &Options) -> Result<(), Failure> {
    let mut options = options.clone();
    if options.command.is_some() {
        options.config = usual("upload", options.config.as_ref(), options.variables.as_ref());
    }
    let config = Config::load(&options)?;
    let no_loop = |why| Failure::Temporary(format!("cannot start the event loop: {why}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_loop)?;
    let result = match &options.command {
        Some(Command::Doctor(flags)) => runtime.block_on(doctor::run(&config, flags)),
        None => {
            runner::log::init("upload");
            runtime.block_on(run::run(config))
        }
    };
    // A name server that says nothing must not hold up the end.
    runtime.shutdown_background();
    result
}
