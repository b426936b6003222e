//! What hooks write is in the log under their names. A test program of its own: beside other tests, whose threads have
//! no log, tracing may take a line for one that nobody wants.
#![cfg(test)]

use protocol::hook::HookEvent;
use runner::hooks::{Ending, Hook, KILL_AFTER, Limits, Run, run};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A log to look into.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hook(script: &str) -> Hook {
    Hook {
        name: "server-up/20-mount-share".into(),
        program: "/bin/sh".into(),
        arguments: ["-c", script].map(Into::into).to_vec(),
        directory: None,
        legacy_socket: false,
        fault: None,
    }
}

async fn log_of(script: &str) -> String {
    let paper = Paper::default();
    let to = paper.clone();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::fmt().with_writer(move || to.clone()).finish());
    let per_hook = Duration::from_secs(60);
    let limits = Limits { per_hook, until: None, kill_after: KILL_AFTER, temporary_attempts: Some(1) };
    let environment = vec![("PATH".into(), "/usr/bin:/bin".into())];
    let (event, hooks) = (HookEvent::ServerUp, vec![hook(script)]);
    let run_of_one = Run { event, hooks, environment, stdin: vec![], limits, drill: None, trace: None };
    assert_eq!(run(run_of_one, CancellationToken::new(), |_| ()).await, Ending::SomeFailed);
    let bytes = paper.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn what_a_hook_writes_is_in_the_log_under_its_name() {
    let script = "printf 'mounted \\033[31m\\n'; echo oops >&2; printf 'no newline'; yes | head -n 20000 >&2; exit 4";
    let log = log_of(script).await;
    let lines = ["mounted \\x1b[31m\n", "oops\n", "y\n", "dropped ", "failed, exit 4 after "];
    for line in lines {
        assert!(log.contains(&format!("hook server-up/20-mount-share: {line}")), "{line:?} is missing in {log}");
    }
    assert!(log.contains(": no newline\n"), "the last word of a hook is not lost: {log}");
    assert!(log.matches(": y\n").count() < 10_000);
}
