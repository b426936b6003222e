//! What a service is made from: a folder named after it, with `run`, `log/run`, the defaults of its `variables/`, perhaps
//! `down`, and perhaps `NAME.service` for systemd. What is there can be added; no list of services is kept anywhere.
//!
//! In the source tree each program has its own in a folder `service/`; a package installs it under the program's name.

use super::content::{Content, Found, Kind};
use runner::exit::Failure;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where packages install them.
pub const INSTALLED: &str = "/usr/share/pistop/services";

/// A service that can be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// Its files by their path inside of the service directory.
    pub files: BTreeMap<String, Content>,
    /// The unit of systemd, if it can run there.
    pub unit: Option<String>,
}

/// A folder of templates.
#[derive(Debug, Clone)]
pub struct Templates(pub PathBuf);

impl Templates {
    /// What can be added, by name; nothing if the folder is not there.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn names(&self) -> Result<Vec<String>, Failure> {
        let entries = match fs::read_dir(&self.0) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|why| unreadable(&self.0, &why))?,
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> =
            names.filter(|name| is_name(name) && self.0.join(name).join("run").is_file()).collect();
        names.sort();
        Ok(names)
    }

    /// The template of that name.
    ///
    /// # Errors
    /// There is none, then those that are there are named; or it cannot be read.
    pub fn read(&self, name: &str) -> Result<Template, Failure> {
        let names = self.names()?;
        if !names.iter().any(|known| known == name) {
            return Err(Failure::Permanent(unknown(name, &names, &self.0)));
        }
        let (folder, mut files) = (self.0.join(name), BTreeMap::new());
        collect(&folder, "", &mut files)?;
        let unit = files.remove(&format!("{name}.service")).map(|unit| unit.text);
        Ok(Template { name: name.into(), files, unit })
    }
}

/// A name that can stand alone as a folder and as a unit.
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@:".contains(&byte);
    !name.is_empty() && !name.starts_with(['.', '-']) && name.bytes().all(plain)
}

fn unknown(name: &str, names: &[String], folder: &Path) -> String {
    match names {
        [] => format!(
            "`{name}` cannot be added: there are no templates in {}; give their folder with --templates or PISTOP_TEMPLATES",
            folder.display()
        ),
        names => format!("`{name}` cannot be added; what can be is {}", names.join(", ")),
    }
}

/// Every file below, by its path; backup copies, dot-files and notes for people are none of the service.
fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Content>) -> Result<(), Failure> {
    for entry in fs::read_dir(folder).map_err(|why| unreadable(folder, &why))? {
        let path = entry.map_err(|why| unreadable(folder, &why))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.starts_with('.') || name.ends_with('~') || name.starts_with("README") {
            continue;
        }
        let inside = format!("{prefix}{name}");
        if path.is_dir() {
            collect(&path, &format!("{inside}/"), files)?;
        } else {
            files.insert(inside, read(&path)?);
        }
    }
    Ok(())
}

/// A link is followed: a template may be put together from links.
fn read(path: &Path) -> Result<Content, Failure> {
    let whole = fs::canonicalize(path).map_err(|why| unreadable(path, &why))?;
    let found = Found::at(&whole).map_err(|why| unreadable(path, &why))?;
    let Some(Found::File(bytes, kind @ (Kind::Plain | Kind::Program))) = found else {
        return Err(Failure::Permanent(format!(
            "{} is no file that belongs in a template; take it out",
            path.display()
        )));
    };
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| Failure::Permanent(format!("{} is no UTF-8 text; write it anew", path.display())))?;
    Ok(Content { text, kind })
}

fn unreadable(path: &Path, why: &io::Error) -> Failure {
    Failure::Permanent(format!("{} cannot be read ({why}); is the package complete?", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for name in ["fserver", "rsync.875", "mpd@kitchen"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".hidden", "a/b", "..", "--x", "a b", "ä"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
