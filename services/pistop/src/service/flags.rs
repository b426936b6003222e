//! The command line of `pistop service`, and the variables that it sets.

use super::content::Content;
use super::decide::{Files, Written};
use super::place::Asked;
use super::template::INSTALLED;
use clap::{Args, Subcommand};
use nix::unistd::User;
use runner::exit::Failure;
use std::path::PathBuf;
use std::time::Duration;

/// What to do with service directories.
#[derive(Debug, Subcommand)]
pub enum ServiceVerb {
    /// Make a service, or bring it up to date; what somebody edited is kept
    Add(Box<AddFlags>),
    /// Stop a service and take it away; its logs stay
    Del(DelFlags),
    /// What can be added, what is there, and how it is
    List(ListFlags),
}

/// Where services are.
#[derive(Debug, Clone, Args)]
pub struct Where {
    /// The directory of services [default: /service if it is there, or else /etc/service]
    #[arg(long, value_name = "DIR")]
    pub servicedir: Option<PathBuf>,
}

impl Where {
    /// The directory, whole, so that it means the same to everybody.
    pub fn directory(&self) -> PathBuf {
        let given = self.servicedir.clone().unwrap_or_else(super::place::directory);
        std::path::absolute(&given).unwrap_or(given)
    }
}

/// Where templates are.
#[derive(Debug, Clone, Args)]
pub struct From {
    /// The folder of templates, one folder each; otherwise the variable PISTOP_TEMPLATES, or /usr/share/pistop/services
    #[arg(long, value_name = "DIR")]
    templates: Option<PathBuf>,
}

impl From {
    /// The folder.
    pub fn templates(&self) -> super::template::Templates {
        let variable = || std::env::var_os("PISTOP_TEMPLATES").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        super::template::Templates(self.templates.clone().or_else(variable).unwrap_or_else(|| INSTALLED.into()))
    }
}

/// The flags of `add`.
#[derive(Debug, Clone, Args)]
pub struct AddFlags {
    /// Which one; `pistop service list` shows what there is
    pub name: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Where,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub from: From,
    /// Who runs it
    #[arg(long, value_enum, default_value = "auto")]
    pub supervisor: Asked,
    /// Where logs are kept under daemontools, in a folder of the service's name [default: /var/log/svc]
    #[arg(long, value_name = "DIR")]
    pub logdir: Option<PathBuf>,
    /// Where the unit is written under systemd
    #[arg(long, value_name = "DIR", default_value = "/etc/systemd/system")]
    pub unitdir: PathBuf,
    /// Seconds to wait for systemd
    #[arg(long, value_name = "S", value_parser = crate::config::seconds, default_value = "60")]
    pub deadline: Duration,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub settings: SettingFlags,
}

/// The flags that set a variable. An empty value takes the variable away.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingFlags {
    /// USER, and HOME as that user has it
    #[arg(long)]
    user: Option<String>,
    /// HOST: for fclient the server, for fserver the address to listen on
    #[arg(long)]
    host: Option<String>,
    /// PORT
    #[arg(long)]
    port: Option<u16>,
    /// MDRIVE: the shared directory
    #[arg(long, value_name = "DIR")]
    mdrive: Option<String>,
    /// LCD_HOST: the host with the display
    #[arg(long, value_name = "HOST")]
    lcdhost: Option<String>,
    /// LCD_PORT
    #[arg(long, value_name = "PORT")]
    lcdport: Option<u16>,
    /// LCD_FIFO: the display of this machine
    #[arg(long, value_name = "PATH")]
    lcdfifo: Option<String>,
    /// NOTIFY_HOST: the host that shows notices
    #[arg(long, value_name = "HOST")]
    notifyhost: Option<String>,
    /// NOTIFY_PORT
    #[arg(long, value_name = "PORT")]
    notifyport: Option<u16>,
    /// NOTIFY_FIFO: notices on this machine
    #[arg(long, value_name = "PATH")]
    notifyfifo: Option<String>,
    /// Any other variable (may be given more than once)
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
}

