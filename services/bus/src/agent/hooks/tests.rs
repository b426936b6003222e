//! Real hooks, scripts of `sh` in a scratch directory, in real but short time.

use super::*;
use protocol::event::{Body, EventId};
use protocol::{Epoch, HostName};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(20);

/// A machine with a folder of hooks, in which they leave their traces.
struct Scene(TempDir);

impl Scene {
    fn new() -> Scene {
        Scene(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn hook(self, name: &str, script: &str) -> Scene {
        let path = self.file("hooks").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\ncd \"$SCENE\"\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn plan(&self) -> HookPlan {
        let environment =
            [("PATH", "/usr/bin:/bin"), ("SCENE", self.0.path().to_str().unwrap()), ("FACT_CAMERA", "stale")];
        HookPlan {
            directories: vec![self.file("hooks")],
            environment: environment.map(|(name, value)| (name.into(), value.into())).to_vec(),
            timeout: LONG,
            state: Some(self.file("state")),
        }
    }

    async fn runner(&self) -> HookRunner {
        HookRunner::open(self.plan()).await
    }

    async fn row(&self, event: &Event) -> Row {
        self.runner().await.row(event, Position(7), CancellationToken::new()).await
    }

    fn trace(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// What a hook that writes `env -0 >env` found.
    fn environment(&self) -> BTreeMap<String, String> {
        let pair = |text: &str| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.trace("env").split('\0').filter_map(pair).collect()
    }
}

fn event(topic: &str, body: &str) -> Event {
    let id = EventId { node: HostName::parse("attic").unwrap(), epoch: Epoch(17), sequence: 3 };
    let class = protocol::event::Class { keep: protocol::event::Keep::All, durable: true };
    Event { id, class, topic: topic.into(), ttl: None, body: Body(body.as_bytes().to_vec()) }
}

fn motion() -> Event {
    let body = r#"{"at":1795292100123,"fact":"motion","camera":"cam1","percent":12.5}"#;
    event("attic/evt/camera/motion", body)
}

fn results(row: &Row) -> Vec<HookResult> {
    row.outcomes.iter().map(|outcome| outcome.result.clone()).collect()
}

async fn until(path: &Path) {
    let waited = async {
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(LONG, waited).await.expect("it comes to pass");
}

#[tokio::test]
async fn hooks_of_a_fact_run_in_order_and_find_what_it_says() {
    let scene = Scene::new()
        .hook("motion/20-say-two", "echo two >>trace")
        .hook("motion/10-say-one", "echo one >>trace; env -0 >env; cat >input")
        .hook("camera-online/10-say-three", "echo three >>trace");
    let row = scene.row(&motion()).await;
    assert_eq!((row.ending, row.failed.len(), results(&row)), (Ending::AllDone, 0, vec![HookResult::Done; 2]));
    assert_eq!((row.outcomes[0].hook.as_str(), scene.trace("trace").as_str()), ("motion/10-say-one", "one\ntwo\n"));
    let found = scene.environment();
    for variable in FACT_VARIABLES {
        assert!(found.contains_key(variable), "{variable} is missing in {found:?}");
    }
    let expected = [
        ("PISTOP_EVENT", "motion"),
        ("PISTOP_NODE", "attic"),
        ("PISTOP_FAMILY", "camera"),
        ("PISTOP_EVENT_ID", "attic-17-3"),
        ("PISTOP_AT", "2026-11-21T20:15:00.123Z"),
        ("PISTOP_REPLAYED", ""),
        ("PISTOP_ATTEMPT", "1"),
        ("PISTOP_DEADLINE", "20"),
        ("FACT_CAMERA", "cam1"),
        ("FACT_PERCENT", "12.5"),
    ];
    for (name, value) in expected {
        assert_eq!(found.get(name).map(String::as_str), Some(value), "{name}");
    }
    let input: Value = serde_json::from_str(&scene.trace("input")).unwrap();
    assert_eq!((&input["id"], &input["topic"]), (&"attic-17-3".into(), &"attic/evt/camera/motion".into()));
    assert_eq!((&input["at"], &input["fact"]), (&1_795_292_100_123_u64.into(), &"motion".into()));
}

#[tokio::test]
async fn the_state_of_a_machine_and_of_an_item_have_hooks_too() {
    let look = "echo $PISTOP_EVENT $PISTOP_FAMILY $PISTOP_NODE $PISTOP_AT >>trace";
    let scene = Scene::new().hook("machine-state/10-look-around", look).hook("last-backup/10-look-around", look);
    scene.row(&event("attic/state", r#"{"at":17,"clock":"unset","fact":"machine-state"}"#)).await;
    scene.row(&event("attic/st/backup/last-backup/music", "no JSON")).await;
    assert_eq!(scene.trace("trace"), "machine-state presence attic\nlast-backup backup attic\n");
}

#[tokio::test]
async fn what_has_no_folder_runs_nothing_and_writes_nothing() {
    let scene = Scene::new().hook("rain/10-shut-window", ">never").hook("version/10-do-nothing", ">never");
    for topic in ["attic/evt/camera/motion", "attic/evt/host/rain", "attic/req/version", "no topic"] {
        assert_eq!(scene.row(&event(topic, "{}")).await, Row::of(Ending::AllDone, Vec::new()), "{topic}");
    }
    assert!(!scene.file("never").exists() && !scene.file("state/begun").exists());
}

#[tokio::test]
async fn exit_111_is_tried_again_and_not_for_ever() {
    let scene =
        Scene::new().hook("motion/10-ring-bell", "echo $PISTOP_ATTEMPT >>trace; test $PISTOP_ATTEMPT = 2 || exit 111");
    let row = scene.row(&motion()).await;
    assert_eq!((row.ending, scene.trace("trace").as_str()), (Ending::AllDone, "1\n2\n"));
    let runner = scene.runner().await;
    let (topic, name) = fact_of(&motion()).unwrap();
    let hooks = hooks::find(HookEvent::Fact(name), &runner.plan.directories, None).unwrap();
    let limits = runner.run(&motion(), &topic, name, hooks, false).limits;
    assert_eq!((limits.temporary_attempts, limits.per_hook), (Some(6), LONG));
    let whole = limits.until.unwrap() - Instant::now();
    assert!(whole > LONG && whole <= LONG + PAUSES, "{whole:?}");
}

#[tokio::test]
async fn a_hook_that_failed_for_good_is_told_and_the_others_run() {
    let scene = Scene::new()
        .hook("motion/10-mount-disk", "exit 100")
        .hook("motion/20-say-two", "echo two >>trace")
        .hook("motion/30-miss-everything", "");
    fs::set_permissions(scene.file("hooks/motion/30-miss-everything"), fs::Permissions::from_mode(0o644)).unwrap();
    let row = scene.row(&motion()).await;
    assert_eq!((row.ending, scene.trace("trace").as_str()), (Ending::SomeFailed, "two\n"));
    let expected = Fact::HookFailed {
        hook: "motion/10-mount-disk".into(),
        about: "attic-17-3".into(),
        result: "failed, exit 100".into(),
    };
    assert_eq!((row.failed.len(), &row.failed[0]), (2, &expected));
    assert!(matches!(&row.failed[1], Fact::HookFailed { result, .. } if result.contains("no run bit")));
}

#[tokio::test]
async fn a_failure_to_tell_of_a_failure_is_not_told() {
    let scene = Scene::new().hook("hook-failed/10-send-mail", "exit 1");
    let row = scene.row(&event("attic/evt/host/hook-failed", "{}")).await;
    assert_eq!((row.ending, row.failed), (Ending::SomeFailed, Vec::new()));
}

#[tokio::test]
async fn a_folder_that_cannot_be_read_is_told() {
    let scene = Scene::new().hook("camera/10-do-nothing", "");
    fs::write(scene.file("hooks/motion"), "").unwrap();
    let row = scene.row(&motion()).await;
    assert!(
        matches!(&row.failed[..], [Fact::HookFailed { result, .. }] if result.contains("hooks/motion: cannot be read"))
    );
}

#[tokio::test]
async fn a_hook_whose_time_is_over_is_ended() {
    let scene = Scene::new().hook("motion/10-hang-about", "exec sleep 600").hook("motion/20-say-two", ">two");
    let mut plan = scene.plan();
    plan.timeout = Duration::from_millis(500);
    let row = HookRunner::open(plan).await.row(&motion(), Position(7), CancellationToken::new()).await;
    assert_eq!(results(&row), [HookResult::TimedOut, HookResult::Done]);
    assert!(matches!(&row.failed[..], [Fact::HookFailed { result, .. }] if result == "timed out"));
}

#[tokio::test]
async fn a_row_that_was_cut_off_runs_again_and_is_told_so() {
    let scene = Scene::new()
        .hook(
            "motion/10-say-it",
            "echo \"<$PISTOP_REPLAYED>\" >>trace; test -n \"$PISTOP_REPLAYED\" && exit 0; >begun; exec sleep 600",
        )
        .hook("motion/20-come-after", "echo after >>trace");
    let mut runner = scene.runner().await;
    let cancel = CancellationToken::new();
    let stop = async {
        until(&scene.file("begun")).await;
        cancel.cancel();
    };
    let event = motion();
    let (row, ()) = tokio::join!(runner.row(&event, Position(7), cancel.clone()), stop);
    assert_eq!((row.ending, row.failed), (Ending::Cancelled, Vec::new()));
    drop(runner);
    let mut runner = scene.runner().await;
    assert_eq!(runner.row(&event, Position(7), CancellationToken::new()).await.ending, Ending::AllDone);
    assert_eq!(scene.trace("trace"), "<>\n<1>\nafter\n");
    assert!(!runner.begin(Position(8)).await && runner.begin(Position(8)).await, "the next one begins anew");
}

/// As by `kill -9`: the hook lives on, and the next run ends it before it runs it again.
#[tokio::test]
async fn a_hook_that_a_crash_left_behind_is_ended() {
    let scene = Scene::new().hook("motion/10-say-it", "echo $$ >self; sleep 600 & >begun; wait");
    let (state, mark) = (scene.file("state"), "PISTOP_RUN=00000000000000aa");
    fs::create_dir_all(&state).unwrap();
    fs::write(state.join(TRACE), format!("{mark} motion/10-say-it\n")).unwrap();
    let mut orphan = tokio::process::Command::new(scene.file("hooks/motion/10-say-it"));
    orphan.env("SCENE", scene.0.path()).env("PISTOP_RUN", "00000000000000aa").process_group(0);
    let mut orphan = orphan.stdout(std::process::Stdio::null()).kill_on_drop(true).spawn().unwrap();
    until(&scene.file("begun")).await;
    let _runner = scene.runner().await;
    let status = tokio::time::timeout(LONG, orphan.wait()).await.unwrap().unwrap();
    assert!(!status.success() && !state.join(TRACE).exists());
}

#[tokio::test]
async fn a_hostile_value_is_a_value() {
    let look = "printf '%s' \"$FACT_CAMERA\" >camera; printf '%s' \"$FACT_LONG\" | wc -c >long; env -0 >env";
    let scene = Scene::new().hook("motion/10-look-around", look);
    let hostile = "a\nPISTOP_NODE=evil\0$(touch pwned) `touch pwned`; touch pwned \u{1b}[2J";
    let body = serde_json::json!({
        "fact": "motion", "camera": hostile, "long": "x".repeat(10_240), "LD_PRELOAD": "/tmp/evil.so",
        "PATH=/tmp": "evil", "nested": {"a": 1},
    });
    let row = scene.row(&event("attic/evt/camera/motion", &body.to_string())).await;
    assert_eq!(row.ending, Ending::AllDone);
    let seen = "a\\nPISTOP_NODE=evil\\x00$(touch pwned) `touch pwned`; touch pwned \\x1b[2J";
    assert_eq!((scene.trace("camera").as_str(), scene.trace("long").trim()), (seen, "4096"));
    let found = scene.environment();
    assert_eq!((found["PISTOP_NODE"].as_str(), found["PATH"].as_str()), ("attic", "/usr/bin:/bin"));
    assert!(!found.contains_key("LD_PRELOAD") && !scene.file("pwned").exists());
}
