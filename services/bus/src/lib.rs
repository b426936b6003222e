//! The event bus: what one program of a house tells the others.
//!
//! What always holds: an event is kept before its publisher is told so, and it goes away only when a bound of its
//! owner says so, which is told as well.
//!
//! | module | what it does |
//! |---|---|
//! | [`journal`] | keeps records, in order, over a crash: the outbox of every agent |

pub mod journal;
