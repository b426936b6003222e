//! `pistop display` and `pistop notify` against real FIFOs and sockets: what arrives, and that nobody is ever waited for.
#![allow(clippy::unwrap_used, missing_docs)]

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::UdpSocket;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};
use tests::World;
use tests::world::programs;

/// Far more than the second that it may take, and far less than for ever.
const SOON: Duration = Duration::from_secs(10);

fn pistop(world: &World, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let began = Instant::now();
    let output = world.command(programs::find("pistop")).args(arguments).envs(variables.iter().copied()).output();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    output.unwrap()
}

/// It succeeded, and says this.
#[track_caller]
fn says(output: &Output, expected: &str) {
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains(expected), "`{expected}` is not in: {output:?}");
}

fn fifo(world: &World) -> PathBuf {
    let path = world.path("fifo");
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    path
}

/// The reading end of a FIFO, which does not wait for a writer.
fn reader(path: &Path) -> File {
    File::options().read(true).custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits()).open(path).unwrap()
}

fn all(fifo: &mut File) -> String {
    let mut bytes = Vec::new();
    let end = fifo.read_to_end(&mut bytes);
    assert!(end.is_ok() || end.is_err_and(|why| why.kind() == ErrorKind::WouldBlock));
    String::from_utf8(bytes).unwrap()
}

#[test]
fn four_lines_about_this_machine_arrive_in_a_fifo() {
    let world = World::new();
    let path = fifo(&world);
    let mut fifo = reader(&path);
    let output = pistop(&world, &["display", "load"], &[("LCD_FIFO", path.to_str().unwrap()), ("TZ", "UTC")]);
    says(&output, "");
    let text = all(&mut fifo);
    let lines: Vec<&str> = text.lines().collect();
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    assert_eq!(lines.len(), 4, "{text}");
    assert_eq!(lines[0].split(' ').count(), load.split(' ').take(3).count() + 3, "{text}");
    assert!(lines[0].starts_with("0 0 3:Load "), "{text}");
    assert!(lines[1].starts_with("1 0 0:"), "{text}");
    let time = lines[2].strip_prefix("2 0 0:").unwrap();
    let form: String = time.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_eq!(form, "99-99-99 99:99:99");
    assert_eq!(lines[3], format!("3 0 0:{} On", nix::unistd::gethostname().unwrap().to_string_lossy()));
}

#[test]
fn a_host_gets_a_datagram_for_each_line() {
    let world = World::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let port = socket.local_addr().unwrap().port().to_string();
    let variables = [("LCD_HOST", "127.0.0.1"), ("LCD_PORT", &port), ("LCD_FIFO", "")];
    says(&pistop(&world, &["display", "2 4 0:a  b"], &variables), "");
    let mut buffer = [0; 256];
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"2 4 0:a  b\n");
    says(&pistop(&world, &["display", "load"], &variables), "");
    for line in 0..4 {
        let length = socket.recv(&mut buffer).unwrap();
        assert!(buffer[..length].starts_with(format!("{line} 0 ").as_bytes()) && buffer[length - 1] == b'\n');
    }
}

#[test]
fn a_notice_arrives_on_a_desktop_of_its_own() {
    let world = World::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let config = world.path("fclient.toml");
    let port = socket.local_addr().unwrap().port();
    fs::write(&config, format!("power-off = true\nnotify-host = \"127.0.0.1\"\nnotify-port = {port}\n")).unwrap();
    let arguments = ["notify", "kitchen", "attic is up\nbody:forged", "--config", config.to_str().unwrap()];
    says(&pistop(&world, &arguments, &[]), "");
    let mut buffer = [0; 256];
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"summary:kitchen\nbody:attic is up body:forged\n");
}

#[test]
fn without_a_display_nothing_is_shown_and_that_is_said() {
    let world = World::new();
    says(&pistop(&world, &["display", "load"], &[]), "no display is set");
    says(&pistop(&world, &["notify", "a", "b"], &[]), "no desktop is set");
}

