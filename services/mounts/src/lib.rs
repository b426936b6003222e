//! Mounts, and the end of mounts, without hanging.
//!
//! What always holds: nothing here asks the kernel about a path that may lie on a dead server. Whatever is known comes
//! from `/proc/self/mountinfo`, which never waits for anybody.
//!
//! | module | what it does |
//! |---|---|
//! | [`table`] | what is mounted where |

pub mod table;
