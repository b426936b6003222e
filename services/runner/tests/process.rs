//! What shows only from outside: exit codes, standard error, and descriptors that come over `exec`. Each part of the
//! inside is this test program again, told by a variable what to be.
#![cfg(test)]

use runner::exit::{self, Failure};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PART: &str = "RUNNER_TEST_PART";

/// Plays the part that the variable names. Run by hand it does nothing.
#[test]
fn inside() {
    match std::env::var(PART).as_deref() {
        Ok("fail") => leave(exit::report("fserver", Err(Failure::Temporary("port 5555 is taken".into())))),
        Ok("log") => speak(),
        Ok("shout") => shout(),
        Ok("echo") => echo(),
        Ok("notify") => notify(),
        _ => {}
    }
}

/// libtest would wrap a plain return.
fn leave(code: std::process::ExitCode) {
    assert_eq!(code, std::process::ExitCode::from(111));
    std::process::exit(111)
}

fn speak() {
    runner::log::init("fclient");
    tracing::info!("first");
    tracing::debug!("second");
    runner::log::end();
    std::process::exit(0)
}

/// Says far more than a pipe holds, then a word on standard output, then ends.
fn shout() {
    runner::log::init("fclient");
    for number in 0..20_000 {
        tracing::info!("line {number}");
    }
    println!("said");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    // One at a time, until the thread has caught up.
    for _ in 0..1000 {
        tracing::info!("later");
        std::thread::sleep(Duration::from_millis(2));
    }
    leave(exit::report("fclient", Err(Failure::Temporary("enough".into()))))
}

fn echo() {
    let adopt = |fd| runner::descriptor::adopt(fd).unwrap_or_else(|why| panic!("{why}"));
    let (from, to) = (adopt(6), adopt(7));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut link = runner::descriptor::Duplex::new(from, to).unwrap();
        let mut heard = String::new();
        link.read_to_string(&mut heard).await.unwrap();
        link.write_all(heard.to_uppercase().as_bytes()).await.unwrap();
        link.shutdown().await.unwrap();
    });
}

fn notify() {
    runner::ready::ready("here\nand there");
    runner::ready::extend(Duration::from_secs(5));
    runner::ready::stopping();
}

fn part(name: &str) -> Command {
    shell(r#"exec "$0" --exact inside --nocapture"#, name)
}

/// The part with its descriptors as a piece of shell arranges them.
fn shell(script: &str, name: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).arg(std::env::current_exe().unwrap()).env(PART, name);
    command.env_remove("NOTIFY_SOCKET").env_remove(runner::log::VARIABLE);
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Reads nothing until the program has said everything, as multilog does on a full disk.
#[test]
fn a_log_that_takes_nothing_holds_nobody_up_and_the_loss_is_told() {
    let mut command = part("shout");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("said") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut told, &mut line).unwrap(), 0, "it ended before it had said all");
    }
    let mut stderr = child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let text = reader.join().unwrap();
    child.wait().unwrap();
    assert!(text.contains("info fclient: line 0\n") && text.contains("lines were lost while the log took none\n"));
    assert!(text.contains("info fclient: later\n") && text.ends_with("fclient: temporary: enough\n"), "{text}");
}

/// And nobody ever reads.
#[test]
fn a_log_that_never_takes_anything_does_not_keep_a_program_from_ending() {
    let mut command = part("shout");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(111));
}

#[test]
fn a_failure_is_one_line_and_an_exit_code() {
    let output = part("fail").output().unwrap();
    assert_eq!(output.status.code(), Some(111));
    assert_eq!(said(&output), "fserver: temporary: port 5555 is taken\n");
}

#[test]
fn a_log_line_off_a_terminal_has_no_time_and_no_colour() {
    let output = part("log").output().unwrap();
    assert_eq!(said(&output), "info fclient: first\n");
    let output = part("log").env(runner::log::VARIABLE, "debug").output().unwrap();
    assert_eq!(said(&output), "info fclient: first\ndebug fclient: second\n");
    let output = part("log").env(runner::log::VARIABLE, "loud").output().unwrap();
    assert!(said(&output).starts_with("warn fclient: PISTOP_LOG=`loud` is no level; use error"), "{output:?}");
}

#[test]
fn nobody_dies_of_a_standard_error_that_is_closed_broken_or_full() {
    for end in ["2>&-", "2>/dev/full", "2>&7"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let script = format!(r#"exec 7<&0 </dev/null; exec "$0" --exact inside --nocapture {end}"#);
        let run = |name| shell(&script, name).stdin(writer.try_clone().unwrap()).output().unwrap();
        assert_eq!(run("log").status.code(), Some(0), "{end}");
        assert_eq!(run("fail").status.code(), Some(111), "{end}");
    }
}

#[test]
fn descriptors_6_and_7_are_adopted_as_a_socket_and_as_pipes() {
    let mut child = shell(r#"exec 6<&0 7>&1 </dev/null >/dev/null; exec "$0" --exact inside"#, "echo")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"wait\n").unwrap();
    let mut heard = String::new();
    child.stdout.take().unwrap().read_to_string(&mut heard).unwrap();
    assert_eq!((heard.as_str(), child.wait().unwrap().code()), ("WAIT\n", Some(0)));

    let (mut near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    let script = r#"exec 6<&0 7<&0 </dev/null; exec "$0" --exact inside"#;
    let far = std::os::fd::OwnedFd::from(far);
    let mut child = shell(script, "echo").stdin(far).stdout(Stdio::null()).spawn().unwrap();
    near.write_all(b"wait\n").unwrap();
    near.shutdown(std::net::Shutdown::Write).unwrap();
    heard.clear();
    near.read_to_string(&mut heard).unwrap();
    assert_eq!((heard.as_str(), child.wait().unwrap().code()), ("WAIT\n", Some(0)));
}

#[test]
fn a_program_without_its_descriptors_says_who_gives_them() {
    let output = shell(r#"exec 6<&- 7<&-; exec "$0" --exact inside --nocapture"#, "echo").output().unwrap();
    assert!(said(&output).contains("descriptor 6 is not open; start this program under tcpclient"), "{output:?}");
}

#[test]
fn systemd_is_told_and_without_it_nobody_is() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("notify");
    let socket = UnixDatagram::bind(&place).unwrap();
    assert!(
        part("notify")
            .env("NOTIFY_SOCKET", &place)
            .stdout(File::create("/dev/null").unwrap())
            .status()
            .unwrap()
            .success()
    );
    let next = || {
        let mut bytes = [0; 200];
        let n = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..n]).into_owned()
    };
    assert_eq!(next(), "READY=1\nSTATUS=here; and there\n");
    assert_eq!(next(), "EXTEND_TIMEOUT_USEC=5000000\n");
    assert_eq!(next(), "STOPPING=1\n");
    let output = part("notify").output().unwrap();
    assert_eq!((output.status.code(), said(&output).as_str()), (Some(0), ""));
}
