//! The only package that knows all programs. Its library is the stage for tests, demo and benches: [`World`], a scratch
//! directory in which real servers, clients and old peers run against each other.

pub mod b2;
pub mod checks;
pub mod conformance;
pub mod soak;
pub mod torture;
pub mod world;

pub use world::World;
