//! The ground that measurements stand on: processes that never outlive us, scratch files that go away, numbers from
//! `/proc`, waits with a limit, and hooks that tell the moment they ran.

pub mod agents;
pub mod awake;
pub mod cleanup;
pub mod marks;
pub mod network;
pub mod numbers;
pub mod started;
pub mod table;
pub mod wait;
