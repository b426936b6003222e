//! What a hook script can rely on: event names, variable names and exit codes. The contract in words is
//! `hooks/README.md`; a test compares the two.

/// Which folder of hooks runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookEvent {
    /// On a client: the server is there.
    ServerUp,
    /// On a client: the server is about to go and still serves.
    ServerStopping,
    /// On a client: the server is gone without a word.
    ServerLost,
    /// On a client: everything has let go, and the owner wants this machine off.
    PowerOff,
    /// On the server: every client has let go, or the deadline has passed.
    ClientsReleased,
    /// On the server, after that: its machine goes down or starts again.
    GoingDown,
}

impl HookEvent {
    /// All events, in the order of a day.
    pub const ALL: [HookEvent; 6] = [
        HookEvent::ServerUp,
        HookEvent::ServerStopping,
        HookEvent::ServerLost,
        HookEvent::PowerOff,
        HookEvent::ClientsReleased,
        HookEvent::GoingDown,
    ];

    /// The name of the folder, of `PISTOP_EVENT`, and in every log.
    pub const fn name(self) -> &'static str {
        match self {
            HookEvent::ServerUp => "server-up",
            HookEvent::ServerStopping => "server-stopping",
            HookEvent::ServerLost => "server-lost",
            HookEvent::PowerOff => "power-off",
            HookEvent::ClientsReleased => "clients-released",
            HookEvent::GoingDown => "going-down",
        }
    }

    /// After this hook failed: whether the ones behind it still run. Letting go must not stop half-way, and a player that
    /// does not start keeps no camera from recording; but to work on top of a mount that failed would use the wrong disk.
    pub fn goes_on_after(self, hook: &str) -> bool {
        self != HookEvent::ServerUp || !verb(hook).ends_with("mount")
    }
}

/// `unmount` of `server-stopping/50-unmount-share`: what stands behind the number, up to the object.
pub fn verb(hook: &str) -> &str {
    let file = hook.rsplit('/').next().unwrap_or(hook);
    let words = file.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches('-');
    words.split('-').next().unwrap_or(words)
}

impl std::fmt::Display for HookEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// `exit 100`: it will not work, do not try again.
pub const EXIT_PERMANENT: i32 = 100;
/// `exit 111`: not now, try again.
pub const EXIT_TEMPORARY: i32 = 111;

/// The event's name.
pub const VARIABLE_EVENT: &str = "PISTOP_EVENT";
/// The word of a [`crate::Cause`]; unset for `server-up`.
pub const VARIABLE_CAUSE: &str = "PISTOP_CAUSE";
/// The server's name as it gave it, or the configured host of an old server.
pub const VARIABLE_SERVER: &str = "PISTOP_SERVER";
/// The server's address as configured, without the port.
pub const VARIABLE_HOST: &str = "PISTOP_HOST";
/// The id of the shutdown, if the server gave one.
pub const VARIABLE_ID: &str = "PISTOP_ID";
/// Whole seconds until this hook is ended.
pub const VARIABLE_DEADLINE: &str = "PISTOP_DEADLINE";
/// The operator's words, printable.
pub const VARIABLE_REASON: &str = "PISTOP_REASON";
/// From 1; greater when the hook asked to be tried again.
pub const VARIABLE_ATTEMPT: &str = "PISTOP_ATTEMPT";

/// All variables that every hook gets, for the test that reads the contract.
pub const VARIABLES: [&str; 8] = [
    VARIABLE_EVENT,
    VARIABLE_CAUSE,
    VARIABLE_SERVER,
    VARIABLE_HOST,
    VARIABLE_ID,
    VARIABLE_DEADLINE,
    VARIABLE_REASON,
    VARIABLE_ATTEMPT,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verb_stands_between_number_and_object() {
        let verbs =
            ["server-stopping/50-unmount-share", "20-mount-my-share", "server-up/pre_mount", "mount/50-stop", ""];
        assert_eq!(verbs.map(verb), ["unmount", "mount", "pre_mount", "stop", ""]);
    }

    #[test]
    fn only_a_mount_that_fails_keeps_the_others_from_running() {
        assert!(!HookEvent::ServerUp.goes_on_after("server-up/20-mount-share"));
        assert!(HookEvent::ServerUp.goes_on_after("server-up/30-start-mpd"));
        assert!(HookEvent::ServerStopping.goes_on_after("server-stopping/20-mount-share"));
    }
}
