//! The server's end of a link, cut into reads anyhow. What must hold is in `checks`.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::server_session(bytes));
