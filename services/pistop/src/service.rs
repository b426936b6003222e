//! `pistop service add|del|list`: makes service directories and units from templates, and takes them away.
//!
//! | module | what it does |
//! |---|---|
//! | [`flags`] | the command line, and the variables that it sets |
//! | [`template`], [`content`] | what a service is made from |
//! | [`manifest`] | what was written into a service directory the last time |
//! | [`decide`], [`plan`] | pure: which files change, and the whole plan |
//! | [`perform`] | does the plan; a new directory appears whole or not at all |
//! | [`remove`] | takes a service away, and saves what somebody had edited |
//! | [`list`] | what can be added and what is there |
//! | [`place`] | service directories and who runs them |

pub mod add;
pub mod content;
pub mod decide;
pub mod flags;
pub mod list;
pub mod manifest;
pub mod perform;
pub mod place;
pub mod plan;
pub mod remove;
pub mod template;

use flags::ServiceVerb;
use nix::fcntl::{Flock, FlockArg};
use runner::exit::Failure;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Does it.
pub async fn run(verb: &ServiceVerb) -> Result<(), Failure> {
    match verb {
        ServiceVerb::Add(flags) => add::run(flags).await,
        ServiceVerb::Del(flags) => remove::run(flags).await,
        ServiceVerb::List(flags) => list::run(flags).await,
    }
}

/// Nobody else adds or removes in this directory as long as this is held.
fn alone_in(directory: &Path) -> Result<Flock<File>, Failure> {
    let folder = fs::create_dir_all(directory).and_then(|()| File::open(directory));
    let folder = folder.map_err(|why| refused(directory, &why))?;
    Flock::lock(folder, FlockArg::LockExclusiveNonblock).map_err(|_| {
        Failure::Temporary(format!("another pistop is at work in {}; wait for its end", directory.display()))
    })
}

/// What the disk refused, with the remedy.
fn refused(path: &Path, why: &io::Error) -> Failure {
    match why.kind() {
        io::ErrorKind::PermissionDenied => Failure::Permanent(format!("{}: {why}; become root", path.display())),
        io::ErrorKind::ReadOnlyFilesystem => {
            Failure::Permanent(format!("{}: {why}; make the file system writable", path.display()))
        }
        _ => Failure::Temporary(format!("{}: {why}; mend it and try again", path.display())),
    }
}
