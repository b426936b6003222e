//! The whole plan of `add`: pure, from a template, the flags and what is known of the place. `--dry-run` prints the very
//! value that would be performed.
//!
//! Under daemontools a service directory holds everything. Under systemd it holds the variables only, and the unit
//! hands them to the program; without a `run`, an svscan that is started later does not run the service twice.

use super::content::{Content, Found, Kind};
use super::decide::{Change, Files, Known, Written};
use super::manifest::Manifest;
use super::place::Supervisor;
use super::template::Template;
use runner::exit::Failure;
use std::path::{Path, PathBuf};

/// Where the log is kept, as seen from the service directory.
pub const LOG: &str = "log/main";

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wish {
    /// What it is made from.
    pub template: Template,
    /// The service directory.
    pub service: PathBuf,
    /// Who runs it.
    pub supervisor: Supervisor,
    /// The folder for its log, and whether a flag says so.
    pub logs: Written,
    /// The unit's path.
    pub unit: PathBuf,
    /// The variables that flags set.
    pub flags: Files<Written>,
}

impl Wish {
    /// Every file that is wanted.
    ///
    /// # Errors
    /// systemd shall run what has no unit.
    pub fn files(&self) -> Result<Files<Written>, Failure> {
        let mut files = match self.supervisor {
            Supervisor::Daemontools => self.for_daemontools(),
            Supervisor::Systemd => self.for_systemd()?,
        };
        files.extend(self.flags.clone());
        Ok(files)
    }

    fn for_daemontools(&self) -> Files<Written> {
        let from_template = |content: &Content| Written { content: content.clone(), by_flag: false };
        let all = self.template.files.iter().map(|(path, content)| (path.clone(), from_template(content)));
        let log = self.template.files.contains_key("log/run").then(|| (LOG.to_owned(), self.logs.clone()));
        all.chain(log).collect()
    }

    fn for_systemd(&self) -> Result<Files<Written>, Failure> {
        let name = &self.template.name;
        let Some(unit) = &self.template.unit else {
            let remedy = "give --supervisor daemontools, and see that an svscan runs";
            return Err(Failure::Permanent(format!("{name} has no unit for systemd; {remedy}")));
        };
        let mut files = self.for_daemontools();
        // Where a config file is given, mere defaults among the variables would go over what is set in it.
        let defaults = !unit.lines().any(|line| line.starts_with("ExecStart=") && line.contains(" --config "));
        files.retain(|path, _| defaults && path.starts_with("variables/"));
        let text = with_variables(unit, &self.service.join("variables"))?;
        let path = self.unit.to_string_lossy().into_owned();
        files.insert(path, Written { content: Content::plain(text), by_flag: false });
        Ok(files)
    }
}

/// The unit, with its program told where the variables are: every program of a template takes `--variables`.
fn with_variables(unit: &str, variables: &Path) -> Result<String, Failure> {
    let plain = |text: &&str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-@:+,".contains(&byte));
    let remedy =
        || format!("{} cannot stand in a unit; choose a --servicedir of letters and digits", variables.display());
    let variables = variables.to_str().filter(plain).ok_or_else(|| Failure::Permanent(remedy()))?;
    let line = |line: &str| match line.starts_with("ExecStart=") {
        true => format!("{line} --variables {variables}\n"),
        false => format!("{line}\n"),
    };
    Ok(unit.lines().map(line).collect())
}

/// What systemd is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Read all units again.
    Reload,
    /// Start it at boot.
    Enable,
    /// Start it now.
    Start,
}

impl Order {
    /// What is done by it.
    pub fn sentence(self, unit: &str) -> String {
        match self {
            Order::Reload => "reload the units of systemd".into(),
            Order::Enable => format!("enable {unit}"),
            Order::Start => format!("start {unit}"),
        }
    }
}

/// A folder for logs, which is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFolder {
    /// Where.
    pub path: PathBuf,
    /// The user that multilog then runs as.
    pub owner: Option<String>,
}

/// What is to be done, in this order.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The service directory.
    pub service: PathBuf,
    /// It is not there yet, so it is made aside and appears whole.
    pub fresh: bool,
    /// The folder for its log, if that is not there.
    pub logs: Option<LogFolder>,
    /// Files in it, and the unit.
    pub changes: Vec<Change>,
    /// What systemd is told at the end.
    pub orders: Vec<Order>,
    /// The unit's name.
    pub unit: String,
    /// What is noted in the directory.
    pub manifest: Manifest,
    /// Whether that is news.
    pub note: bool,
}

impl Plan {
    /// Decides. `found` is what is there at all paths of `files` and of the manifest.
    pub fn make(
        wish: &Wish,
        files: Files<Written>,
        before: Option<Manifest>,
        found: Files<Found>,
        fresh: bool,
    ) -> Plan {
        let begun = before.as_ref().is_some_and(|before| before.begun);
        let disabled = wish.template.files.contains_key("down");
        let ours = if fresh { Some(Files::new()) } else { before.as_ref().map(|before| before.files.clone()) };
        let (changes, after) = Known { wanted: files, before: ours, found }.decide();
        let mut orders = Vec::new();
        if wish.supervisor == Supervisor::Systemd {
            let unit_written =
                changes.iter().any(|change| matches!(change, Change::Write { path, .. } if path.starts_with('/')));
            orders.extend((unit_written || !begun).then_some(Order::Reload));
            orders.extend((!begun && !disabled).then_some([Order::Enable, Order::Start]).into_iter().flatten());
        }
        let manifest = Manifest { supervisor: wish.supervisor, begun: begun || orders.is_empty(), files: after };
        let note = before.as_ref() != Some(&manifest);
        let unit = format!("{}.service", wish.template.name);
        Plan { service: wish.service.clone(), fresh, logs: None, changes, orders, unit, manifest, note }
    }

