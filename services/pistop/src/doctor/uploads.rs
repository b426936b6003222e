//! What upload's own doctor says, if recordings are uploaded from here. It is asked as a program: this one knows
//! nothing of storage.

use super::findings::Finding;
use serde::Deserialize;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// The program.
const UPLOAD: &str = "upload";
/// So long it may take: it tries the storage, with time-outs of its own.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was found out about uploads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uploads {
    /// There are no settings for them here.
    None,
    /// Its doctor found this.
    Looked(Vec<Finding>),
    /// Its doctor could not be asked.
    Unknown(Finding),
}

/// Asks with the settings of the systemd unit, or those of the service directory.
pub async fn look(etc: &Path, servicedir: &Path) -> Uploads {
    let Some((flag, place)) = settings(etc, servicedir) else { return Uploads::None };
    let asked = Command::new(UPLOAD).args(["doctor", "--json", flag]).arg(&place).kill_on_drop(true).output();
    match timeout(PATIENCE, asked).await {
        Ok(Ok(output)) => answer(&output),
        Ok(Err(why)) if why.kind() == ErrorKind::NotFound => unknown(
            &format!("uploads are set up in {}, and the program {UPLOAD} is not here", place.display()),
            "install it",
        ),
        Ok(Err(why)) => unknown(&format!("{UPLOAD} cannot be run: {why}"), "install it anew"),
        Err(_) => unknown(
            &format!("{UPLOAD} doctor says nothing"),
            "run it by hand, and see whether the storage's name is known",
        ),
    }
}

fn settings(etc: &Path, servicedir: &Path) -> Option<(&'static str, PathBuf)> {
    let places = [("--config", etc.join("upload.toml")), ("--variables", servicedir.join("upload/variables"))];
    places.into_iter().find(|(_, place)| place.exists())
}

fn unknown(what: &str, remedy: &str) -> Uploads {
    Uploads::Unknown(Finding::problem(what, remedy))
}

#[derive(Deserialize)]
struct Answer {
    findings: Vec<Told>,
}

#[derive(Deserialize)]
struct Told {
    problem: bool,
    what: String,
}

/// Problems make it fail, and are an answer all the same.
fn answer(output: &Output) -> Uploads {
    match serde_json::from_slice::<Answer>(&output.stdout) {
        Ok(Answer { findings }) => Uploads::Looked(findings.into_iter().map(finding).collect()),
        Err(_) => {
            let told = String::from_utf8_lossy(&output.stderr);
            let last = told.lines().last().unwrap_or("it says nothing").trim();
            unknown(&format!("{UPLOAD} doctor fails: {last}"), "mend that, and ask again")
        }
    }
}

/// Its remedy stands behind the last semicolon.
fn finding(Told { problem, what }: Told) -> Finding {
    let (what, remedy) = what.rsplit_once("; ").unwrap_or((&what, "see the log of upload"));
    Finding { is_problem: problem, what: what.into(), remedy: remedy.into() }
}

impl Uploads {
    /// What is to be told.
    pub fn findings(&self) -> Vec<Finding> {
        match self {
            Uploads::None => Vec::new(),
            Uploads::Looked(findings) => findings.clone(),
            Uploads::Unknown(finding) => vec![finding.clone()],
        }
    }

    /// In a line.
    pub fn line(&self) -> String {
        match self {
            Uploads::None => "none are set up here".into(),
            Uploads::Unknown(_) => "are set up, and nothing is known of them".into(),
            Uploads::Looked(findings) => match findings.iter().filter(|finding| finding.is_problem).count() {
                0 => "work".into(),
                problems => format!("do not work as they should: {problems} problems"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn said(stdout: &str, stderr: &str) -> Uploads {
        let status = ExitStatus::from_raw(100 << 8);
        answer(&Output { status, stdout: stdout.into(), stderr: stderr.into() })
    }

    #[test]
    fn what_it_finds_is_told_with_its_remedy() {
        let uploads = said(r#"{"bucket":"b","findings":[{"problem":true,"what":"no bucket; really; create it"}]}"#, "");
        assert_eq!(uploads.findings(), [Finding::problem("no bucket; really", "create it")]);
        assert!(uploads.line().contains("1 problems"), "{}", uploads.line());
        let note = said(r#"{"findings":[{"problem":false,"what":"it may delete; make another key"}]}"#, "");
        assert_eq!(note.findings(), [Finding::note("it may delete", "make another key")]);
        assert_eq!((note.line().as_str(), said("{\"findings\":[]}", "").line().as_str()), ("work", "work"));
    }

    #[test]
    fn one_that_says_nothing_useful_is_a_problem_itself() {
        let findings = said("", "a line\nupload: upload.toml: line 3: bad\n").findings();
        assert!(findings[0].is_problem && findings[0].what.ends_with("fails: upload: upload.toml: line 3: bad"));
    }

    #[test]
    fn settings_are_found_where_each_supervisor_has_them() {
        let scratch = tempfile::tempdir().unwrap();
        let (etc, services) = (scratch.path().join("etc"), scratch.path().join("service"));
        assert_eq!(settings(&etc, &services), None);
        std::fs::create_dir_all(services.join("upload/variables")).unwrap();
        assert_eq!(settings(&etc, &services).unwrap().0, "--variables");
        std::fs::create_dir_all(&etc).unwrap();
        std::fs::write(etc.join("upload.toml"), "").unwrap();
        assert_eq!(settings(&etc, &services), Some(("--config", etc.join("upload.toml"))));
    }
}
