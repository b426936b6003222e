//! Which mounts have to go so that a directory is free, and which of them next. Pure.
//!
//! What always holds: the trigger of an automounter stays, as it is its daemon's; only triggers that lie inside something
//! that goes must go with it.

use crate::table::{Mount, lexical};
use std::path::Path;

/// All that has to go: what lies on the directory and, because of that, what lies below it. A directory on which nothing
/// lies is free, and what is mounted somewhere below it is none of our business.
#[must_use]
pub fn doomed<'a>(mounts: &'a [Mount], target: &Path) -> Vec<&'a Mount> {
    let target = lexical(target);
    if !mounts.iter().any(|mount| mount.target == target && !mount.is_trigger()) {
        return Vec::new();
    }
    let below: Vec<&Mount> = mounts.iter().filter(|mount| mount.target.starts_with(&target)).collect();
    let inside = |trigger: &Mount| below.iter().any(|mount| !mount.is_trigger() && stands_on(mounts, trigger, mount));
    below.iter().copied().filter(|mount| !mount.is_trigger() || inside(mount)).collect()
}

/// For one after the other: nothing lies on it any more, and its path leads to it.
#[must_use]
pub fn innermost<'a>(mounts: &[Mount], doomed: &[&'a Mount]) -> Option<&'a Mount> {
    let free = |one: &Mount| !mounts.iter().any(|other| other.parent == one.id && other.id != one.id);
    let free: Vec<&Mount> = doomed.iter().copied().filter(|one| free(one)).collect();
    let in_sight = free.iter().rev().find(|one| !doomed.iter().any(|other| covers(mounts, other, one)));
    in_sight.or(free.last()).copied()
}

/// For all at once: the topmost of each place, the one nearest to the root first. What lies below it goes with it, and
/// its path leads through no other.
pub fn outermost<'a>(doomed: &[&'a Mount]) -> impl Iterator<Item = &'a Mount> {
    let hidden = |one: &Mount| doomed.iter().any(|other| other.parent == one.id && other.target == one.target);
    let mut seen: Vec<&Mount> = doomed.iter().copied().filter(|one| !hidden(one)).collect();
    seen.sort_by_key(|one| one.target.components().count());
    seen.into_iter()
}

/// Whether a path to `one` ends in `other`, or in what lies on that.
fn covers(mounts: &[Mount], other: &Mount, one: &Mount) -> bool {
    other.id != one.id && one.target.starts_with(&other.target) && !stands_on(mounts, one, other)
}

/// Whether `upper` lies on `lower`, or on something that does.
fn stands_on(mounts: &[Mount], upper: &Mount, lower: &Mount) -> bool {
    let mut parent = upper.parent;
    // No chain is longer than the table, whatever is written there.
    for _ in 0..mounts.len() {
        if parent == lower.id {
            return true;
        }
        match mounts.iter().find(|mount| mount.id == parent) {
            Some(mount) => parent = mount.parent,
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::parse;

    fn ids(mounts: &[&Mount]) -> Vec<u32> {
        mounts.iter().map(|mount| mount.id).collect()
    }

    /// The order in which they go, one after the other.
    fn one_by_one(text: &[u8], target: &str) -> Vec<u32> {
        let mut mounts = parse(text);
        let mut gone = Vec::new();
        while let Some(id) = innermost(&mounts, &doomed(&mounts, Path::new(target))).map(|mount| mount.id) {
            mounts.retain(|mount| mount.id != id);
            gone.push(id);
        }
        gone
    }

    #[test]
    fn the_deepest_goes_first_and_neighbours_stay() {
        let text = b"1 0 0:1 / / rw - ext4 d rw\n2 1 0:2 / /m rw - tmpfs t rw\n3 2 0:3 / /m/a rw - tmpfs t rw\n\
            4 3 0:4 / /m/a/b rw - tmpfs t rw\n5 2 0:5 / /m/c rw - tmpfs t rw\n6 1 0:6 / /mm rw - tmpfs t rw\n";
        assert_eq!(one_by_one(text, "/m/"), [5, 4, 3, 2]);
        assert_eq!(one_by_one(text, "/m/a/b/c"), [0; 0]);
        let mounts = parse(text);
        assert_eq!(ids(&outermost(&doomed(&mounts, Path::new("/m"))).collect::<Vec<_>>()), [2, 3, 5, 4]);
    }

    #[test]
    fn of_a_stack_the_top_goes_first_and_what_it_hides_comes_after_it() {
        let text = b"1 0 0:1 / / rw - ext4 d rw\n2 1 0:2 / /m rw - tmpfs t rw\n3 2 0:3 / /m/a rw - tmpfs t rw\n\
            4 2 0:4 / /m rw - tmpfs t rw\n5 4 0:5 / /m rw - tmpfs t rw\n";
        assert_eq!(one_by_one(text, "/m"), [5, 4, 3, 2]);
        let mounts = parse(text);
        assert_eq!(ids(&outermost(&doomed(&mounts, Path::new("/m"))).collect::<Vec<_>>())[0], 5);
    }

    #[test]
    fn what_is_hidden_comes_later_wherever_the_table_names_it() {
        let text = b"1 0 0:1 / / rw - ext4 d rw\n2 1 0:2 / /m rw - tmpfs t rw\n4 2 0:4 / /m rw - tmpfs t rw\n\
            3 2 0:3 / /m/a rw - tmpfs t rw\n";
        assert_eq!(one_by_one(text, "/m"), [4, 3, 2]);
    }

    #[test]
    fn a_trigger_stays_unless_it_lies_inside() {
        let text = b"1 0 0:1 / / rw - ext4 d rw\n2 1 0:2 / /net rw - autofs a rw\n3 2 0:3 / /net/m rw - nfs4 s:/ rw\n\
            4 3 0:4 / /net/m/sub rw - autofs a rw\n5 4 0:5 / /net/m/sub rw - nfs4 s:/sub rw\n";
        assert_eq!(one_by_one(text, "/net/m"), [5, 4, 3]);
        assert_eq!(one_by_one(text, "/net"), [0; 0], "nothing lies on it but the trigger");
        let direct = b"1 0 0:1 / / rw - ext4 d rw\n2 1 0:2 / /m rw - autofs a rw\n3 2 0:3 / /m rw - nfs4 s:/ rw\n";
        assert_eq!(one_by_one(direct, "/m"), [3]);
    }

    #[test]
    fn a_table_that_leads_in_a_circle_ends() {
        let text = b"2 3 0:2 / /m rw - tmpfs t rw\n3 2 0:3 / /m rw - autofs t rw\n4 4 0:3 / /m rw - autofs t rw\n";
        assert!(one_by_one(text, "/m").len() <= 3);
    }
}
