//! Idle processors that are kept from sleeping, as `cyclictest` keeps them: else what is measured between two events is
//! how long this machine's processors take to wake.

use std::fs::File;
use std::io::{self, Write};

/// As long as it is held no processor sleeps deeper than its first state.
#[derive(Debug)]
pub struct Awake(#[expect(dead_code, reason = "the kernel forgets the wish when this is closed")] File);

impl Awake {
    /// Asks the kernel for it, which only root may.
    pub fn keep() -> io::Result<Awake> {
        let mut wish = File::options().write(true).open("/dev/cpu_dma_latency")?;
        wish.write_all(&0i32.to_ne_bytes())?;
        Ok(Awake(wish))
    }
}
