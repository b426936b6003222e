//! Responses of a camera, cut into reads anyhow. What must hold is in `mjpeg_checks`.
#![no_main]

#[path = "../mjpeg_checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::mjpeg_stream(bytes));
