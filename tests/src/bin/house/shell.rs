//! Commands of this machine that either succeed or stop the house with their own words.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs it to its end. What it prints is shown only if it fails.
///
/// # Errors
/// It could not be started or did not exit with 0; the message has the command and what it said.
pub fn run(command: &mut Command) -> io::Result<String> {
    let shown = shown(command);
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|why| io::Error::new(why.kind(), format!("cannot start `{shown}`: {why}")))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => Ok(said),
        false => {
            let complaint = String::from_utf8_lossy(&output.stderr);
            Err(io::Error::other(format!("`{shown}` failed, {}:\n{said}{complaint}", output.status)))
        }
    }
}

/// A command of several words, separated by blanks.
///
/// # Errors
/// As for [`run`].
pub fn words(line: &str) -> io::Result<String> {
    let mut words = line.split_whitespace();
    run(Command::new(words.next().unwrap_or_default()).args(words))
}

/// Copies what is in a directory over another one, with modes and links.
///
/// # Errors
/// As for [`run`].
pub fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    run(Command::new("cp").args(["-a", "--no-preserve=ownership"]).arg(from.join(".")).arg(to)).map(|_| ())
}

fn shown(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
