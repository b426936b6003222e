//! The announcer. It tells every machine of the house that this file server is up, and before it goes it lets
//! everybody let go.
//!
//! | module | what it does |
//! |---|---|
//! | [`machine`] | all decisions: who is here, beats, leases, caps, the shutdown. Pure |
//! | [`serve`] | the one loop that performs them |
//! | [`peers`], [`listen`] | sockets: accept, read, write without ever waiting for a slow peer |
//! | [`gate`] | handshakes of links that are to be sealed, and of machines that join |
//! | [`logind`] | the end of our own machine: a delay lock, and what systemd says about it |
//! | [`local`] | the control socket for `pistop` and `--ucspi` children |
//! | [`announce`] | multicast announcements and answers to probes, over UDP |
//! | [`keep`], [`ucspi`], [`relay`] | links that outlive one run of the server: old clients during a restart, children of tcpserver |
//! | [`config`], [`address`] | the settings with their defaults |
//! | [`check`] | what would be done, and what stands in its way |

pub mod address;
pub mod announce;
pub mod check;
pub mod config;
pub mod gate;
pub mod keep;
pub mod listen;
pub mod local;
pub mod logind;
pub mod machine;
pub mod peers;
pub mod relay;
pub mod serve;
pub mod ucspi;

use config::{Command, Config, Options};
use runner::exit::Failure;

/// The whole program: which of its three forms the flags ask for.
pub fn main(options: Options) -> Result<(), Failure> {
    runner::descriptor::keep_inherited_to_ourselves();
    runner::log::init("fserver");
    if let Some(Command::Check) = options.command {
        return check::run(&options);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Failure::Temporary(format!("cannot start the event loop: {why}")))?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        if let Some(control) = options.keep {
            return keep::run(control).await;
        }
        let config = Config::load(&options)?;
        if options.ucspi { ucspi::run(config).await } else { serve::run(serve::open(config)?).await }
    })
}
