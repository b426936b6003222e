//! What processes take while time passes.

use crate::bench::ground::numbers::{cpu_of_family, descendants, pss};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks at memory.
const LOOK: Duration = Duration::from_millis(500);

/// Some processes with all that they start.
pub(super) struct Family<'a>(pub(super) &'a [i32]);

/// What they took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    /// Processor time.
    pub(super) cpu: Duration,
    /// In so much time.
    pub(super) during: Duration,
    /// PSS of all together in KiB: half of the time it is no more.
    pub(super) usual: u64,
    /// The most.
    pub(super) most: u64,
}

impl Usage {
    /// Processor seconds a second.
    pub(super) fn rate(&self) -> f64 {
        self.cpu.as_secs_f64() / self.during.as_secs_f64()
    }
}

/// Looks at families until `done` says so.
pub(super) fn watch<const N: usize>(
    families: [Family<'_>; N],
    mut done: impl FnMut(Duration) -> io::Result<bool>,
) -> io::Result<[Usage; N]> {
    let (began, mut looked) = (Instant::now(), None::<Instant>);
    let before = cpu_of(&families)?;
    let mut memory: [Vec<u64>; N] = [const { Vec::new() }; N];
    while !done(began.elapsed())? {
        if looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            looked = Some(Instant::now());
            families.iter().zip(&mut memory).for_each(|(family, memory)| memory.push(family.memory()));
        }
        thread::sleep(Duration::from_millis(5));
    }
    let (after, during) = (cpu_of(&families)?, began.elapsed());
    let mut usages = [Usage::default(); N];
    for (nth, usage) in usages.iter_mut().enumerate() {
        memory[nth].sort_unstable();
        let (usual, most) = (memory[nth].get(memory[nth].len() / 2), memory[nth].last());
        let cpu = after[nth].saturating_sub(before[nth]);
        *usage = Usage { cpu, during, usual: *usual.unwrap_or(&0), most: *most.unwrap_or(&0) };
    }
    Ok(usages)
}

fn cpu_of(families: &[Family<'_>]) -> io::Result<Vec<Duration>> {
    families.iter().map(|family| family.0.iter().copied().map(cpu_of_family).sum()).collect()
}

impl Family<'_> {
    /// Who ends meanwhile takes none.
    fn memory(&self) -> u64 {
        let everybody = self.0.iter().flat_map(|&pid| [vec![pid], descendants(pid)].concat());
        everybody.map(|pid| pss(pid).unwrap_or(0)).sum()
    }
}
