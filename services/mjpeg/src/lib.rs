//! The eyes of `camera`: pictures from an ESP32 or any other camera that streams MJPEG over HTTP, through everything that such cameras do.
//!
//! ```text
//! socket -> Stream (head, body, pictures) -> Gate (quality) -> Watch (motion, frozen) -> channel -> the recorder
//! ```
//!
//! What always holds: a camera has one connection at a time, since an ESP32 serves one client only; nothing that a camera sends makes us keep
//! more than a picture's cap and one read; the recorder is told of a lost camera once for each cause, in words that name the remedy.
//!
//! | module | what it does |
//! |---|---|
//! | [`happening`] | what the recorder hears: [`Happening`], [`Frame`] |
//! | [`channel`] | the bounded way there, which loses the oldest picture and never a message |
//! | [`config`], [`url`] | where the camera is, and how patient we are |
//! | [`source`] | the one loop: connect, read, close, back off |
//! | [`stream`] | an HTTP response as a stream of pictures. Pure |
//! | [`jpeg`] | a picture without decoding it: is it whole, does something move. Pure |
//! | [`flaw`] | what is wrong with a picture |
//! | [`cause`] | why a camera is lost, and what to do about it |

pub mod cause;
pub mod channel;
pub mod config;
pub mod flaw;
pub mod happening;
pub mod jpeg;
pub mod source;
pub mod stream;
pub mod url;

pub use cause::Cause;
pub use channel::{Happenings, Teller, channel};
pub use config::Config;
pub use flaw::Flaw;
pub use happening::{Frame, Happening, Look, Size};
pub use source::run;
pub use url::Url;
