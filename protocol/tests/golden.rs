//! The wire as files: whatever changes a byte of it shows up as a changed file under `tests/golden`.
//!
//! Every sample is encoded and compared with its file, and every file is decoded and compared with its sample. A file
//! without a sample and a sample without a file are failures; a variant without a sample does not compile. Lines and
//! datagrams are kept as they are; frames as a hex dump under one comment line, so that a change can be read.
//!
//! After adding a sample, `PISTOP_WRITE_GOLDEN=1 cargo test -p protocol --test golden` writes the missing files. It
//! never overwrites one: bytes that are out in the world do not change.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod samples;

use protocol::datagram::Datagram;
use protocol::frame::{self, Frame};
use protocol::line::{self, ClientLine, ServerLine};
use protocol::{codec, message};
use samples::Sample;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeSet;
use std::fmt::{Debug, Write as _};
use std::path::PathBuf;

const WRITE: &str = "PISTOP_WRITE_GOLDEN";

fn folder(kind: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden").join(kind)
}

/// The content of a golden file; written first if it is missing and that was asked for.
fn golden(kind: &str, name: &str, expected: &[u8]) -> Vec<u8> {
    let path = folder(kind).join(name);
    if !path.exists() && std::env::var_os(WRITE).is_some() {
        std::fs::create_dir_all(folder(kind)).unwrap();
        std::fs::write(&path, expected).unwrap();
    }
    std::fs::read(&path).unwrap_or_else(|why| panic!("{}: {why}; set {WRITE}=1 to write it", path.display()))
}

/// No file may be left without a sample, or it would no longer be checked.
fn assert_files_are(kind: &str, names: &[&str]) {
    let files: BTreeSet<String> =
        folder(kind).read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let samples: BTreeSet<String> = names.iter().map(|&name| name.into()).collect();
    assert_eq!(files, samples, "files (left) and samples (right) of tests/golden/{kind} differ");
    assert_eq!(names.len(), samples.len(), "two samples of one name");
}

/// A value for people, then its frame: offset, bytes, and what of them is text.
fn dump(value: &impl Debug, frame: &[u8]) -> String {
    let mut text = format!("# {value:?}\n");
    for (row, bytes) in frame.chunks(16).enumerate() {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x} ")).collect();
        let plain: String = bytes.iter().map(|&b| if b.is_ascii_graphic() { b as char } else { '.' }).collect();
        writeln!(text, "{:04x}  {hex:<48} {plain}", row * 16).unwrap();
    }
    text
}

/// The bytes of a [`dump`].
fn undump(text: &str) -> Vec<u8> {
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.flat_map(|row| row[6..54].split_whitespace().map(|hex| u8::from_str_radix(hex, 16).unwrap())).collect()
}

/// Encodes, compares, decodes, compares.
fn assert_frame<T: Serialize + DeserializeOwned + Debug + PartialEq>(kind: &str, sample: &Sample<T>) {
    let Sample { name, value } = sample;
    let expected = dump(value, &frame::encode_body(&codec::encode(value)));
    let text = String::from_utf8(golden(kind, name, expected.as_bytes())).unwrap();
    assert_eq!(text, expected, "tests/golden/{kind}/{name}: the bytes on the wire have changed");
    let bytes = undump(&text);
    let (body, used) = frame::take_body(&bytes).unwrap().unwrap();
    assert_eq!((codec::decode::<T>(body).as_ref(), used), (Ok(value), bytes.len()), "{kind}/{name}");
}

/// The bytes of a line with its end; a hello with a bad name is what only strangers send.
fn client_bytes(line: &ClientLine) -> Vec<u8> {
    match line {
        ClientLine::BadHello(_) => b"wait pistop/2 kit/chen\n".to_vec(),
        line => line.encode(),
    }
}

fn assert_line<L: Debug + PartialEq>(sample: &Sample<L>, expected: Vec<u8>, parse: impl Fn(&[u8]) -> L) {
    let Sample { name, value } = sample;
    let bytes = golden("line", name, &expected);
    assert_eq!(bytes.escape_ascii().to_string(), expected.escape_ascii().to_string(), "tests/golden/line/{name}");
    let (line, used) = line::take(&bytes).unwrap().unwrap();
    assert_eq!((&parse(line), used), (value, bytes.len()), "line/{name}");
}

#[test]
fn lines() {
    let (client, server) = (samples::client_lines(), samples::server_lines());
    for sample in &client {
        assert_eq!(samples::client_line_name(&sample.value), sample.name);
        assert_line(sample, client_bytes(&sample.value), ClientLine::parse);
    }
    for sample in &server {
        assert_eq!(samples::server_line_name(&sample.value), sample.name);
        assert_line(sample, sample.value.encode(), ServerLine::parse);
    }
    let names: Vec<&str> = client.iter().map(|s| &*s.name).chain(server.iter().map(|s| &*s.name)).collect();
    assert_files_are("line", &names);
}

#[test]
fn datagrams() {
    let samples = samples::datagrams();
    for Sample { name, value } in &samples {
        assert_eq!(samples::datagram_name(value), name);
        let bytes = golden("datagram", name, &value.encode());
        assert_eq!(bytes.escape_ascii().to_string(), value.encode().escape_ascii().to_string(), "datagram/{name}");
        assert_eq!(Datagram::decode(&bytes).as_ref(), Some(value), "datagram/{name}");
    }
    assert_files_are("datagram", &samples.iter().map(|s| &*s.name).collect::<Vec<_>>());
}

#[test]
fn frames() {
    let frames = samples::frames();
    for sample in &frames {
        assert_frame("frame", sample);
        let bytes = frame::encode(&sample.value);
        assert_eq!(frame::take(&bytes), Ok(Some((Frame::Known(sample.value.clone()), bytes.len()))));
    }
    for Sample { name, value } in samples::messages() {
        assert_eq!(samples::message_name(&value), name);
    }
    for Sample { name, value } in samples::hook_results() {
        assert_eq!(samples::hook_result_name(&value), name);
    }
    assert_files_are("frame", &frames.iter().map(|s| &*s.name).collect::<Vec<_>>());
}

#[test]
fn every_kind_of_frame_is_counted() {
    let kinds: BTreeSet<u32> =
        samples::messages().iter().map(|s| codec::variant(&codec::encode(&s.value)).unwrap()).collect();
    assert_eq!(kinds, (0..message::KINDS).collect(), "KINDS is not the number of variants of Message");
}

#[test]
fn control() {
    let (requests, replies) = (samples::requests(), samples::replies());
    for sample in &requests {
        assert_eq!(samples::request_name(&sample.value), sample.name);
        assert_frame("control", sample);
    }
    for sample in &replies {
        assert_eq!(samples::reply_name(&sample.value), sample.name);
        assert_frame("control", sample);
    }
    let names: Vec<&str> = requests.iter().map(|s| &*s.name).chain(replies.iter().map(|s| &*s.name)).collect();
    assert_files_are("control", &names);
}

#[test]
fn door() {
    let (asks, tells) = (samples::asks(), samples::tells());
    for sample in &asks {
        assert_eq!(samples::ask_name(&sample.value), sample.name);
        assert_frame("door", sample);
    }
    for sample in &tells {
        assert_eq!(samples::tell_name(&sample.value), sample.name);
        assert_frame("door", sample);
    }
    let names: Vec<&str> = asks.iter().map(|s| &*s.name).chain(tells.iter().map(|s| &*s.name)).collect();
    assert_files_are("door", &names);
}
