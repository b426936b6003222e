//! The hooks that we ship, each run for real: mounts in a mount namespace of its own, of a tmpfs that a private fstab
//! names; the power-off command is one that only writes a line.

mod sandbox;

use sandbox::Sandbox;

#[test]
fn the_share_is_mounted_once_and_unmounted_once() {
    let text = "up=$HOOKS/server-up/20-mount-share down=$HOOKS/server-stopping/50-unmount-share
        $up; echo code $?; mounted \"$MDRIVE\"; $up; echo code $?
        $down; echo code $?; mounted \"$MDRIVE\"; $down; echo code $?";
    assert_eq!(Sandbox::new().codes(text, &[]), [0, 0, 0, 0, 1, 0]);
}

#[test]
fn a_share_may_be_written_with_more_slashes_than_it_needs() {
    let sandbox = Sandbox::new();
    let text = "$HOOKS/server-up/20-mount-share
        MDRIVE=$MDRIVE/./ $HOOKS/server-stopping/50-unmount-share; echo code $?
        mounted \"$MDRIVE\"";
    assert_eq!(sandbox.codes(text, &[]), [0, 1]);
}

#[test]
fn a_share_that_cannot_be_mounted_is_tried_again() {
    let sandbox = Sandbox::new();
    sandbox.fstab("");
    assert_eq!(sandbox.codes("$HOOKS/server-up/20-mount-share; echo code $?", &[]), [111]);
}

#[test]
fn a_busy_share_is_tried_again_or_detached_if_that_is_wanted() {
    let text = "$HOOKS/server-up/20-mount-share; exec 9>\"$MDRIVE/open\"
        $HOOKS/server-stopping/50-unmount-share; echo code $?; mounted \"$MDRIVE\"";
    let deadline = ("PISTOP_DEADLINE", "4");
    assert_eq!(Sandbox::new().codes(text, &[deadline]), [111, 0]);
    assert_eq!(Sandbox::new().codes(text, &[deadline, ("FORCE_UMOUNT", "1")]), [0, 1]);
}

#[test]
fn a_lost_share_is_detached_though_it_is_busy() {
    let text = "$HOOKS/server-up/20-mount-share; exec 9>\"$MDRIVE/open\"; hook=$HOOKS/server-lost/50-unmount-lazily
        $hook; echo code $?; mounted \"$MDRIVE\"; $hook; echo code $?";
    assert_eq!(Sandbox::new().codes(text, &[]), [0, 1, 0]);
}

#[test]
fn without_a_share_there_is_nothing_to_do() {
    let text = "for hook in server-up/20-mount-share server-stopping/50-unmount-share server-lost/50-unmount-lazily \\
        going-down/60-unmount-disk; do \"$HOOKS/$hook\"; echo code $?; done";
    assert_eq!(Sandbox::new().codes(text, &[("MDRIVE", "")]), [0; 4]);
}

#[test]
fn the_servers_disk_is_unmounted_and_one_that_is_none_stays() {
    let text = "mkdir -p \"$MDRIVE\"; hook=$HOOKS/going-down/60-unmount-disk
        $hook; echo code $?; mount \"$MDRIVE\"; $hook; echo code $?; mounted \"$MDRIVE\"
        mount \"$MDRIVE\"; exec 9>\"$MDRIVE/open\"; $hook; echo code $?; mounted \"$MDRIVE\"";
    let variables = [("PISTOP_DEADLINE", "3"), ("FORCE_UMOUNT", "1")];
    Sandbox::new().run(text, &variables).ends(&[0, 0, 1, 100, 0]).has("/my share is not mounted").has("open: ");
}

#[test]
fn the_power_off_is_the_command_of_the_settings_and_nothing_without_one() {
    let sandbox = Sandbox::new();
    let off = sandbox.path("off");
    let text = "$HOOKS/power-off/90-power-off; echo code $?";
    let command = format!("touch {}", off.display());
    assert_eq!(sandbox.codes(text, &[("POWER_OFF_COMMAND", &command)]), [0]);
    assert!(off.exists());
    assert_eq!(sandbox.codes(text, &[]), [100]);
}

#[test]
fn the_disks_are_synced() {
    assert_eq!(Sandbox::new().codes("$HOOKS/clients-released/50-sync-disks; echo code $?", &[]), [0]);
}
