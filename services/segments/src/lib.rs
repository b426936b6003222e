//! The folder between a recorder and an uploader: one folder a camera, one `.ts` with its `.json` beside it a segment.
//! Nobody but the file system stands between the two programs, so what both must keep to is here and nowhere else.
//!
//! | module | what it holds |
//! |---|---|
//! | [`name`] | names that are never used twice, whatever the clock does. Pure |
//! | [`label`] | what is known of a segment. Pure |
//! | [`folder`] | what lies in a camera's folder |
//! | [`close`] | a segment appears whole, and gets another name whole |
//! | [`put`] | a file changes whole |
//! | [`held`] | who holds a segment, and how it goes |
//! | [`ledger`] | what a recorder knew, line by line |
//! | [`account`] | of each moment whether it is recorded, or why not. Pure |
//! | [`evict`] | which ones go when room is needed: evidence last. Pure |
//! | [`places`] | where a camera's settings and its switch are, for the recorder and for who drives it |
//! | [`status`] | what the recorder says of itself |
//!
//! What always holds: a `NAME.ts` is complete and its `NAME.json` was there before it. While it is recorded it is called
//! `NAME.ts.part`. Who deletes, deletes the `.ts` first; so a `.json` alone is a remnant of that, or of a recorder that died
//! while it closed, and never a loss. The folder is meant to be in RAM, so nothing is ever synced.

pub mod account;
pub mod close;
pub mod evict;
pub mod folder;
pub mod held;
pub mod label;
pub mod ledger;
pub mod name;
pub mod places;
pub mod put;
pub mod status;

pub use close::{close, rename};
pub use folder::{Contents, Found, cameras, read};
pub use held::Held;
pub use label::{Clock, Label, Reason};
pub use name::{Name, is_camera_name};
pub use places::Places;
pub use status::Status;
