//! Pictures of a camera. What must hold is in `mjpeg_checks`.
#![no_main]

#[path = "../mjpeg_checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::mjpeg_picture(bytes));
