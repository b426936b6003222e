//! Real processes, scripts of `sh`, in real but short time.

use super::*;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use protocol::hook::{HookEvent, VARIABLE_ATTEMPT, VARIABLE_DEADLINE};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tempfile::TempDir;

const SOON: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(4);

/// A scratch directory in which hooks are run and leave their traces.
struct Scene {
    dir: TempDir,
    run: Run,
    cancel: CancellationToken,
    reports: Vec<Report>,
}

impl Scene {
    fn new(event: HookEvent) -> Scene {
        let limits = Limits { per_hook: LONG, until: None, kill_after: SOON, temporary_attempts: Some(3) };
        let dir = tempfile::tempdir().unwrap();
        let environment = [("PATH", "/usr/bin:/bin"), ("SCENE", dir.path().to_str().unwrap())];
        let environment = environment.map(|(name, value)| (name.into(), value.into())).to_vec();
        let run = Run { event, hooks: Vec::new(), environment, stdin: Vec::new(), limits, drill: None, trace: None };
        Scene { dir, run, cancel: CancellationToken::new(), reports: Vec::new() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn program(&self, name: &str, content: &str) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A hook that is a script of `sh`, run in the scratch directory.
    fn hook(self, name: &str, script: &str) -> Scene {
        let content = format!("#!/bin/sh\ncd $SCENE\n{script}\n");
        self.raw(name, &content)
    }

    fn raw(mut self, name: &str, content: &str) -> Scene {
        let program = self.program(name, content);
        let name = format!("{}/{name}", self.run.event);
        self.run.hooks.push(Hook {
            name,
            program,
            arguments: vec![],
            directory: None,
            legacy_socket: false,
            fault: None,
        });
        self
    }

    fn last(&mut self) -> &mut Hook {
        self.run.hooks.last_mut().unwrap()
    }

    async fn play(&mut self) -> Ending {
        let (run, cancel) = (self.run.clone(), self.cancel.clone());
        paced(run, cancel, PAUSE, |report| self.reports.push(report)).await
    }

    /// Cancels as soon as a hook has left this trace.
    async fn play_until_cancelled_by(&mut self, trace: &str) -> Ending {
        let (path, cancel) = (self.file(trace), self.cancel.clone());
        let watch = async move {
            until(|| path.exists()).await;
            cancel.cancel();
        };
        tokio::join!(self.play(), watch).0
    }

    fn results(&self) -> Vec<HookResult> {
        let ended = |report: &Report| match report {
            Report::Ended(outcome) => Some(outcome.result.clone()),
            _ => None,
        };
        self.reports.iter().filter_map(ended).collect()
    }

    fn trace(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// Whether the process whose number a hook left in a file is gone. A zombie that the machine's init has not yet
    /// collected is gone too.
    fn is_gone(&self, name: &str) -> bool {
        let pid = self.trace(name).trim().parse().expect("the hook left a process number");
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        kill(Pid::from_raw(pid), None).is_err() || stat.contains(") Z ")
    }
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let waited = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(LONG, waited).await.expect("it comes to pass");
}

#[tokio::test]
async fn hooks_run_in_order_and_each_is_reported() {
    let mut scene = Scene::new(HookEvent::ServerUp)
        .hook("10-say-one", "echo one >>trace")
        .hook("20-say-two", "sleep 0.05; echo two >>trace")
        .hook("30-say-three", "echo three >>trace");
    assert_eq!(scene.play().await, Ending::AllDone);
    assert_eq!(scene.trace("trace"), "one\ntwo\nthree\n");
    assert_eq!(scene.results(), vec![HookResult::Done; 3]);
    assert_eq!(scene.reports[2], Report::Started { hook: "server-up/20-say-two".into(), attempt: 1 });
    assert!(matches!(&scene.reports[3], Report::Ended(o) if o.hook == "server-up/20-say-two" && o.took >= 10 * PAUSE));
}

#[tokio::test]
async fn only_a_mount_that_fails_keeps_the_others_from_running() {
    let cases = [
        (HookEvent::ServerUp, "20-mount-share", "one\n"),
        (HookEvent::ServerUp, "20-start-mpd", "one\nthree\n"),
        (HookEvent::ServerStopping, "20-mount-share", "one\nthree\n"),
    ];
    for (event, fails, ran) in cases {
        let mut scene = Scene::new(event)
            .hook("10-say-one", "echo one >>trace")
            .hook(fails, "exit 3")
            .hook("30-say-three", "echo three >>trace");
        assert_eq!(scene.play().await, Ending::SomeFailed);
        assert_eq!((scene.trace("trace").as_str(), &scene.results()[1]), (ran, &HookResult::Failed(3)));
    }
}

#[tokio::test]
async fn a_hook_finds_its_environment_and_the_event_on_its_input() {
    let script = "env >env; cat >input; readlink /proc/self/fd/0 >kind";
    let mut scene = Scene::new(HookEvent::ServerUp).hook("10-look-around", script);
    scene.run.stdin = b"{\"event\":\"server-up\"}\n".to_vec();
    scene.run.limits.per_hook = Duration::from_millis(90_700);
    assert_eq!(scene.play().await, Ending::AllDone);
    assert_eq!(scene.trace("input"), "{\"event\":\"server-up\"}\n");
    let environment = scene.trace("env");
    for line in [format!("{VARIABLE_ATTEMPT}=1"), format!("{VARIABLE_DEADLINE}=90")] {
        assert!(environment.lines().any(|l| l == line), "{line} in {environment}");
    }
    assert!(!environment.contains("CARGO"), "nothing of ours leaks: {environment}");
}

#[tokio::test]
async fn exit_111_is_tried_again_until_it_works_or_the_attempts_are_over() {
    let script = format!(
        "echo ${VARIABLE_ATTEMPT} >>trace; test -e trace2 && exit 0; test ${VARIABLE_ATTEMPT} = 2 && >trace2; exit 111"
    );
    let mut scene = Scene::new(HookEvent::ServerUp).hook("10-mount-share", &script);
    assert_eq!(scene.play().await, Ending::AllDone);
    assert_eq!((scene.trace("trace").as_str(), scene.results()), ("1\n2\n3\n", vec![HookResult::Done]));

    let mut scene = Scene::new(HookEvent::ServerUp).hook("10-mount-share", "echo x >>trace; exit 111");
    assert_eq!(scene.play().await, Ending::SomeFailed);
    assert_eq!((scene.trace("trace").as_str(), scene.results()), ("x\nx\nx\n", vec![HookResult::GaveUp]));
}

#[tokio::test]
async fn without_a_limit_exit_111_is_tried_until_overtaken() {
    let script = format!("test ${VARIABLE_ATTEMPT} = 6 && >sixth; exit 111");
    let mut scene = Scene::new(HookEvent::ServerUp).hook("10-mount-share", &script);
    scene.run.limits.temporary_attempts = None;
    assert_eq!(scene.play_until_cancelled_by("sixth").await, Ending::Cancelled);
    assert_eq!(scene.results(), [HookResult::Cancelled]);
}

#[tokio::test]
async fn a_deadline_ends_a_hook_with_all_its_children() {
    let script = "sleep 600 & echo $! >child; trap 'echo term >trace' TERM; wait";
    let mut scene = Scene::new(HookEvent::ServerStopping).hook("10-hang-about", script).hook("20-say-hello", ">hello");
    scene.run.limits.per_hook = SOON;
    assert_eq!(scene.play().await, Ending::SomeFailed);
    assert_eq!(scene.results(), [HookResult::TimedOut, HookResult::Done]);
    assert_eq!(scene.trace("trace"), "term\n");
    assert!(scene.is_gone("child"));
}

#[tokio::test]
async fn a_hook_that_ignores_sigterm_is_killed_with_all_its_children() {
    let script = "trap '' TERM; sleep 600 & echo $! >child; echo $$ >self; while :; do sleep 600; done";
    let mut scene = Scene::new(HookEvent::ServerStopping).hook("10-hang-about", script);
    let began = Instant::now();
    assert_eq!(scene.play_until_cancelled_by("self").await, Ending::Cancelled);
    assert!(began.elapsed() < LONG / 4, "{:?}", began.elapsed());
    assert!(scene.is_gone("self") && scene.is_gone("child"));
}

#[tokio::test]
async fn a_child_that_ignores_sigterm_does_not_outlive_its_hook() {
    let script = "sh -c 'trap \"\" TERM; echo $$ >child; while :; do sleep 600; done' & wait";
    let mut scene = Scene::new(HookEvent::ServerStopping).hook("10-hang-about", script);
    assert_eq!(scene.play_until_cancelled_by("child").await, Ending::Cancelled);
    assert!(scene.is_gone("child"));
}

#[tokio::test]
async fn a_cancellation_does_not_wait_for_the_next_attempt() {
    let mut scene = Scene::new(HookEvent::ServerUp).hook("10-mount-share", ">tried; exit 111");
    let (run, cancel, tried) = (scene.run.clone(), scene.cancel.clone(), scene.file("tried"));
    let watch = async {
        until(|| tried.exists()).await;
        tokio::time::sleep(SOON).await;
        cancel.cancel();
    };
    let began = Instant::now();
    let course = paced(run, scene.cancel.clone(), 100 * LONG, |report| scene.reports.push(report));
    assert_eq!(tokio::join!(course, watch).0, Ending::Cancelled);
    assert!(began.elapsed() < LONG / 4, "{:?}", began.elapsed());
    assert_eq!(scene.results(), [HookResult::Cancelled]);
}

#[tokio::test]
async fn all_has_ended_by_the_common_deadline() {
    let mut scene = Scene::new(HookEvent::ServerStopping)
        .hook("10-hang-about", "trap '' TERM; echo $$ >self; while :; do sleep 600; done")
        .hook("20-come-late", ">late");
    scene.run.limits.until = Some(Instant::now() + 2 * SOON);
    let margin = Duration::from_millis(600);
    assert_eq!(scene.play().await, Ending::SomeFailed);
    assert!(Instant::now() < scene.run.limits.until.unwrap() + margin);
    assert!(scene.is_gone("self") && !scene.file("late").exists());
    assert!(matches!(&scene.results()[..], [HookResult::TimedOut, HookResult::NotRun(why)] if why.contains("no time")));
}

#[tokio::test]
async fn a_cancellation_ends_the_run() {
    let mut scene = Scene::new(HookEvent::ServerStopping)
        .hook("10-hang-about", ">begun; exec sleep 600")
        .hook("20-come-late", ">late");
    assert_eq!(scene.play_until_cancelled_by("begun").await, Ending::Cancelled);
    assert_eq!((scene.results(), scene.file("late").exists()), (vec![HookResult::Cancelled], false));
    let reports = scene.reports.len();
    assert_eq!((scene.play().await, scene.reports.len()), (Ending::Cancelled, reports), "and none begins after it");
}

#[tokio::test]
async fn a_run_that_is_dropped_leaves_nothing_behind() {
    let mut scene = Scene::new(HookEvent::ServerUp).hook("10-hang-about", "sleep 600 & echo $! >child; wait");
    let child = scene.file("child");
    tokio::select! {
        ending = scene.play() => panic!("{ending:?}"),
        () = until(|| fs::read_to_string(&child).is_ok_and(|text| text.ends_with('\n'))) => {}
    }
    until(|| scene.is_gone("child")).await;
}

#[tokio::test]
async fn a_daemon_left_running_neither_holds_us_up_nor_dies() {
    let mut scene = Scene::new(HookEvent::ServerUp).hook("10-start-daemon", "sleep 600 & echo $! >child");
    let began = Instant::now();
    assert_eq!(scene.play().await, Ending::AllDone);
    assert!(began.elapsed() < LONG / 4, "{:?}", began.elapsed());
    assert!(!scene.is_gone("child"));
    kill(Pid::from_raw(scene.trace("child").trim().parse().unwrap()), nix::sys::signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn input_that_nobody_reads_is_no_obstacle() {
    let mut scene =
        Scene::new(HookEvent::ServerUp).hook("10-be-deaf", "exit 0").hook("20-read-late", "sleep 0.05; wc -c >n");
    scene.run.stdin = vec![b'x'; 1_000_000];
    assert_eq!(scene.play().await, Ending::AllDone);
    assert_eq!(scene.trace("n").trim(), "1000000");
}

#[tokio::test]
async fn a_hook_that_floods_neither_stalls_nor_fills_us() {
    let mut scene =
        Scene::new(HookEvent::ServerUp).hook("10-flood-us", "yes | head -c 6000000; yes | head -c 100000 >&2");
    let began = Instant::now();
    assert_eq!(scene.play().await, Ending::AllDone);
    assert!(began.elapsed() < LONG / 4, "{:?}", began.elapsed());
}

#[tokio::test]
async fn how_a_hook_died_is_told() {
    let mut scene = Scene::new(HookEvent::ServerStopping).hook("10-kill-itself", "kill -9 $$");
    assert_eq!(scene.play().await, Ending::SomeFailed);
    assert_eq!(scene.results(), [HookResult::Signal(9)]);
}

#[tokio::test]
async fn what_cannot_be_started_names_the_remedy() {
    let mut scene = Scene::new(HookEvent::ServerStopping)
        .raw("10-miss-interpreter", "#!/nowhere/python9\n")
        .raw("20-miss-everything", "\x01\x02")
        .hook("30-miss-itself", "")
        .hook("40-miss-directory", "")
        .hook("50-have-fault", ">never");
    scene.last().fault = Some("has no run bit".into());
    scene.run.hooks[3].directory = Some(scene.file("gone"));
    fs::remove_file(scene.file("30-miss-itself")).unwrap();
    assert_eq!(scene.play().await, Ending::SomeFailed);
    let expected = [
        "begins with `#!/nowhere/python9`, which is not there",
        "give it a first line such as `#!/bin/sh`",
        "30-miss-itself is gone",
        "its directory",
        "has no run bit",
    ];
    let results = scene.results();
    assert_eq!(results.len(), expected.len());
    for (result, why) in results.iter().zip(expected) {
        assert!(matches!(result, HookResult::NotRun(text) if text.contains(why)), "{result:?}, not {why}");
    }
    assert!(!scene.file("never").exists());
}

#[tokio::test]
async fn a_hook_that_is_just_being_written_is_waited_for() {
    let mut scene = Scene::new(HookEvent::ServerUp).hook("10-say-hello", ">hello");
    let writer = File::options().append(true).open(scene.file("10-say-hello")).unwrap();
    let done = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        drop(writer);
    };
    let (ending, ()) = tokio::join!(scene.play(), done);
    assert_eq!(ending, Ending::AllDone);
}

#[tokio::test]
async fn a_drill_runs_something_harmless_in_place_of_each_hook() {
    let mut scene =
        Scene::new(HookEvent::ServerStopping).hook("10-destroy-all", ">destroyed").hook("20-have-fault", "");
    scene.last().fault = Some("has no run bit".into());
    scene.run.drill = Some(scene.program("drill", "#!/bin/sh\necho $0 >$SCENE/drilled\n"));
    assert_eq!(scene.play().await, Ending::SomeFailed, "a drill shows the fault");
    assert!(scene.file("drilled").exists() && !scene.file("destroyed").exists());
    assert_eq!(scene.results(), [HookResult::Done, HookResult::NotRun("has no run bit".into())]);
}

#[tokio::test]
async fn an_old_script_speaks_to_the_server_on_descriptor_7() {
    let script = "echo \"Initializing $1\" >&7; printf 'half a line' >&7; readlink /proc/self/fd/0 >input; \
                  test /proc/$$/fd/6 -ef /proc/$$/fd/7 && basename $0 >name; pwd >cwd; ls /proc/$$/fd >fds";
    let mut scene = Scene::new(HookEvent::ServerUp).raw("pistopstart", &format!("#!/bin/sh\n{script}\n"));
    let home = scene.file("home with ' blank");
    fs::create_dir(&home).unwrap();
    *scene.last() = Hook {
        arguments: vec!["st;art $(touch evil)".into()],
        directory: Some(home.clone()),
        legacy_socket: true,
        ..scene.last().clone()
    };
    scene.run.stdin = b"not for old scripts".to_vec();
    assert_eq!(scene.play().await, Ending::AllDone);
    let texts: Vec<_> = scene.reports.iter().filter(|report| matches!(report, Report::Text(_))).cloned().collect();
    let expected = ["Initializing st;art $(touch evil)", "half a line"].map(|line| Report::Text(line.into()));
    assert_eq!(texts, expected);
    let left = |name: &str| fs::read_to_string(home.join(name)).unwrap_or_default();
    assert_eq!((left("input").trim(), left("name").trim()), ("/dev/null", "pistopstart"));
    assert_eq!(left("cwd").trim(), home.to_str().unwrap());
    assert!(!home.join("evil").exists());
    let descriptors: Vec<String> = left("fds").lines().map(String::from).collect();
    assert!(["0", "1", "2", "6", "7"].iter().all(|fd| descriptors.iter().any(|d| d == fd)), "{descriptors:?}");
}

#[test]
fn the_common_deadline_is_shared_between_work_and_sigterm() {
    let seconds = Duration::from_secs;
    let limits = |until| Limits { per_hook: seconds(60), until, kill_after: seconds(2), temporary_attempts: None };
    assert_eq!(limits(None).shares(), Some((seconds(60), seconds(2))));
    let far = limits(Some(Instant::now() + seconds(3600))).shares().unwrap();
    assert_eq!(far, (seconds(60), seconds(2)));
    let (time, kill_after) = limits(Some(Instant::now() + seconds(10))).shares().unwrap();
    assert!(time <= seconds(8) && time > seconds(7) && kill_after == seconds(2), "{time:?} {kill_after:?}");
    let (time, kill_after) = limits(Some(Instant::now() + seconds(2))).shares().unwrap();
    assert!(time <= seconds(1) && kill_after <= seconds(1), "{time:?} {kill_after:?}");
    assert_eq!(limits(Some(Instant::now())).shares(), None);
}
