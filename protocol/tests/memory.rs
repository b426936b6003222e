//! A length that lies inside a body costs nothing: the peak of this process's address space stays where it was. Alone
//! in its program, since the figure belongs to the whole process.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod samples;

use protocol::control::{Reply, Request};
use protocol::door::{Ask, Tell};
use protocol::{Message, codec};

/// What all hostile bodies together may add to the peak, in KiB; one believed length would add gigabytes.
const ALLOWED: u64 = 16 * 1024;

/// The highest amount of address space that this process has ever had, in KiB (proc_pid_status(5)).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Each byte of a good body in turn is replaced by a length without end, and what follows by enough to read.
fn hostile(body: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let lengths = [
        &[252, 0xff, 0xff, 0xff, 0x7f][..],
        &[253, 0, 0, 0, 0, 4, 0, 0, 0],
        &[253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ];
    let places = 0..body.len();
    places.flat_map(move |at| lengths.map(|length| [&body[..at], length, &body[at + 1..], &[1; 64]].concat()))
}

#[test]
fn a_lying_length_allocates_nothing_large() {
    let frames = samples::frames().into_iter().map(|sample| codec::encode(&sample.value));
    let requests = samples::requests().into_iter().map(|sample| codec::encode(&sample.value));
    let replies = samples::replies().into_iter().map(|sample| codec::encode(&sample.value));
    let asks = samples::asks().into_iter().map(|sample| codec::encode(&sample.value));
    let tells = samples::tells().into_iter().map(|sample| codec::encode(&sample.value));
    let bodies: Vec<Vec<u8>> = frames.chain(requests).chain(replies).chain(asks).chain(tells).collect();
    let before = peak();
    for body in bodies.iter().flat_map(|body| hostile(body)) {
        let _ = (codec::decode::<Message>(&body), codec::decode::<Request>(&body), codec::decode::<Reply>(&body));
        let _ = (codec::decode::<Ask>(&body), codec::decode::<Tell>(&body));
    }
    assert!(peak() - before < ALLOWED, "the peak grew by {} KiB", peak() - before);
}
