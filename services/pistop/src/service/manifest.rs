//! What we wrote into a service directory, kept in it as a dot-file: by this an edit is told from what came from us. It
//! holds the texts themselves, so that it needs no checksums and a person can read it.

use super::decide::{Files, Written};
use super::place::Supervisor;
use runner::exit::Failure;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Its name. svscan and envdir pass over names with a dot.
pub const NAME: &str = ".pistop-manifest";

/// What we wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Who runs the service.
    pub supervisor: Supervisor,
    /// It was started once, or was meant not to be; whoever stopped or disabled it since then is not overruled.
    pub begun: bool,
    /// Every file.
    pub files: Files<Written>,
}

impl Manifest {
    /// That of a service directory, if it is ours.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn read(service: &Path) -> Result<Option<Manifest>, Failure> {
        let path = service.join(NAME);
        let text = match fs::read_to_string(&path) {
            Err(why) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&why.kind()) => {
                return Ok(None);
            }
            text => text.map_err(|why| damaged(&path, &why))?,
        };
        serde_json::from_str(&text).map(Some).map_err(|why| damaged(&path, &why))
    }

    /// Its text.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and flags are JSON") + "\n"
    }

    /// The units of systemd that we wrote.
    pub fn units(&self) -> impl Iterator<Item = PathBuf> {
        self.files.keys().filter(|path| path.starts_with('/')).map(PathBuf::from)
    }
}

fn damaged(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    let remedy = "remove it, then everything in the service directory counts as your own";
    Failure::Permanent(format!("{} cannot be used ({why}); {remedy}", path.display()))
}
