//! `fclient mount`, `fclient unmount` and `pistop unmount`, run for real on file systems in memory: what is on a directory
//! goes, whoever keeps it is named, and everything else stays as it is.

mod sandbox;

use sandbox::Sandbox;

#[test]
fn a_missing_directory_is_made_and_the_line_of_fstab_is_used() {
    let text = r#"fclient mount; echo code $?; mounted "$MDRIVE"; fclient mount; echo code $?; mounted "$MDRIVE/""#;
    let told = Sandbox::new().run(text, &[]);
    told.ends(&[0, 0, 0, 1]).has("/my share is mounted: demo (tmpfs)").has("/my share is mounted already: demo");
}

#[test]
fn a_directory_may_be_named_in_place_of_the_setting() {
    let text = r#"fclient mount "$SHARE"; echo code $?; mounted "$SHARE"; fclient unmount "$SHARE"; echo code $?"#;
    let sandbox = Sandbox::new();
    let share = sandbox.share().display().to_string();
    sandbox.run(text, &[("MDRIVE", "/nowhere"), ("SHARE", &share)]).ends(&[0, 0, 0]).lacks("nowhere");
}

#[test]
fn whoever_keeps_it_busy_is_named_and_it_stays() {
    let text = r#"fclient mount; (cd "$MDRIVE" && exec sleep 1000) & inside=$!
        sleep 1000 >"$MDRIVE/a file" & open=$!
        await '[ "$(cat /proc/$inside/comm)$(cat /proc/$open/comm)" = sleepsleep ]'
        fclient unmount --deadline 3; echo code $?; mounted "$MDRIVE"
        echo "expected: sleep (process $inside, its working directory)"
        echo "expected: sleep (process $open, open: $MDRIVE/a file)""#;
    let told = Sandbox::new().run(text, &[]);
    told.ends(&[111, 0]).has("/my share is busy, held by sleep (process ").has("fclient: temporary: ");
    let words = told.words();
    let expected: Vec<&str> = words.lines().filter_map(|line| line.strip_prefix("expected: ")).collect();
    assert_eq!(expected.len(), 2);
    let failure = words.lines().find(|line| line.starts_with("fclient: temporary")).unwrap_or_default();
    assert!(expected.iter().all(|holder| failure.contains(holder)), "{words}");
}

#[test]
fn whoever_lets_go_in_time_is_waited_for() {
    let text = r#"fclient mount; sleep 1000 >"$MDRIVE/a file" & open=$!
        await '[ "$(cat /proc/$open/comm)" = sleep ]'
        fclient unmount --deadline 60 >"$SCRATCH/told" & unmount=$!
        await 'grep -q "is busy, held by sleep" "$SCRATCH/told"'
        kill $open; wait $unmount; echo code $?; mounted "$MDRIVE""#;
    Sandbox::new().run(text, &[]).ends(&[0, 1]);
}

#[test]
fn with_force_umount_a_busy_one_is_detached() {
    let text =
        r#"fclient mount; exec 9>"$MDRIVE/a file"; fclient unmount --deadline 3; echo code $?; mounted "$MDRIVE""#;
    let told = Sandbox::new().run(text, &[("FORCE_UMOUNT", "1")]);
    told.ends(&[0, 1]).has("is busy, held by sh (process 1, open: ").has("is detached");
}

#[test]
fn a_stack_goes_with_all_that_lies_on_it_and_the_neighbours_stay() {
    let text = r#"for turn in 1 2; do mount -t tmpfs demo "$MDRIVE"; done
        mkdir -p "$MDRIVE/a b/c" "$MDRIVE/a c"
        for inner in "a b" "a b" "a c"; do mount -t tmpfs demo "$MDRIVE/$inner"; done
        mkdir "$MDRIVE/a b/c" "$MDRIVE-2"; mount -t tmpfs demo "$MDRIVE/a b/c"; mount -t tmpfs demo "$MDRIVE-2"
        fclient unmount $LAZILY; echo code $?
        grep -c "my.040share" /proc/self/mountinfo; mounted "$MDRIVE-2""#;
    for lazily in ["", "--lazily"] {
        let sandbox = Sandbox::new();
        std::fs::create_dir(sandbox.share()).expect("it is empty");
        let told = sandbox.run(text, &[("LAZILY", lazily)]);
        told.ends(&[0, 0]);
        assert!(told.words().lines().any(|line| line == "1"), "only the neighbour is left: {}", told.words());
    }
}

#[test]
fn what_lies_below_a_directory_that_is_free_stays() {
    let text = r#"mkdir -p "$MDRIVE/disk"; mount -t tmpfs demo "$MDRIVE/disk"
        for how in "" --lazily; do fclient unmount $how; echo code $?; done; pistop unmount --lazily "$MDRIVE"; echo code $?
        mounted "$MDRIVE/disk""#;
    Sandbox::new().run(text, &[]).ends(&[0, 0, 0, 0]).has("/my share is not mounted");
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let text = r#"fclient mount --dry-run; echo code $?; mounted "$MDRIVE"; [ -e "$MDRIVE" ]; echo code $?
        fclient mount; fclient mount --dry-run; echo code $?
        fclient unmount --dry-run; fclient unmount --lazily --dry-run; pistop unmount --force --dry-run "$MDRIVE"
        mounted "$MDRIVE""#;
    let told = Sandbox::new().run(text, &[("PISTOP_DEADLINE", "21")]);
    told.ends(&[0, 1, 1, 0, 0]);
    told.has("would mount it by its line in /etc/fstab").has("would do nothing, demo (tmpfs) is mounted there");
    told.has("/my share (demo, tmpfs)\n").has("would unmount it when nobody uses it, within 17.0 s");
    told.has("would cut off its server, within 2.0 s\nwould detach it though it is in use, within 15.0 s");
    told.has("would write what is in memory to ");
}

