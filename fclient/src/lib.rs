//! To come.
pub mod intent;
pub mod machine;
