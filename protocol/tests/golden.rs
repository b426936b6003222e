//! The wire as files: whatever changes a byte of it shows up as a changed file under `tests/golden`.
//!
//! Every sample is encoded and compared with its file, and every file is decoded and compared with its sample. A file
//! without a sample and a sample without a file are failures; a variant without a sample does not compile. Lines and
//! datagrams are kept as they are; frames as a hex dump under one comment line, so that a change can be read. Facts are
//! JSON, one line a file, and need no sample: the file is the sample, and each fact must have one.
//!
//! After adding a sample, `PISTOP_WRITE_GOLDEN=1 cargo test -p protocol --test golden` writes the missing files. It
//! never overwrites one: bytes that are out in the world do not change.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod samples;

use protocol::Fact;
use protocol::datagram::Datagram;
use protocol::fact::{Plain, Shape, shapes};
use protocol::frame::{self, Frame};
use protocol::line::{self, ClientLine, ServerLine};
use protocol::{codec, message, topic};
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
    let expected = dump(value, &frame::encode(value));
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

/// What stands beside the fields of a fact in a body, and what hooks are told beside them.
const TAKEN: [&str; 5] = ["fact", "at", "clock", "id", "topic"];

/// The least that a fact of this shape may say, for a file that is to be written by hand.
fn least(shape: &Shape) -> Vec<u8> {
    let value = |plain: Plain| match plain {
        Plain::Flag => "false".into(),
        Plain::Number => "0.5".into(),
        Plain::Whole => "0".into(),
        Plain::Text => "\"\"".into(),
        Plain::Word(words) => format!("\"{}\"", words[0]),
    };
    let fields: String = shape.fields.iter().map(|f| format!(",\"{}\":{}", f.name, value(f.plain))).collect();
    format!("{{\"fact\":\"{}\"{fields}}}\n", shape.rule.name).into_bytes()
}

#[test]
fn facts() {
    for shape in shapes() {
        let name = shape.rule.name;
        let text = String::from_utf8(golden("fact", name, &least(shape))).unwrap();
        let fact: Fact = serde_json::from_str(&text).unwrap_or_else(|why| panic!("fact/{name}: {why}"));
        assert_eq!(serde_json::to_string(&fact).unwrap() + "\n", text, "fact/{name}: the JSON of it has changed");
        assert_eq!(serde_json::from_slice::<Fact>(&least(shape)).unwrap().rule(), shape.rule, "{name}");
        assert_eq!(fact.rule(), shape.rule);
    }
    assert_files_are("fact", &shapes().iter().map(|shape| shape.rule.name).collect::<Vec<_>>());
}

/// The name of a fact is that of its JSON, of its topic and of its folder; each of its fields is one variable.
#[test]
fn names_of_facts_and_fields_fit_wherever_they_are_used() {
    for Shape { rule, fields } in shapes() {
        let text = String::from_utf8(golden("fact", rule.name, b"")).unwrap();
        let body: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(body["fact"], rule.name);
        assert!(topic::word(rule.name).is_ok() && is_kebab(rule.name), "{}", rule.name);
        let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
        assert!(names.iter().all(|name| is_kebab(name) && !TAKEN.contains(name)), "{}: {names:?}", rule.name);
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{}: {names:?}", rule.name);
        let in_body: BTreeSet<&str> = body.keys().map(String::as_str).filter(|key| *key != "fact").collect();
        assert_eq!(in_body, names.iter().copied().collect(), "{}", rule.name);
        assert!(body.values().all(|value| value.is_string() || value.is_number() || value.is_boolean()));
    }
}

fn is_kebab(name: &str) -> bool {
    name.split('-').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}
