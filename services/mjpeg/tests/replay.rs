//! The checks of the cameras' fuzz targets, over their seeds (`tests/fuzz/seeds`), cut short at every byte, and over what proptest makes up.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../../../tests/fuzz/mjpeg_checks.rs"]
mod checks;

use checks::{CAP, read};
use mjpeg::Flaw;
use mjpeg::stream::Piece;
use proptest::collection::vec;
use proptest::prelude::*;
use std::path::PathBuf;

type Check = fn(&[u8]);

const CHECKS: [(&str, Check); 2] = [("mjpeg_stream", checks::mjpeg_stream), ("mjpeg_picture", checks::mjpeg_picture)];

fn fuzz(folder: &str) -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz").join(folder);
    folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn seeds() {
    for (name, check) in CHECKS {
        let seeds = fuzz(&format!("seeds/{name}"));
        assert!(!seeds.is_empty(), "no seeds for {name}");
        for bytes in seeds.iter().map(|path| std::fs::read(path).unwrap()) {
            (0..=bytes.len()).for_each(|end| check(&bytes[..end]));
        }
    }
}

/// A target without a check here, or a check without a target, would be forgotten.
#[test]
fn every_target_has_its_check() {
    let stem = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut targets: Vec<String> =
        fuzz("fuzz_targets").iter().map(stem).filter(|name| name.starts_with("mjpeg_")).collect();
    targets.sort();
    assert_eq!(targets, ["mjpeg_picture", "mjpeg_stream"]);
}

/// A JPEG as far as the reader of streams is concerned: header and data, in which anything may stand.
fn jpeg() -> impl Strategy<Value = Vec<u8>> {
    let thumbnail = prop_oneof![Just(&b""[..]), Just(&b"\xff\xe1\x00\x0a\xff\xd8\xff\xd9\xff\xd8\xff\xe0"[..])];
    (thumbnail, vec(any::<u8>(), 1..400)).prop_map(|(thumbnail, data)| {
        let stuffed = data.into_iter().flat_map(|byte| if byte == 0xff { vec![0xff, 0] } else { vec![byte] });
        let sof = b"\xff\xc0\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00";
        let sos = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00";
        [b"\xff\xd8", thumbnail, sof, sos, &stuffed.collect::<Vec<_>>(), b"\xff\xd9"].concat()
    })
}

/// How a part is wrong.
#[derive(Debug, Clone)]
enum Part {
    Good(Vec<u8>),
    Long(Vec<u8>, usize),
    Short(Vec<u8>),
    NoLength(Vec<u8>),
    Half(Vec<u8>),
    Empty,
    Rubbish(Vec<u8>),
    Loose(Vec<u8>),
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        4 => jpeg().prop_map(Part::Good),
        1 => (jpeg(), 1..3000_usize).prop_map(|(jpeg, more)| Part::Long(jpeg, more)),
        1 => jpeg().prop_map(Part::Short),
        1 => jpeg().prop_map(Part::NoLength),
        1 => jpeg().prop_map(Part::Half),
        1 => Just(Part::Empty),
        1 => vec(0..0xff_u8, 1..300).prop_map(Part::Rubbish),
        1 => vec(any::<u8>(), 1..3000).prop_map(Part::Loose),
    ]
}

impl Part {
    fn bytes(&self, end: &str, boundary: &str) -> Vec<u8> {
        let head = |length: Option<usize>| {
            let length = length.map_or(String::new(), |length| format!("Content-Length: {length}{end}"));
            format!("{boundary}Content-Type: image/jpeg{end}{length}X-Timestamp: 3.25{end}{end}").into_bytes()
        };
        let (head, body) = match self {
            Self::Good(jpeg) => (head(Some(jpeg.len())), &jpeg[..]),
            Self::Long(jpeg, more) => (head(Some(jpeg.len() + more)), &jpeg[..]),
            Self::Short(jpeg) => (head(Some(jpeg.len() / 3)), &jpeg[..]),
            Self::NoLength(jpeg) => (head(None), &jpeg[..]),
            Self::Half(jpeg) => (head(Some(jpeg.len())), &jpeg[..jpeg.len() - 2]),
            Self::Empty => (head(Some(0)), &[][..]),
            Self::Rubbish(bytes) => (head(Some(bytes.len())), &bytes[..]),
            Self::Loose(bytes) => (Vec::new(), &bytes[..]),
        };
        [&head, body].concat()
    }
}

