//! What every program of the house shares: how it starts, how it lives, how it ends. Nothing here decides about
//! presence or shutdowns; that is `protocol`, and each program's own `machine.rs`.
//!
//! | | module | what it settles |
//! |---|---|---|
//! | start | [`settings`], [`envdir`] | what the program was told, from five places, and what its hooks inherit |

pub mod envdir;
pub mod settings;
