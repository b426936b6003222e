//! Keeps the ledger on the disk, in two files by turns: when the newest one is damaged, the one before it serves.

use super::core::Core;
use super::failure::Failure;
use super::ledger::Page;
use super::store::place;

/// Its two files.
pub(crate) const NAMES: [&str; 2] = ["ledger.0", "ledger.1"];

/// What is known of the files.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// Of the newest one on the disk.
    pub(crate) generation: u64,
    /// Whether that one says that the journal was closed in order.
    pub(crate) closed: bool,
}

impl Books {
    /// Writes down how things are. Records go first, by `sync`: no cursor on the disk is ahead of them.
    pub(crate) fn write(
        &mut self,
        core: &Core,
        sync: impl FnOnce() -> Result<(), Failure>,
        closed: bool,
    ) -> Result<(), Failure> {
        let generation = self.generation + 1;
        let (bytes, name) = (page(core, generation, closed), NAMES[(generation % 2) as usize]);
        let place = || place(&*core.store, name, &bytes).and_then(|_| core.store.sync());
        let placed = sync().and_then(|()| place().map_err(|why| core.refused(name, why)));
        if placed.is_err() {
            core.lock().unwritten = true;
            return placed;
        }
        (self.generation, self.closed) = (generation, closed);
        Ok(())
    }
}

/// How things are, without a copy of the cursors of thousands.
fn page(core: &Core, generation: u64, closed: bool) -> Vec<u8> {
    let second = core.now().second;
    let mut state = core.lock();
    (state.unwritten, state.asked) = (false, false);
    let shelf = &state.shelf;
    let (next, past, consumers, sources) = (shelf.next, &shelf.past, &shelf.consumers, shelf.sources.kept());
    Page { generation, closed, next, second, past, consumers, sources }.encode()
}
