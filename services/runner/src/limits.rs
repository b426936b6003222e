//! How many files and sockets a process may have open. The usual soft limit of 1,024 is one client a descriptor and
//! far too low for a server; the hard limit is the owner's word.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// We do not go beyond this even if the hard limit does: hooks inherit the limit, and old programs close every
/// number up to it when they start, which takes minutes at the billion that some container runtimes set.
pub const MOST: u64 = 1 << 20;

/// Raises the soft limit to the hard one (at most [`MOST`]), and says what it is now.
pub fn raise_open_files() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 0 };
    let wanted = hard.min(MOST).max(soft);
    match setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) {
        Ok(()) => wanted,
        Err(why) => {
            tracing::warn!("open files stay limited to {soft} ({why}); raise the limit where this program is started");
            soft
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_goes_up_to_the_hard_one() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let now = raise_open_files();
        assert_eq!(now, getrlimit(Resource::RLIMIT_NOFILE).unwrap().0);
        assert!(now == hard.min(MOST) || now > MOST, "{now}");
        assert_eq!(raise_open_files(), now);
    }
}
