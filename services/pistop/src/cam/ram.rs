//! `pistop cam lsram`: what lies in RAM, camera by camera, and how much more there may be.

use super::{Cameras, Look};
use crate::local_time::Zone;
use crate::words::{out, size, table};
use runner::exit::Failure;
use segments::folder::Bare;
use segments::{Contents, Found, Held};
use serde_json::{Value, json};
use std::io;
use std::path::Path;
use std::time::Duration;

impl Cameras {
    /// What lies in a camera's folder.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn contents(&self, name: &str) -> Result<Contents, Failure> {
        let folder = self.ram_dir.join(name);
        segments::read(&folder).map_err(|why| refused(&folder, &why))
    }
}

/// What the file system refused, with the remedy.
pub fn refused(place: &Path, why: &io::Error) -> Failure {
    match why.kind() {
        io::ErrorKind::PermissionDenied => Failure::Permanent(format!("{}: {why}; become root", place.display())),
        _ => Failure::Temporary(format!("{}: {why}; is RAM_DIR right?", place.display())),
    }
}

/// Prints it.
///
/// # Errors
/// No such camera, or something cannot be read.
pub fn run(cameras: &Cameras, look: &Look) -> Result<(), Failure> {
    let names = cameras.meant(&look.names)?;
    let all = names.iter().map(|name| Ok((name, cameras.contents(name)?))).collect::<Result<Vec<_>, Failure>>()?;
    let cap = cameras.status()?.map(|status| status.ram_cap);
    if look.json {
        let cameras: Vec<Value> = all.iter().map(|(name, contents)| as_json(name, contents)).collect();
        return out(&format!("{}\n", json!({"cameras": cameras, "ram-cap": cap})));
    }
    let zone = Zone::local();
    let mut text = String::new();
    for (name, contents) in &all {
        text += &format!("# {name}: {}\n{}", cameras.ram_dir.join(name).display(), people(contents, &zone));
    }
    let bytes = size(all.iter().map(|(_, contents)| contents.bytes()).sum());
    out(&match cap {
        Some(cap) => format!("{text}total {bytes} of {}\n", size(cap)),
        None => format!("{text}total {bytes}\n"),
    })
}

fn people(contents: &Contents, zone: &Zone) -> String {
    let closed = contents.closed.iter().map(|found| closed(found, zone));
    let open = contents.parts.iter().map(|part| bare(part, "being recorded, or an orphan", zone));
    let unlabelled = contents.unlabelled.iter().map(|bare_one| bare(bare_one, "no label", zone));
    let foreign = contents.foreign.iter().filter(|name| !name.starts_with('.')).map(|name| foreign(name));
    let rows: Vec<Vec<String>> = closed.chain(open).chain(unlabelled).chain(foreign).collect();
    if rows.is_empty() {
        return "nothing\n".into();
    }
    let head = ["begins", "length", "size", "ends by", "is", "file"].map(str::to_owned).to_vec();
    table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

/// The words of a label are those of its JSON.
fn word(value: impl serde::Serialize) -> String {
    json!(value).as_str().unwrap_or_default().to_owned()
}

fn closed(found: &Found, zone: &Zone) -> Vec<String> {
    let label = &found.label;
    let told = [(label.marked, "evidence"), (label.adopted, "adopted"), (Held::is_held(&found.path), "on its way")];
    let told: Vec<&str> = told.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
    vec![
        zone.seconds(Duration::from_millis(label.start_unix_ms)),
        format!("{:.1} s", label.duration_ms as f64 / 1000.0),
        size(found.bytes),
        word(label.reason),
        if told.is_empty() { "-".into() } else { told.join(", ") },
        found.name.segment(),
    ]
}

fn bare(bare: &Bare, what: &str, zone: &Zone) -> Vec<String> {
    let file = bare.path.file_name().map(|name| name.to_string_lossy().into_owned());
    let start = zone.seconds(Duration::from_millis(bare.name.start_unix_ms()));
    vec![start, "-".into(), size(bare.bytes), "-".into(), what.into(), file.unwrap_or_default()]
}

fn foreign(name: &str) -> Vec<String> {
    ["-", "-", "-", "-", "not ours", name].map(str::to_owned).to_vec()
}

fn as_json(name: &str, contents: &Contents) -> Value {
    let closed: Vec<Value> = contents
        .closed
        .iter()
        .map(|found| {
            json!({"file": found.name.segment(), "bytes": found.bytes, "held": Held::is_held(&found.path), "label": found.label})
        })
        .collect();
    let files = |all: &[Bare]| {
        all.iter().map(|bare| json!({"name": bare.name.to_string(), "bytes": bare.bytes})).collect::<Vec<_>>()
    };
    json!({
        "camera": name,
        "bytes": contents.bytes(),
        "closed": closed,
        "open": files(&contents.parts),
        "without-label": files(&contents.unlabelled),
        "foreign": contents.foreign,
    })
}
