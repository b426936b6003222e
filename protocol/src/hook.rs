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
    /// On any machine: a fact of this name was told in the house.
    Fact(&'static str),
}

impl HookEvent {
    /// All events of presence, in the order of a day. Those of the bus are [`crate::fact::shapes`].
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
            HookEvent::Fact(name) => name,
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

/// The machine that a fact is about.
pub const VARIABLE_NODE: &str = "PISTOP_NODE";
/// The family of the fact.
pub const VARIABLE_FAMILY: &str = "PISTOP_FAMILY";
/// The id of the event that told it; the same id is the same event.
pub const VARIABLE_EVENT_ID: &str = "PISTOP_EVENT_ID";
/// When it was told, in UTC as in RFC 3339; empty if the clock there was not set.
pub const VARIABLE_AT: &str = "PISTOP_AT";
/// `1` if these hooks may have run for this event before, else empty.
pub const VARIABLE_REPLAYED: &str = "PISTOP_REPLAYED";
/// What the names of a fact's fields begin with: `camera` is `FACT_CAMERA`.
pub const FACT_PREFIX: &str = "FACT_";

/// All variables that every hook of a fact gets, beside its fields.
pub const FACT_VARIABLES: [&str; 8] = [
    VARIABLE_EVENT,
    VARIABLE_NODE,
    VARIABLE_FAMILY,
    VARIABLE_EVENT_ID,
    VARIABLE_AT,
    VARIABLE_REPLAYED,
    VARIABLE_DEADLINE,
    VARIABLE_ATTEMPT,
];

/// The variable of a field: `duration-ms` is `FACT_DURATION_MS`.
pub fn fact_variable(field: &str) -> String {
    FACT_PREFIX.to_owned() + &field.to_ascii_uppercase().replace('-', "_")
}

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
    fn no_fact_is_named_as_an_event_of_presence() {
        let facts = crate::fact::shapes().iter().map(|shape| HookEvent::Fact(shape.rule.name));
        for fact in facts {
            assert!(HookEvent::ALL.iter().all(|event| event.name() != fact.name()), "{fact}");
        }
        assert_eq!(fact_variable("duration-ms"), "FACT_DURATION_MS");
    }

    #[test]
    fn only_a_mount_that_fails_keeps_the_others_from_running() {
        assert!(!HookEvent::ServerUp.goes_on_after("server-up/20-mount-share"));
        assert!(HookEvent::ServerUp.goes_on_after("server-up/30-start-mpd"));
        assert!(HookEvent::ServerStopping.goes_on_after("server-stopping/20-mount-share"));
        assert!(HookEvent::Fact("card-inserted").goes_on_after("card-inserted/20-mount-card"));
    }
}
