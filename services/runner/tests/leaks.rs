//! Hooks leave no descriptor and no zombie behind. A test program of its own, since it counts what its process has.
#![cfg(test)]

use protocol::hook::HookEvent;
use runner::hooks::{Ending, Hook, Limits, Run, run};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn hook(script: &str, legacy_socket: bool) -> Hook {
    let arguments = ["-c", script].map(Into::into).to_vec();
    let program = "/bin/sh".into();
    Hook { name: "server-lost/10-try-it".into(), program, arguments, directory: None, legacy_socket, fault: None }
}

async fn round() {
    let hooks = vec![
        hook("exit 0", false),
        hook("exit 1", false),
        hook("sleep 0.3 &", false),
        hook("echo hello >&7", true),
        hook("exec sleep 60", true),
        Hook { program: "/nowhere".into(), ..hook("", true) },
        Hook { program: "/nowhere".into(), ..hook("", false) },
    ];
    let (per_hook, kill_after) = (Duration::from_millis(300), Duration::from_millis(100));
    let limits = Limits { per_hook, until: None, kill_after, temporary_attempts: Some(1) };
    let (event, stdin) = (HookEvent::ServerLost, vec![b'x'; 100_000]);
    let run_of_all = Run { event, hooks, environment: vec![], stdin, limits, drill: None, trace: None };
    assert_eq!(run(run_of_all, CancellationToken::new(), |_| ()).await, Ending::SomeFailed);
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Each entry of `/proc` whose parent we are.
fn children() -> Vec<String> {
    let parent = format!("\nPPid:\t{}\n", std::process::id());
    let is_child = |process: &Path| fs::read_to_string(process.join("status")).is_ok_and(|text| text.contains(&parent));
    let all = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    all.filter(|process| is_child(process)).map(|process| process.display().to_string()).collect()
}

#[tokio::test]
async fn hooks_leave_no_descriptor_and_no_zombie_behind() {
    round().await;
    let before = descriptors();
    round().await;
    round().await;
    assert_eq!(descriptors(), before);
    assert_eq!(children(), [""; 0]);
}
