//! The event bus: what one program of a house tells the others.
//!
//! What always holds: an event is kept before its publisher is told so, and it goes away only when a bound of its
//! owner says so, which is told as well.
//!
//! | module | what it does |
//! |---|---|
//! | [`journal`] | keeps records, in order, over a crash: the outbox of every agent |
//! | [`secure`] | who may be on a link, and that nobody else reads or changes what is on it |

pub mod journal;
pub mod secure;
