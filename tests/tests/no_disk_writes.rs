//! Memory cards die of being written to: camera and upload, set up as they come, write nothing to the disk. The whole
//! file tree that they see, but for `/run`, `/proc` and `/dev`, is an ext4 of its own over the real one, and the kernel
//! counts what is written to it.
#![allow(clippy::unwrap_used, missing_docs)]

mod sandbox;

use esp32::Camera;
use sandbox::{Sandbox, Told};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use tests::b2::{self, B2};
use tests::world::programs;
use tests::world::uploads::SECRET;

/// The disk, whose file system notes no reading, as on memory cards, and has no journal, which would be written late;
/// and a tree over it in which `enter PROGRAM...` runs something as a service is run. Both end with the namespace.
const DISK: &str = r#"
set -e
truncate -s 64m "$SCRATCH/disk"
mkfs.ext4 -q -O ^has_journal -E lazy_itable_init=0 "$SCRATCH/disk"
mkdir "$SCRATCH/mnt" "$SCRATCH/tree"
mount -o loop,noatime "$SCRATCH/disk" "$SCRATCH/mnt"
loop=$(findmnt -no SOURCE "$SCRATCH/mnt")
tree=$SCRATCH/tree
mkdir "$SCRATCH/mnt/upper" "$SCRATCH/mnt/work"
mount -t overlay tree -o "noatime,lowerdir=/,upperdir=$SCRATCH/mnt/upper,workdir=$SCRATCH/mnt/work" "$tree"
mount -t tmpfs run "$tree/run"
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
mkdir -p "$tree/etc/pistop/cameras"
cp "$SCRATCH/camera.toml" "$SCRATCH/upload.toml" "$SCRATCH/upload.credentials" "$tree/etc/pistop/"
cp "$SCRATCH/cam1" "$tree/etc/pistop/cameras/"
touch "$SCRATCH/begun"
written() { sync -f "$SCRATCH/mnt"; awk '{print $7}' "/sys/block/${loop#/dev/}/stat"; }
enter() { exec chroot "$tree" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/root LANG=C "$@"; }
"#;

/// Both run until enough is uploaded; then something else writes one byte.
const EVENING: &str = r#"
before=$(written)
(enter "$CAMERA" --config /etc/pistop/camera.toml) 2>"$SCRATCH/camera.log" & camera=$!
(enter "$UPLOAD" --config /etc/pistop/upload.toml) 2>"$SCRATCH/upload.log" & upload=$!
await '[ -e "$SCRATCH/enough" ]'
grep -o " $tree/run/pistop/cameras .* - tmpfs" /proc/self/mountinfo
kill -s TERM $camera; wait $camera; echo code $?
kill -s TERM $upload; wait $upload; echo code $?
after=$(written)
echo "sectors $((after - before))"
find "$SCRATCH/mnt/upper" -newer "$SCRATCH/begun" | sed 's/^/touched /'
printf x >"$tree/var/tmp/one-byte"
echo "control $(($(written) - after))"
"#;

fn number(told: &Told, name: &str) -> u64 {
    let line = told.words().lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    line.unwrap_or_else(|| panic!("no `{name}` in:\n{}", told.words()))
}

/// The settings are the examples, with the least that has to be set.
fn set_up(sandbox: &Sandbox, camera: &Camera, endpoint: &str) {
    let example = |name: &str| {
        let path = format!("{}/../example_config/client/etc/pistop/{name}", env!("CARGO_MANIFEST_DIR"));
        fs::read_to_string(path).unwrap()
    };
    let with = |text: String, key: &str, value: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap().to_owned();
        text.replace(&line, &format!("{key} = \"{value}\""))
    };
    let upload = with(with(example("upload.toml"), "endpoint", endpoint), "path-style", "1");
    let upload = with(upload, "bucket", b2::BUCKET);
    fs::write(sandbox.path("upload.toml"), upload).unwrap();
    fs::write(sandbox.path("camera.toml"), with(example("camera.toml"), "cameras", "cam1")).unwrap();
    fs::write(sandbox.path("cam1"), format!("URL={}\nSEGMENT_SEC=2\n", camera.url())).unwrap();
    let key = sandbox.path("upload.credentials");
    let profile = format!("[default]\naws_access_key_id = {}\naws_secret_access_key = {SECRET}\n", b2::KEY);
    fs::write(&key, profile).unwrap();
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Needs root, as only root has disks of its own.
#[test]
fn cameras_and_uploads_write_nothing_to_the_disk() {
    if !nix::unistd::geteuid().is_root() {
        return eprintln!("not root: no disk of its own can be made");
    }
    let camera = Camera::start(vec![]).unwrap();
    let storage = B2::start("127.0.0.1".parse().unwrap());
    let sandbox = Sandbox::new();
    set_up(&sandbox, &camera, &storage.endpoint());
    let enough = sandbox.path("enough");
    let waiter = std::thread::spawn(move || {
        let begun = Instant::now();
        while storage.segments().len() < 4 && begun.elapsed() < Duration::from_secs(50) {
            std::thread::sleep(Duration::from_millis(20));
        }
        fs::write(enough, "").unwrap();
        storage.segments().len()
    });
    let [camera, upload] = ["camera", "upload"].map(|name| programs::find(name).display().to_string());
    let told = sandbox.run(&format!("{DISK}{EVENING}"), &[("CAMERA", &camera), ("UPLOAD", &upload)]);
    let logs = ["camera.log", "upload.log"].map(|name| fs::read_to_string(sandbox.path(name)).unwrap_or_default());
    assert!(waiter.join().unwrap() >= 4, "{}\n{logs:?}", told.words());
    told.ends(&[0, 0]).has("/run/pistop/cameras ").lacks("touched ");
    assert_eq!(number(&told, "sectors "), 0, "{}\n{logs:?}", told.words());
    assert!(number(&told, "control ") > 0, "one byte would have been seen: {}", told.words());
}
