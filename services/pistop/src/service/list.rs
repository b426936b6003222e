//! `pistop service list`: what can be added, what is there, who runs it and how it is.

use super::flags::ListFlags;
use super::manifest::Manifest;
use super::place::Supervisor;
use super::refused;
use super::template::is_name;
use crate::drive::name::Directory;
use crate::drive::state::State;
use crate::drive::systemd::Systemd;
use crate::words::table;
use runner::exit::Failure;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

/// How long a list waits for systemd.
const ANSWER: Duration = Duration::from_secs(5);

/// One line.
struct Row {
    name: String,
    /// There is a template of that name.
    known: bool,
    supervisor: Option<Supervisor>,
    /// pistop made it.
    ours: bool,
    state: String,
}

/// Prints the list.
pub async fn run(flags: &ListFlags) -> Result<(), Failure> {
    let directory = flags.place.directory();
    let templates = flags.from.templates().names()?;
    let there = services(&directory).map_err(|why| refused(&directory, &why))?;
    let mut rows = Vec::new();
    for name in templates.iter().chain(&there).collect::<BTreeSet<_>>() {
        rows.push(row(&directory, name, templates.contains(name)).await);
    }
    if flags.json {
        println!("{}", json!(rows.iter().map(Row::json).collect::<Vec<_>>()));
    } else {
        let head = ["service", "run by", "made by", "state"].map(String::from).to_vec();
        print!("{}", table(&std::iter::once(head).chain(rows.iter().map(Row::cells)).collect::<Vec<_>>()));
    }
    Ok(())
}

/// What svscan would see, and what systemd runs from here.
fn services(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter(|name| is_name(name) && directory.join(name).is_dir()).collect())
}

async fn row(directory: &Path, name: &str, known: bool) -> Row {
    let manifest = Manifest::read(&directory.join(name));
    let ours = matches!(manifest, Ok(Some(_)));
    let found = match &manifest {
        Err(why) => Some((None, why.to_string())),
        Ok(Some(manifest)) if manifest.supervisor == Supervisor::Systemd => {
            Some((Some(Supervisor::Systemd), systemd_state(name).await))
        }
        Ok(_) => Directory::find(directory, name).ok().flatten().map(|service| {
            let state =
                State::of_directory(&service).map_or_else(|why| why.to_string(), |state| state.sentence().to_owned());
            (Some(Supervisor::Daemontools), state)
        }),
    };
    let (supervisor, state) =
        found.unwrap_or_else(|| (None, if known { "can be added".into() } else { "has no run".into() }));
    Row { name: name.into(), known, supervisor, ours, state }
}

async fn systemd_state(name: &str) -> String {
    let unit = format!("{name}.service");
    let look = async {
        let Some(systemd) = Systemd::here(ANSWER).await? else { return Ok("systemd does not run".into()) };
        let state = systemd.unit(&unit).await?.map(|seen| State::of_unit(&unit, &seen).sentence().to_owned());
        Ok(state.unwrap_or_else(|| "has no unit".into()))
    };
    look.await.unwrap_or_else(|why: Failure| why.to_string())
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let supervisor = self.supervisor.map_or("-".into(), |supervisor| supervisor.to_string());
        let maker = match (self.ours, self.supervisor) {
            (true, _) => "pistop",
            (false, Some(_)) => "hand",
            (false, None) => "-",
        };
        vec![self.name.clone(), supervisor, maker.into(), self.state.clone()]
    }

    fn json(&self) -> Value {
        json!({
            "service": self.name,
            "template": self.known,
            "supervisor": self.supervisor,
            "ours": self.ours,
            "state": self.state,
        })
    }
}
