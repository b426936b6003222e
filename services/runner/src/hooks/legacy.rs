//! Set-ups of the old pistop: `~/.pistop/pistopstart start|stop` in place of all hooks, or the four scripts
//! `pre_mount`, `post_mount`, `pre_unmount` and `post_unmount` around the hook that mounts or unmounts.
//!
//! The start script gets what the old client gave it: its home folder as working directory,
//! and descriptors 6 and 7, on which it writes lines for the server.

use super::{Hook, find::verb};
use protocol::hook::HookEvent;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Moves the socket from standard input to 6 and 7, then becomes the program in `$0`. A constant: the program and
/// its arguments are never part of shell text.
pub(super) const SOCKET_ON_6_AND_7: &str = r#"exec 6<&0 7<&0 </dev/null; exec "$0" "$@""#;

const START_SCRIPT: &str = "pistopstart";

/// The old start script, if there is one and the event is one that it knows.
pub(super) fn start_script(event: HookEvent, home: &Path) -> Option<Hook> {
    let word = match event {
        HookEvent::ServerUp => "start",
        HookEvent::ServerStopping | HookEvent::ServerLost => "stop",
        HookEvent::PowerOff | HookEvent::ClientsReleased | HookEvent::GoingDown | HookEvent::Fact(_) => return None,
    };
    let script = script(event, home, START_SCRIPT)?;
    Some(Hook { arguments: vec![word.into()], legacy_socket: true, ..script })
}

/// Puts the old mount scripts around the first hook that mounts (unmounts), or where such a hook would stand.
pub(super) fn with_mount_scripts(event: HookEvent, home: &Path, mut hooks: Vec<Hook>) -> Vec<Hook> {
    let (work, place) = match event {
        HookEvent::ServerUp => ("mount", "20"),
        HookEvent::ServerStopping | HookEvent::ServerLost => ("unmount", "50"),
        HookEvent::PowerOff | HookEvent::ClientsReleased | HookEvent::GoingDown | HookEvent::Fact(_) => return hooks,
    };
    let (before, after) = match hooks.iter().position(|hook| verb(file_name(hook)) == Some(work)) {
        Some(at) => (at, at + 1),
        None => {
            let at = hooks.partition_point(|hook| file_name(hook) < place);
            (at, at)
        }
    };
    let post = script(event, home, &format!("post_{work}"));
    hooks.splice(after..after, post);
    let pre = script(event, home, &format!("pre_{work}"));
    hooks.splice(before..before, pre);
    hooks
}

fn file_name(hook: &Hook) -> &str {
    hook.name.rsplit('/').next().unwrap_or_default()
}

fn script(event: HookEvent, home: &Path, name: &str) -> Option<Hook> {
    let directory = std::path::absolute(home.join(".pistop")).ok()?;
    let program = executable(directory.join(name))?;
    Some(Hook {
        name: format!("{event}/{name}"),
        program,
        arguments: Vec::new(),
        directory: Some(directory),
        legacy_socket: false,
        fault: None,
    })
}

fn executable(path: PathBuf) -> Option<PathBuf> {
    let file = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
    if file.permissions().mode() & 0o111 == 0 {
        tracing::warn!("{} is left out, it has no run bit; run `chmod +x` on it, or remove it", path.display());
        return None;
    }
    Some(path)
}