/// A response of such parts.
fn response(parts: &[Part], end: &str, boundary: bool, chunk: Option<usize>) -> Vec<u8> {
    let boundary = if boundary { format!("{end}--b{end}") } else { String::new() };
    let body: Vec<u8> = parts.iter().flat_map(|part| part.bytes(end, &boundary)).collect();
    let coding = if chunk.is_some() { format!("Transfer-Encoding: chunked{end}") } else { String::new() };
    let mut response =
        format!("HTTP/1.1 200 OK{end}Content-Type: multipart/x-mixed-replace; boundary=b{end}{coding}{end}")
            .into_bytes();
    for chunk in body.chunks(chunk.unwrap_or(usize::MAX)) {
        match coding.is_empty() {
            true => response.extend_from_slice(chunk),
            false => response.extend([format!("{:x}{end}", chunk.len()).as_bytes(), chunk, end.as_bytes()].concat()),
        }
    }
    response
}

fn ends() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("\r\n"), Just("\n")]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// However the bytes are cut, the same comes out.
    #[test]
    fn cuts_change_nothing(
        parts in vec(part(), 0..12), end in ends(), boundary: bool, chunk in proptest::option::of(1..2000_usize), cut in 1..3000_usize,
    ) {
        let response = response(&parts, end, boundary, chunk);
        let whole = read(&response, response.len());
        prop_assert_eq!(&read(&response, cut), &whole);
        prop_assert_eq!(&read(&response, 1 + cut % 7), &whole);
    }

    /// Whatever is wrong with parts that are kept apart, no whole picture is lost, and none is made up.
    #[test]
    fn whole_pictures_come(
        parts in vec(part().prop_filter("loose bytes may swallow what follows", |part| !matches!(part, Part::Loose(_))), 0..12),
        end in ends(), chunk in proptest::option::of(1..2000_usize),
    ) {
        let response = response(&parts, end, true, chunk);
        let (pieces, over) = read(&response, response.len());
        let wanted: Vec<&[u8]> = parts.iter().filter_map(|part| match part {
            Part::Good(jpeg) | Part::Long(jpeg, _) | Part::Short(jpeg) | Part::NoLength(jpeg) => Some(&jpeg[..]),
            _ => None,
        }).collect();
        let mut came: Vec<&[u8]> = pieces.iter().filter_map(|piece| match piece {
            Piece::Picture { jpeg, .. } => Some(&jpeg[..]),
            Piece::Flaw(_) => None,
        }).collect();
        // Of the last one the end of its part was not seen, if that was too long; or it was half.
        let cut_off = over == Ok(Some(Flaw::Half));
        if cut_off && matches!(parts.last(), Some(Part::Long(..))) {
            came.push(wanted[wanted.len() - 1]);
        }
        prop_assert_eq!(came, wanted);
    }

    /// Random bytes, and random bytes among the words that mean something.
    #[test]
    fn anything(
        words in vec(prop_oneof![
            vec(any::<u8>(), 0..60),
            Just(b"\xff\xd8\xff".to_vec()), Just(b"\xff\xd9".to_vec()), Just(b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00".to_vec()),
            Just(b"\xff\xe0\xff\xff".to_vec()), Just(b"\xff\xe0\x00\x02".to_vec()), Just(b"\r\n--b\r\n".to_vec()), Just(b"\r\n\r\n".to_vec()),
            Just(b"Content-Length: 99999999999999999999\r\n".to_vec()), Just(b"Content-Length: 20\r\n".to_vec()),
            Just(b"ffffffffffffffff\r\n".to_vec()), Just(b"0\r\n\r\n".to_vec()), Just(vec![0x5a; CAP]),
        ], 0..60),
        chunked: bool, cut: u8,
    ) {
        let coding = if chunked { "Transfer-Encoding: chunked\r\n\r\n" } else { "\r\n" };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed\r\n{coding}");
        let body = words.concat();
        checks::mjpeg_stream(&[&[cut], head.as_bytes(), &body].concat());
        checks::mjpeg_stream(&[&[cut][..], &body].concat());
        checks::mjpeg_picture(&[b"\xff\xd8", &body[..]].concat());
    }
}
