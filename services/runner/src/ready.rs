//! What systemd is told: ready, what we are about, stopping, give us more time. Without `NOTIFY_SOCKET` there is nobody
//! to tell, and a message that does not get through must not end a program that otherwise works.

use sd_notify::NotifyState;
use std::time::Duration;

/// The program does its work from now on; `status` says in what state.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(&one_line(status))]);
}

/// What the program is about, in one line for `systemctl status`.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(&one_line(text))]);
}

/// The program has begun to end.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The start or the stop under way may take this much longer, from now.
pub fn extend(by: Duration) {
    tell(&[NotifyState::ExtendTimeoutUsec(by.as_micros().try_into().unwrap_or(u32::MAX))]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(why) = sd_notify::notify(state) {
        tracing::debug!("systemd was not told ({why}); is NOTIFY_SOCKET a socket that this user may write to?");
    }
}

/// Each line of a notification is an assignment of its own.
fn one_line(text: &str) -> String {
    text.replace('\n', "; ")
}