impl SettingFlags {
    /// The files that are asked for.
    ///
    /// # Errors
    /// An unknown user, or what cannot be a variable.
    pub fn files(&self) -> Result<Files<Written>, Failure> {
        let number = |port: Option<u16>| port.map(|port| port.to_string());
        let named = [
            ("HOST", self.host.clone()),
            ("PORT", number(self.port)),
            ("MDRIVE", self.mdrive.clone()),
            ("LCD_HOST", self.lcdhost.clone()),
            ("LCD_PORT", number(self.lcdport)),
            ("LCD_FIFO", self.lcdfifo.clone()),
            ("NOTIFY_HOST", self.notifyhost.clone()),
            ("NOTIFY_PORT", number(self.notifyport)),
            ("NOTIFY_FIFO", self.notifyfifo.clone()),
        ];
        let mut all: Vec<(String, String)> =
            self.user.as_deref().map(user).transpose()?.into_iter().flatten().collect();
        all.extend(named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        for text in &self.set {
            all.push(assignment(text)?);
        }
        all.into_iter().map(|(name, value)| file(name, &value)).collect()
    }
}

fn user(name: &str) -> Result<Vec<(String, String)>, Failure> {
    let unknown = |why: String| Failure::Permanent(format!("--user {name}: {why}; choose a user of this machine"));
    let user = User::from_name(name).map_err(|why| unknown(why.to_string()))?;
    let home = user.ok_or_else(|| unknown("there is no such user".into()))?.dir;
    Ok(vec![("USER".into(), name.into()), ("HOME".into(), home.display().to_string())])
}

fn assignment(text: &str) -> Result<(String, String), Failure> {
    let plain = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match text.split_once('=') {
        Some((name, value)) if plain(name) => Ok((name.into(), value.into())),
        _ => Err(Failure::Permanent(format!("--set {text}: write NAME=VALUE, with a NAME of letters, digits and _"))),
    }
}

fn file(name: String, value: &str) -> Result<(String, Written), Failure> {
    if value.contains(['\n', '\0']) {
        return Err(Failure::Permanent(format!("{name}: a value is one line; take the line break out")));
    }
    let text = if value.is_empty() { String::new() } else { format!("{value}\n") };
    Ok((format!("variables/{name}"), Written { content: Content::plain(text), by_flag: true }))
}

/// The flags of `del`.
#[derive(Debug, Clone, Args)]
pub struct DelFlags {
    /// Which one
    pub name: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Where,
    /// Where edited files are saved, in a folder with the service's name and the date
    #[arg(long, value_name = "DIR", default_value = "/var/lib/pistop/removed")]
    pub keepdir: PathBuf,
    /// Seconds to wait for its end
    #[arg(long, value_name = "S", value_parser = crate::config::seconds, default_value = "60")]
    pub deadline: Duration,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// The flags of `list`.
#[derive(Debug, Clone, Args)]
pub struct ListFlags {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Where,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub from: From,
    /// For programs
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(flags: &SettingFlags) -> Vec<(String, String)> {
        flags.files().unwrap().into_iter().map(|(path, file)| (path, file.content.text)).collect()
    }

    #[test]
    fn flags_become_files() {
        let flags = SettingFlags {
            user: Some("root".into()),
            lcdport: Some(1806),
            mdrive: Some(String::new()),
            set: vec!["UPGRADE=a b".into()],
            ..SettingFlags::default()
        };
        let expected =
            [("HOME", "/root\n"), ("LCD_PORT", "1806\n"), ("MDRIVE", ""), ("UPGRADE", "a b\n"), ("USER", "root\n")];
        assert_eq!(texts(&flags), expected.map(|(name, text)| (format!("variables/{name}"), text.to_owned())));
    }

    #[test]
    fn what_cannot_be_a_variable_is_refused() {
        let why = |flags: SettingFlags| flags.files().unwrap_err().to_string();
        let set = |text: &str| SettingFlags { set: vec![text.into()], ..SettingFlags::default() };
        for text in ["A", "=x", "1A=x", "../A=x", "A B=x"] {
            assert!(why(set(text)).contains("write NAME=VALUE"), "{text}");
        }
        assert!(why(set("A=x\ny")).contains("one line"));
        let nobody = SettingFlags { user: Some("no-such-user".into()), ..SettingFlags::default() };
        assert!(why(nobody).contains("there is no such user"));
    }
}