#[test]
fn a_fifo_that_nobody_reads_is_skipped() {
    let world = World::new();
    let path = fifo(&world);
    let output = pistop(&world, &["display", "PowerOff"], &[("LCD_FIFO", path.to_str().unwrap())]);
    says(&output, &format!("the display at {} is skipped: nobody reads it", path.display()));
}

#[test]
fn a_fifo_whose_reader_is_stuck_is_skipped() {
    let world = World::new();
    let path = fifo(&world);
    let _stuck = reader(&path);
    let nonblocking = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let mut writer = File::options().write(true).custom_flags(nonblocking).open(&path).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    let output = pistop(&world, &["notify", "a", "b"], &[("NOTIFY_FIFO", path.to_str().unwrap())]);
    says(&output, "is skipped: it is full, and its reader does not read");
}

#[test]
fn what_is_no_fifo_is_neither_written_to_nor_made() {
    let world = World::new();
    let path = world.path("precious");
    fs::write(&path, "photos").unwrap();
    let variable = [("LCD_FIFO", path.to_str().unwrap())];
    says(&pistop(&world, &["display", "load"], &variable), "is skipped: it is no FIFO");
    assert_eq!(fs::read_to_string(&path).unwrap(), "photos");
    fs::remove_file(&path).unwrap();
    says(&pistop(&world, &["display", "load"], &variable), "is skipped: No such file");
    assert!(!path.exists());
}

/// A name server that never answers: in a mount namespace of its own, the resolver asks a socket that nobody reads.
#[test]
fn a_name_that_resolves_slowly_is_skipped() {
    let world = World::new();
    let silent = UdpSocket::bind((world.address(), 53));
    let Ok(_silent) = silent else {
        return assert!(!nix::unistd::geteuid().is_root(), "port 53 is free on this address");
    };
    let (resolver, switch) = (world.path("resolv.conf"), world.path("nsswitch.conf"));
    fs::write(&resolver, format!("nameserver {}\noptions timeout:30 attempts:1\n", world.address())).unwrap();
    fs::write(&switch, "hosts: dns\n").unwrap();
    let text = format!(
        "mount --bind '{}' \"$(realpath /etc/resolv.conf)\" && mount --bind '{}' /etc/nsswitch.conf && exec '{}' display load",
        resolver.display(),
        switch.display(),
        programs::find("pistop").display()
    );
    let began = Instant::now();
    let mut command = world.command("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &text]).env("LCD_HOST", "display.invalid");
    let output = command.output().unwrap();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    says(&output, "the display at display.invalid port 1806 is skipped: no answer for 1 s");
}

#[test]
fn the_daemon_of_the_display_is_found_by_itself() {
    let world = World::new();
    let text = format!(
        "mount -t tmpfs none /run && mkdir /run/lcd-daemon && mkfifo /run/lcd-daemon/lcdfifo && \
         exec 3<>/run/lcd-daemon/lcdfifo && '{}' display '0 0 0:hello' && head -n1 <&3 > '{}'",
        programs::find("pistop").display(),
        world.path("shown").display()
    );
    let root: &[&str] = if nix::unistd::geteuid().is_root() { &[] } else { &["--map-root-user"] };
    let mut command = world.command("unshare");
    let status =
        command.arg("--mount").args(root).args(["--propagation", "private", "timeout", "10", "sh", "-c", &text]);
    assert!(status.status().unwrap().success());
    assert_eq!(fs::read_to_string(world.path("shown")).unwrap(), "0 0 0:hello\n");
}

#[test]
fn a_port_that_is_none_is_wrong() {
    let world = World::new();
    let output = pistop(&world, &["display", "load"], &[("LCD_HOST", "127.0.0.1"), ("LCD_PORT", "lcd")]);
    assert_eq!(output.status.code(), Some(100));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("variable LCD_PORT: `lcd` is no whole number"),
        "{output:?}"
    );
}
