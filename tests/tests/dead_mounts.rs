//! Servers that are dead, silent or not what they seem. The dead one is a real file system whose daemon is stopped, so that
//! whoever asks it waits for ever; the silent ones are ports. Nothing of ours may wait with them.

mod sandbox;

use nix::sys::socket::{Backlog, listen};
use sandbox::Sandbox;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// A share served by bindfs, which is then stopped while somebody reads. `wait_for_reader` returns when that reader
/// waits inside the kernel: the control file system of FUSE counts it.
const DEAD_SHARE: &str = r#"
mkdir -p "$MDRIVE" "$SCRATCH/source" "$SCRATCH/fuse"; echo music >"$SCRATCH/source/file"
mount -t fusectl none "$SCRATCH/fuse"
bindfs -f "$SCRATCH/source" "$MDRIVE" & daemon=$!
await 'grep -q " - fuse " /proc/self/mountinfo'
cat "$MDRIVE/file"
number=$(sed -n 's/^[0-9]* [0-9]* [0-9]*:\([0-9]*\) .* - fuse .*/\1/p' /proc/self/mountinfo)
kill -STOP $daemon
wait_for_reader() {
	ls "$MDRIVE" & reader=$!
	await '[ "$(cat "$SCRATCH/fuse/$number/waiting")" != 0 ]'
}
"#;

fn told(text: &str, variables: &[(&str, &str)]) -> sandbox::Told {
    let told = Sandbox::new().run(&format!("{DEAD_SHARE}{text}"), variables);
    told.has("music");
    told
}

#[test]
fn a_lost_share_is_detached_in_time_and_its_parent_answers() {
    let text = r#"wait_for_reader
        timeout 20 fclient unmount --lazily --deadline 10; echo code $?; mounted "$MDRIVE"
        timeout 2 ls "$SCRATCH"; echo code $?; timeout 2 ls "$MDRIVE"; echo code $?; timeout 2 df >/dev/null; echo code $?
        wait $reader"#;
    told(text, &[]).ends(&[0, 1, 0, 0, 0]).has("connection abort").lacks("is busy");
}

#[test]
fn the_hook_of_a_lost_server_does_it_in_the_time_it_has() {
    let text = r#"wait_for_reader; timeout 20 "$HOOKS/server-lost/50-unmount-lazily"; echo code $?; mounted "$MDRIVE""#;
    told(text, &[("PISTOP_DEADLINE", "5")]).ends(&[0, 1]);
}

#[test]
fn a_dead_share_that_is_in_use_stays_in_time_and_goes_if_that_is_wanted() {
    let text = r#"wait_for_reader
        timeout 20 fclient unmount --deadline 3; echo code $?; mounted "$MDRIVE"
        FORCE_UMOUNT=1 timeout 20 fclient unmount --deadline 6; echo code $?; mounted "$MDRIVE"
        wait $reader"#;
    told(text, &[]).ends(&[111, 0, 0, 1]).has("does one wait for its server").has("connection abort");
}

#[test]
fn a_dead_disk_of_the_server_stays_in_time_and_goes_if_that_is_wanted() {
    let text = r#"wait_for_reader
        timeout 20 pistop unmount --deadline 3 "$MDRIVE"; echo code $?; mounted "$MDRIVE"
        timeout 20 pistop unmount --lazily --deadline 3 "$MDRIVE"; echo code $?; mounted "$MDRIVE""#;
    told(text, &[]).ends(&[111, 0, 0, 1]);
}

#[test]
fn a_dead_share_below_another_one_goes_too() {
    let text = r#"mount -t tmpfs demo "$SCRATCH/source"; wait_for_reader
        timeout 20 fclient unmount --lazily "$MDRIVE"; echo code $?; mounted "$MDRIVE"; mounted "$SCRATCH/source""#;
    told(text, &[]).ends(&[0, 1, 0]);
}

