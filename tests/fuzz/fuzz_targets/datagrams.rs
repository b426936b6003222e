//! Datagrams. What must hold is in `checks`.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::datagrams(bytes));
