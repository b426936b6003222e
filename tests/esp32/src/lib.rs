//! A camera like an ESP32-CAM with the CameraWebServer of arduino-esp32: MJPEG in chunks, one client at a time (a second one is accepted and gets no
//! answer), presets that a restart forgets; and every fault that such cameras are known for, by the clock or on demand. Its pictures show a moving thing
//! and, in blocks, their own number, so that a test can tell which of them were recorded.
//!
//! | module | what it does |
//! |---|---|
//! | [`script`] | the faults, and when they happen |
//! | [`scene`] | the pictures, and how to read their numbers |
//! | [`camera`] | the running camera, and its log of what clients did |
//! | `door`, `talk`, `wire` | connections, requests, the bytes of a response |

pub mod camera;
mod door;
pub mod scene;
pub mod script;
mod talk;
mod wire;

pub use camera::{Camera, Log, Preset};
pub use script::{Fault, Step};