#[test]
fn to_look_at_a_dead_share_waits_for_nobody() {
    let text = r#"wait_for_reader
        timeout 10 fclient mount; echo code $?; timeout 10 fclient mount --dry-run; echo code $?
        timeout 10 fclient unmount --dry-run; echo code $?; timeout 10 pistop unmount --dry-run "$MDRIVE"; echo code $?
        timeout 10 fclient mount "$MDRIVE/inside"; echo code $?; timeout 10 fclient unmount "$MDRIVE/inside"; echo code $?
        timeout 10 fclient check --server attic >"$SCRATCH/check"; [ $? = 124 ]; echo code $?"#;
    told(text, &[]).ends(&[0, 0, 0, 0, 111, 0, 1]).has("is mounted already");
}

#[test]
fn to_make_a_directory_on_a_dead_share_ends_in_time() {
    let text = r#"echo "demo $MDRIVE/inside tmpfs noauto 0 0" | sed 's/my share/my\\040share/' >"$SCRATCH/fstab"
        timeout 20 fclient mount --deadline 2 "$MDRIVE/inside"; echo code $?"#;
    told(text, &[]).ends(&[111]).has("cannot be made: it did not return in time");
}

/// A port at which nobody listens any more.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("loopback is there").port()
}

/// A port whose queue is full: the kernel drops whoever comes, as a firewall does.
fn silent_port() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    listen(&listener, Backlog::new(1).expect("one is a length")).expect("it listens already");
    let address = listener.local_addr().expect("it is bound");
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
        waiting.push(stream);
        assert!(waiting.len() < 100, "the queue never fills");
    }
    (address, listener, waiting)
}

const BOTH_WAYS: &str = r#"echo "127.0.0.1:/x $SCRATCH/line nfs4 noauto 0 0" >"$SCRATCH/fstab"
    fclient mount "$SCRATCH/line"; echo code $?; MDRIVE_SOURCE=127.0.0.1:/x fclient mount "$SCRATCH/new"; echo code $?
    [ -e "$SCRATCH/new" ]; echo code $?"#;

#[test]
fn a_closed_port_is_said_soon_and_nothing_is_touched() {
    let port = closed_port().to_string();
    let began = Instant::now();
    let told = Sandbox::new().run(BOTH_WAYS, &[("NFS_PORT", &port)]);
    // Neither waits for any time-out.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    told.ends(&[111, 111, 1]);
    let sentence = format!("127.0.0.1 does not answer at port {port}: Connection refused");
    assert_eq!(told.words().matches(&sentence).count(), 2, "{}", told.words());
}

#[test]
fn a_port_that_never_answers_is_said_in_time() {
    let (address, _listener, _waiting) = silent_port();
    let began = Instant::now();
    let told = Sandbox::new().run(BOTH_WAYS, &[("NFS_PORT", &address.port().to_string()), ("PISTOP_DEADLINE", "6")]);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    told.ends(&[111, 111, 1]);
    assert_eq!(told.words().matches("Connection timed out").count(), 2, "{}", told.words());
}

#[test]
fn a_name_that_nobody_knows_is_said() {
    let text = "MDRIVE_SOURCE=no.such.host.invalid:/x fclient mount --deadline 5; echo code $?";
    let sandbox = Sandbox::new();
    sandbox.fstab("");
    sandbox.run(text, &[]).ends(&[111]).has("no.such.host.invalid does not answer at port 2049: ");
}

/// Whoever listens here takes the connection and says nothing. A kernel with NFS waits for it, until the deadline; one
/// without says so.
#[test]
fn a_kernel_without_nfs_is_named_with_the_remedy() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let port = listener.local_addr().expect("it is bound").port().to_string();
    let text =
        "timeout 20 fclient mount --deadline 3; echo code $?; mounted \"$MDRIVE\"; [ -d \"$MDRIVE\" ]; echo code $?";
    let sandbox = Sandbox::new();
    sandbox.fstab("");
    let told = sandbox.run(text, &[("MDRIVE_SOURCE", "/x"), ("PISTOP_HOST", "127.0.0.1"), ("NFS_PORT", &port)]);
    let known = std::fs::read_to_string("/proc/filesystems").is_ok_and(|known| known.contains("\tnfs4\n"));
    match known || Path::new("/sbin/mount.nfs4").exists() {
        true => assert_eq!(told.codes()[1..], [1, 0], "{}", told.words()),
        false => drop(told.ends(&[100, 1, 0]).has("this kernel has no NFS: run `modprobe nfs`")),
    }
}
