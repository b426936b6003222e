//! What the programs take, and whether that grew. The lowest of each quarter is looked at, which nothing that passes
//! raises and every leak does; the first quarter, in which everything reaches its size, does not count. Pure.

use std::fmt::Write;

/// What a program takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Memory, in KiB.
    pub memory: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Threads.
    pub threads: u64,
}

/// What both take at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sample {
    /// The recorder.
    pub camera: Taken,
    /// The uploader.
    pub upload: Taken,
}

/// What is looked at: its name, how to read it, and what it may be in the end by what it was.
struct Measure {
    name: &'static str,
    read: fn(&Sample) -> u64,
    most: fn(u64) -> u64,
}

/// Pictures of two sizes and monstrous ones have buffers of their own, one to three megabytes for each camera; which of
/// them are there at a moment depends on what went wrong before it.
fn some_buffers(before: u64) -> u64 {
    before + before / 20 + 8 * 1024
}

/// A heap that is used by turns keeps a little more here and there.
fn some_memory(before: u64) -> u64 {
    before + before / 20 + 2048
}

/// Connections that are kept for the next request, threads that wait for the next file.
fn a_few(before: u64) -> u64 {
    before + 3
}

/// Three segments are sent at a time, each out of a file and over a connection; in a short run that may be so for a quarter.
fn what_is_sent(before: u64) -> u64 {
    before + 6
}

const MEASURES: [Measure; 6] = [
    Measure { name: "memory of camera, KiB", read: |sample| sample.camera.memory, most: some_buffers },
    Measure { name: "descriptors of camera", read: |sample| sample.camera.descriptors, most: a_few },
    Measure { name: "threads of camera", read: |sample| sample.camera.threads, most: a_few },
    Measure { name: "memory of upload, KiB", read: |sample| sample.upload.memory, most: some_memory },
    Measure { name: "descriptors of upload", read: |sample| sample.upload.descriptors, most: what_is_sent },
    Measure { name: "threads of upload", read: |sample| sample.upload.threads, most: a_few },
];

/// What grew: its name, the lowest of the second quarter, and that of the last.
pub fn grown(samples: &[Sample]) -> Vec<String> {
    let judged = |measure: &Measure| {
        let [_, second, _, last] = lowest(samples, measure.read);
        (last > (measure.most)(second)).then(|| format!("{}: {second}, then {last}", measure.name))
    };
    MEASURES.iter().filter_map(judged).collect()
}

/// Prints the lowest of each quarter.
pub fn print(samples: &[Sample]) {
    let mut text = format!("\n{:26}", "lowest of a quarter");
    for head in ["first", "second", "third", "last"] {
        let _ = write!(text, "{head:>10}");
    }
    for Measure { name, read, .. } in &MEASURES {
        let _ = write!(text, "\n{name:26}");
        for value in lowest(samples, *read) {
            let _ = write!(text, "{value:>10}");
        }
    }
    println!("{text}\n");
}

fn lowest(samples: &[Sample], read: fn(&Sample) -> u64) -> [u64; 4] {
    let bound = |quarter: usize| samples.len() * quarter / 4;
    [0, 1, 2, 3].map(|quarter| samples[bound(quarter)..bound(quarter + 1)].iter().map(read).min().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(read: impl Fn(u64) -> Taken) -> Vec<Sample> {
        (0..40).map(|at| Sample { camera: read(at), upload: Taken::default() }).collect()
    }

    #[test]
    fn a_leak_is_seen_and_what_passes_is_not() {
        let peaks = samples(|at| Taken { memory: 20_000 + at % 7 * 9000, descriptors: 20 + at % 3 * 30, threads: 12 });
        assert_eq!(grown(&peaks), [""; 0]);
        let leak = samples(|at| Taken { memory: 20_000, descriptors: 20 + at / 3, threads: 12 });
        assert_eq!(grown(&leak), ["descriptors of camera: 23, then 30"]);
        let leak = samples(|at| Taken { memory: 20_000 + at * 600, descriptors: 20, threads: 12 });
        assert_eq!(grown(&leak), ["memory of camera, KiB: 26000, then 38000"]);
    }

    #[test]
    fn what_grows_in_the_first_quarter_only_has_reached_its_size() {
        let warm = samples(|at| Taken { memory: 10_000 + at.min(10) * 2000, descriptors: 9, threads: 3 });
        assert_eq!(grown(&warm), [""; 0]);
    }
}