    /// The folder that the log's link leads to, if this plan makes the link.
    pub fn log_folder(&self) -> Option<PathBuf> {
        self.changes.iter().find_map(|change| match change {
            Change::Write { path, content, .. } if path == LOG && content.kind == Kind::Link => {
                Some(PathBuf::from(&content.text))
            }
            _ => None,
        })
    }

    /// The service's name.
    pub fn name(&self) -> &str {
        self.unit.trim_end_matches(".service")
    }

    /// Whether there is nothing to do.
    pub fn is_nothing(&self) -> bool {
        !self.fresh && self.logs.is_none() && self.orders.is_empty() && !self.changes.iter().any(Change::is_deed)
    }

    /// Each step in one line, as it is told before and after.
    pub fn lines(&self) -> Vec<String> {
        let orders = self.orders.iter().map(|order| order.sentence(&self.unit));
        self.file_lines().into_iter().chain(orders).collect()
    }

    /// The steps on the disk.
    pub fn file_lines(&self) -> Vec<String> {
        let logs = self.logs.iter().map(|logs| match &logs.owner {
            Some(owner) => format!("make {} for user {owner}", logs.path.display()),
            None => format!("make {}", logs.path.display()),
        });
        let (outside, inside): (Vec<&Change>, Vec<&Change>) =
            self.changes.iter().partition(|change| change.is_outside());
        let inside = inside.into_iter().map(ToString::to_string);
        let place = self.fresh.then(|| format!("put {} in place", self.service.display()));
        logs.chain(inside).chain(place).chain(outside.into_iter().map(ToString::to_string)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn wish(supervisor: Supervisor, unit: Option<&str>) -> Wish {
        let file = |path: &str| (path.to_owned(), Content::plain("x"));
        Wish {
            template: Template {
                name: "lamp".into(),
                files: ["run", "log/run", "variables/PORT"].map(file).into(),
                unit: unit.map(String::from),
            },
            service: "/service/lamp".into(),
            supervisor,
            logs: Written { content: Content { text: "/var/log/svc/lamp".into(), kind: Kind::Link }, by_flag: false },
            unit: "/etc/systemd/system/lamp.service".into(),
            flags: [("variables/HOST".to_owned(), Written { content: Content::plain("attic\n"), by_flag: true })]
                .into(),
        }
    }

    fn paths(wish: &Wish) -> Vec<String> {
        wish.files().unwrap().into_keys().collect()
    }

    #[test]
    fn systemd_gets_variables_and_a_unit_that_names_them() {
        let wish = wish(Supervisor::Systemd, Some("[Service]\nExecStart=/usr/bin/lamp\n"));
        assert_eq!(paths(&wish), ["/etc/systemd/system/lamp.service", "variables/HOST", "variables/PORT"]);
        let unit = &wish.files().unwrap()["/etc/systemd/system/lamp.service"];
        assert_eq!(unit.content.text, "[Service]\nExecStart=/usr/bin/lamp --variables /service/lamp/variables\n");
    }

    #[test]
    fn defaults_do_not_go_over_a_config_file() {
        let wish = wish(Supervisor::Systemd, Some("ExecStart=/usr/bin/lamp --config /etc/lamp.toml\n"));
        assert_eq!(paths(&wish), ["/etc/systemd/system/lamp.service", "variables/HOST"]);
    }

    #[test]
    fn what_systemd_cannot_run_is_refused() {
        assert!(wish(Supervisor::Systemd, None).files().unwrap_err().to_string().contains("has no unit"));
        let mut odd = wish(Supervisor::Systemd, Some("ExecStart=/x\n"));
        odd.service = "/my services/lamp".into();
        assert!(odd.files().unwrap_err().to_string().contains("choose a --servicedir"));
    }

    #[test]
    fn daemontools_gets_everything_and_a_link_to_the_log() {
        let wish = wish(Supervisor::Daemontools, None);
        assert_eq!(paths(&wish), ["log/main", "log/run", "run", "variables/HOST", "variables/PORT"]);
        let plan = Plan::make(&wish, wish.files().unwrap(), None, BTreeMap::new(), true);
        let expected = [
            "link log/main to /var/log/svc/lamp",
            "write log/run",
            "write variables/HOST",
            "write variables/PORT",
            "write run",
            "put /service/lamp in place",
        ];
        assert_eq!(plan.lines(), expected);
        assert!(plan.manifest.begun && plan.note && !plan.is_nothing());
    }

    #[test]
    fn systemd_is_told_to_begin_once() {
        let wish = wish(Supervisor::Systemd, Some("ExecStart=/x\n"));
        let plan = Plan::make(&wish, wish.files().unwrap(), None, BTreeMap::new(), true);
        assert_eq!(plan.orders, [Order::Reload, Order::Enable, Order::Start]);
        assert!(!plan.manifest.begun, "it has begun when systemd has done it");
        let found = |file: &Written| Found::File(file.content.text.clone().into(), file.content.kind);
        let found = wish.files().unwrap().iter().map(|(path, file)| (path.clone(), found(file))).collect();
        let before = Manifest { begun: true, ..plan.manifest };
        let again = Plan::make(&wish, wish.files().unwrap(), Some(before), found, false);
        assert!(again.is_nothing() && !again.note);
    }
}
