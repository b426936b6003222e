//! The real automount of Debian, with maps of our own: going into the directory is what mounts it, and unmounting leaves
//! the trigger where it is and does not touch it again.

mod sandbox;

use sandbox::{Sandbox, Told};
use std::net::TcpListener;

/// One map of names below `$SCRATCH/auto`, one of whole paths. automount runs in a session of its own: to the kernel its
/// whole process group is the daemon, and triggers nothing. It keeps its marks in /run, so that gets one of our own.
const AUTOMOUNT: &str = r#"
mount -t tmpfs demo /run; mkdir "$SCRATCH/auto" "$SCRATCH/direct"
echo "MDrive -fstype=tmpfs,size=64k :shared" >"$SCRATCH/names"
echo "$SCRATCH/direct -fstype=tmpfs,size=64k :shared" >"$SCRATCH/paths"
echo "$SCRATCH/auto $SCRATCH/names --timeout=600" >"$SCRATCH/master"
echo "/- $SCRATCH/paths --timeout=600" >>"$SCRATCH/master"
setsid automount -f -v --pid-file "$SCRATCH/pid" "$SCRATCH/master" >"$SCRATCH/log" 2>&1 & automount=$!
await '[ "$(grep -c "mounted .*direct on" "$SCRATCH/log")" = 2 ]'
MDRIVE=$SCRATCH/auto/MDrive
"#;
/// It takes its mounts away when it ends.
const END: &str = "\nkill -CONT $automount; kill $automount; wait $automount; cat \"$SCRATCH/log\"";

fn told(text: &str, variables: &[(&str, &str)]) -> Told {
    let sandbox = Sandbox::new();
    sandbox.fstab("");
    sandbox.run(&format!("{AUTOMOUNT}{text}{END}"), variables)
}

#[test]
fn going_into_the_directory_mounts_it_and_unmounting_leaves_the_trigger() {
    let text = r#"fclient mount; echo code $?; mounted "$MDRIVE"; fclient mount; echo code $?
        fclient unmount; echo code $?; mounted "$MDRIVE"; fclient unmount; echo code $?
        fclient unmount --lazily; echo code $?; mounted "$MDRIVE"; mounted "$SCRATCH/auto""#;
    let told = told(text, &[]);
    told.ends(&[0, 0, 0, 0, 1, 0, 0, 1, 0]).has("/auto/MDrive is mounted: shared (tmpfs)").has("is mounted already");
    told.has("/auto/MDrive is unmounted; the automounter's trigger on ").has("/auto/MDrive is not mounted");
    assert_eq!(told.words().matches("attempting to mount entry").count(), 1, "{}", told.words());
}

#[test]
fn a_whole_path_that_is_watched_is_not_mounted_before_it_is_triggered() {
    let text = r#"MDRIVE=$SCRATCH/direct; fclient unmount; echo code $?; fclient mount --dry-run; echo code $?
        grep -c "$MDRIVE .* - tmpfs" /proc/self/mountinfo; fclient mount; echo code $?
        grep -c "$MDRIVE .* - tmpfs" /proc/self/mountinfo; fclient unmount --lazily; echo code $?; mounted "$MDRIVE"
        grep -c "$MDRIVE .* - tmpfs" /proc/self/mountinfo"#;
    let told = told(text, &[]);
    told.ends(&[0, 0, 0, 0, 0]).has("/direct is not mounted").has("so that the automounter (");
    let counted: Vec<&str> = told.words().lines().filter(|line| line.len() == 1).collect();
    assert_eq!(counted, ["0", "1", "0"], "{}", told.words());
    assert_eq!(told.words().matches("attempting to mount entry").count(), 1, "{}", told.words());
}

#[test]
fn a_busy_one_is_named_and_the_hooks_do_the_same() {
    let text = r#""$HOOKS/server-up/20-mount-share"; echo code $?; exec 9>"$MDRIVE/open"
        "$HOOKS/server-stopping/50-unmount-share"; echo code $?; mounted "$MDRIVE"
        "$HOOKS/server-lost/50-unmount-lazily"; echo code $?; mounted "$MDRIVE"; exec 9>&-"#;
    told(text, &[("PISTOP_DEADLINE", "4")]).ends(&[0, 111, 0, 0, 1]).has("is busy, held by sh (process 1, open: ");
}

#[test]
fn a_name_that_is_in_no_map_is_tried_again() {
    let told = told("fclient mount \"$SCRATCH/auto/other\"; echo code $?", &[]);
    told.ends(&[111]).has("/names did not mount ").has("look into the log and the map of the automounter");
}

#[test]
fn a_directory_inside_of_the_share_is_not_the_share() {
    let text =
        r#"fclient mount; mkdir "$MDRIVE/inside"; fclient unmount "$MDRIVE/inside"; echo code $?; mounted "$MDRIVE""#;
    told(text, &[]).ends(&[0, 0]).has("/inside is not mounted");
}

#[test]
fn a_server_that_does_not_answer_is_not_asked_for_by_the_automounter() {
    let closed =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("loopback is there");
    let port = closed.port().to_string();
    let told = told("fclient mount; echo code $?", &[("HOST", "127.0.0.1"), ("NFS_PORT", &port)]);
    told.ends(&[111]).has("127.0.0.1 does not answer at port").lacks("attempting to mount entry");
}

#[test]
fn an_automounter_that_hangs_is_not_waited_for() {
    let text = r#"kill -STOP $automount; timeout 20 fclient mount --deadline 2; echo code $?
        timeout 20 fclient unmount --lazily; echo code $?"#;
    told(text, &[]).ends(&[111, 0]).has("it did not return in time");
}
