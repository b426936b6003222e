//! Records network cameras into segments in RAM, through every fault of theirs.
//!
//! | module | what it does |
//! |---|---|
//! | [`machine`] | all decisions about segments, evidence and what the house is told. Pure |
//! | [`timeline`], [`pace`] | when pictures were taken, and how many a second there are. Pure |
//! | [`ts`] | the transport stream. Pure |
//! | [`cameras`], [`steady`] | which are recorded, and what changes in their settings and switches. The second one is pure |
//! | [`recorder`] | the loop of one camera |
//! | [`pipeline`] | GStreamer, on threads of its own |
//! | [`segment`] | a file while it is written |
//! | [`ram`] | the budget of RAM, and what has to go |
//! | [`ledger`], [`silence`] | what is written down of each moment; of pictures that do not come. The second one is pure |
//! | [`foreign`] | recordings that are not ours |
//! | [`pressure`] | whether it runs short. Pure |
//! | [`orphans`], [`mend`] | what a dead recorder left behind; names from before the clock was set |
//! | [`presets`] | day and night |
//! | [`live`], [`status`] | pictures and figures for others |
//! | [`house`] | the event bus, for which nothing waits |
//! | [`wall`], [`clock`] | the clocks; whether they are believed, which is told. The second one is pure |
//! | [`config`], [`check`] | the settings with their defaults, and what they would lead to |
//! | [`run`] | the program |

pub mod cameras;
pub mod check;
pub mod clock;
pub mod config;
pub mod foreign;
pub mod house;
pub mod ledger;
pub mod live;
pub mod machine;
pub mod mend;
pub mod orphans;
pub mod pace;
pub mod pipeline;
pub mod presets;
pub mod pressure;
pub mod ram;
pub mod recorder;
pub mod run;
pub mod segment;
pub mod silence;
pub mod status;
pub mod steady;
pub mod timeline;
pub mod ts;
pub mod wall;

use config::{Command, Config, Options};
use runner::exit::Failure;
use std::os::unix::process::CommandExt;

/// Where GStreamer keeps what it knows about its plugins; by default that is in a home, which is on a disk.
const REGISTRY: (&str, &str) = ("GST_REGISTRY", "/run/pistop/gstreamer.registry");

/// The whole program: which of its forms the flags ask for.
///
/// # Errors
/// The settings or the surroundings cannot be used, or whoever started this program should do so again.
pub fn main(options: &Options) -> Result<(), Failure> {
    keep_registry_in_ram()?;
    runner::log::init("camera");
    let no_loop = |why| Failure::Temporary(format!("cannot start the event loop: {why}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_loop)?;
    let ended = match options.command {
        Some(Command::Check) => runtime.block_on(check::run(options)),
        None => runtime.block_on(run::run(Config::load(options)?)),
    };
    // Whatever still waits, such as for the name of a camera, is not waited for.
    runtime.shutdown_background();
    ended
}

/// GStreamer reads its environment when it starts, and a process cannot safely change its own; so it begins once more with another one.
fn keep_registry_in_ram() -> Result<(), Failure> {
    let (variable, path) = REGISTRY;
    if std::env::var_os(variable).is_some() || std::fs::create_dir_all("/run/pistop").is_err() {
        return Ok(());
    }
    let again =
        |program| std::process::Command::new(program).args(std::env::args_os().skip(1)).env(variable, path).exec();
    let why = std::env::current_exe().map(again).unwrap_or_else(|why| why);
    Err(Failure::Temporary(format!(
        "this program cannot begin once more with {variable}={path}: {why}; set it yourself"
    )))
}