#[test]
fn a_link_leads_to_the_share() {
    let text = r#"fclient mount; ln -s "my share" "$SCRATCH/link"; ln -s . "$SCRATCH/here"
        MDRIVE=$SCRATCH/here/link fclient mount; echo code $?
        MDRIVE=$SCRATCH/here/link fclient unmount; echo code $?; mounted "$MDRIVE""#;
    Sandbox::new().run(text, &[]).ends(&[0, 0, 1]).has("/my share is mounted already");
}

#[test]
fn a_file_in_the_place_of_the_directory_is_named() {
    let text = r#"touch "$MDRIVE"; fclient mount; echo code $?"#;
    let told = Sandbox::new().run(text, &[]);
    told.ends(&[100]).has("/my share cannot be made: File exists").has("a file has its place, move that away");
}

#[test]
fn a_full_disk_is_a_reason_to_try_again() {
    let text = r#"mkdir "$SCRATCH/full"; mount -t tmpfs -o nr_inodes=1 demo "$SCRATCH/full"
        MDRIVE=$SCRATCH/full/share; echo "demo $MDRIVE tmpfs noauto 0 0" >"$SCRATCH/fstab"
        fclient mount; echo code $?; mounted "$MDRIVE""#;
    Sandbox::new().run(text, &[]).ends(&[111, 1]).has("No space left on device").has("make room on the disk");
}

#[test]
fn without_the_right_to_mount_that_is_said_at_once() {
    let text = r#"fclient mount; setpriv --bounding-set -sys_admin --inh-caps -sys_admin fclient unmount --deadline 60
        echo code $?; mounted "$MDRIVE""#;
    Sandbox::new().run(text, &[("FORCE_UMOUNT", "1")]).ends(&[100, 0]).has("can be unmounted by root only");
}

#[test]
fn words_that_make_no_sense_are_refused_with_the_remedy() {
    let text = r#"fclient unmount my/share; echo code $?; fclient mount my/share; echo code $?
        fclient unmount --lazily /; echo code $?; pistop unmount --force /; echo code $?
        NFS_PORT=many fclient mount; echo code $?; fclient unmount --deadline never; echo code $?
        MDRIVE_SOURCE=nonsense fclient mount /new; echo code $?; fclient mount /new; echo code $?
        pistop unmount; echo code $?; fclient errand unmount /nowhere gently; echo code $?
        pistop errand sync /nowhere; echo code $?; pistop errand sync "$SCRATCH"; echo code $?"#;
    let told = Sandbox::new().run(text, &[]);
    told.ends(&[100, 100, 100, 100, 100, 100, 100, 111, 100, 200, 2, 0]);
    told.has("`my/share` is no absolute path; begin it with /").has("/ holds the whole machine and stays");
    told.has("MDRIVE_SOURCE `nonsense` names no directory of a server").has("set MDRIVE_SOURCE to SERVER:/PATH");
}

#[test]
fn a_mount_command_that_hangs_is_ended_with_its_helpers() {
    let text = r#"mkdir "$SCRATCH/bin"; printf '#!/bin/sh\necho about to hang\nsleep 1000\n' >"$SCRATCH/bin/mount"
        chmod 755 "$SCRATCH/bin/mount"; PATH=$SCRATCH/bin:$PATH timeout 30 fclient mount --deadline 2; echo code $?
        await '! pgrep -x sleep'; mounted "$MDRIVE""#;
    Sandbox::new().run(text, &[]).ends(&[111, 1]).has("did not return in time and was ended").has("about to hang");
}

#[test]
fn a_mount_command_that_lies_is_not_believed() {
    let text = r#"mkdir "$SCRATCH/bin"; ln -s /bin/true "$SCRATCH/bin/mount"
        PATH=$SCRATCH/bin:$PATH fclient mount; echo code $?"#;
    Sandbox::new().run(text, &[]).ends(&[111]).has("is still not mounted");
}

#[test]
fn of_several_disks_a_busy_one_does_not_keep_the_others() {
    let text = r#"for disk in 1 2 3; do mkdir -p "$SCRATCH/disk $disk"; mount -t tmpfs demo "$SCRATCH/disk $disk"; done
        exec 9>"$SCRATCH/disk 1/open"
        pistop unmount --deadline 4 "$SCRATCH/disk 1" "$SCRATCH/disk 2" "$SCRATCH/none"; echo code $?
        for disk in 1 2 3; do mounted "$SCRATCH/disk $disk"; done
        pistop unmount --force --deadline 4 "$SCRATCH/disk 1"; echo code $?; pistop unmount --lazily "$SCRATCH/disk 3"
        echo code $?; for disk in 1 3; do mounted "$SCRATCH/disk $disk"; done"#;
    let told = Sandbox::new().run(text, &[]);
    told.ends(&[111, 0, 1, 0, 0, 0, 1, 1]).has("pistop: temporary: ").has("/disk 2 is unmounted").has("/none is not");
}
