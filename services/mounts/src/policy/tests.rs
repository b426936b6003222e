//! Stories of an unmount, told with tables and a clock of our own.

use super::*;
use crate::table::parse;
use proptest::prelude::*;

const ROOT: &str = "1 0 0:1 / / rw - ext4 d rw\n";

fn table(lines: &[&str]) -> Vec<Mount> {
    parse(format!("{ROOT}{}\n", lines.join("\n")).as_bytes())
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn begin(policy: Policy, whole: f64) -> Unmounting {
    Unmounting::new(Path::new("/m"), policy.steps(seconds(whole)))
}

fn attempt(next: &Next) -> (&str, How) {
    match next {
        Next::Try(path, how, _) => (path.to_str().unwrap(), *how),
        other => panic!("{other:?}"),
    }
}

const NFS: &str = "2 1 0:2 / /m rw - nfs4 s:/ rw";
const SUB: &str = "3 2 0:3 / /m/sub rw - nfs4 s:/sub rw";
const DISK: &str = "2 1 8:1 / /m rw - ext4 /dev/sda1 rw";

#[test]
fn a_patient_one_tries_until_its_time_is_over_and_leaves_it() {
    let (mut work, mounts) = (begin(Policy::Patient, 10.0), table(&[DISK]));
    assert_eq!(work.next(&mounts, seconds(0.0)), Next::Try("/m".into(), How::Plain, seconds(10.0)));
    work.heard(Heard::Refused(Errno::EBUSY), seconds(0.0));
    assert_eq!(work.next(&mounts, seconds(0.0)), Next::Pause(PAUSE));
    assert_eq!(attempt(&work.next(&mounts, seconds(9.9))), ("/m", How::Plain));
    work.heard(Heard::Refused(Errno::EBUSY), seconds(9.9));
    assert_eq!(work.next(&mounts, seconds(10.0)), Next::GiveUp);
    assert_eq!(work.obstacle(), Some(&Obstacle::Busy("/m".into())));
}

#[test]
fn a_forcing_one_waits_a_moment_cuts_off_and_detaches() {
    let (mut work, mounts) = (begin(Policy::Forcing, 20.0), table(&[NFS]));
    assert_eq!(attempt(&work.next(&mounts, seconds(0.0))), ("/m", How::Plain));
    work.heard(Heard::Refused(Errno::EBUSY), seconds(0.0));
    assert_eq!(attempt(&work.next(&mounts, seconds(3.0))), ("/m", How::Force));
    work.heard(Heard::Refused(Errno::EBUSY), seconds(3.1));
    assert_eq!(attempt(&work.next(&mounts, seconds(3.1))), ("/m", How::Detach));
    work.heard(Heard::Done, seconds(3.1));
    assert_eq!(work.next(&table(&[]), seconds(3.1)), Next::Gone);
}

#[test]
fn a_disk_is_not_cut_off() {
    let (mut work, mounts) = (begin(Policy::Forcing, 20.0), table(&[DISK]));
    assert_eq!(attempt(&work.next(&mounts, seconds(0.0))), ("/m", How::Plain));
    work.heard(Heard::Refused(Errno::EBUSY), seconds(0.0));
    assert_eq!(attempt(&work.next(&mounts, seconds(3.0))), ("/m", How::Detach));
}

#[test]
fn a_lost_server_is_never_asked_plainly_and_never_by_way_of_itself() {
    let (mut work, mounts) = (begin(Policy::Lazy, 20.0), table(&[NFS, SUB]));
    let mut tried = Vec::new();
    for _ in 0..4 {
        let (target, how) = {
            let next = work.next(&mounts, seconds(0.0));
            let (t, h) = attempt(&next);
            (t.to_owned(), h)
        };
        tried.push((target, how));
        work.heard(Heard::Silent, seconds(0.0));
    }
    let expected = [("/m", How::Force), ("/m/sub", How::Force), ("/m", How::Detach), ("/m/sub", How::Detach)];
    assert_eq!(tried, expected.map(|(target, how)| (target.to_owned(), how)));
    assert_eq!(work.next(&mounts, seconds(0.0)), Next::GiveUp);
}

#[test]
fn one_that_does_not_return_is_not_asked_the_same_again() {
    let (mut work, mounts) = (begin(Policy::Forcing, 20.0), table(&[NFS]));
    assert_eq!(attempt(&work.next(&mounts, seconds(0.0))), ("/m", How::Plain));
    work.heard(Heard::Silent, seconds(1.0));
    assert_eq!(attempt(&work.next(&mounts, seconds(1.0))), ("/m", How::Force));
    let mut patient = begin(Policy::Patient, 20.0);
    patient.next(&mounts, seconds(0.0));
    patient.heard(Heard::Silent, seconds(20.0));
    assert_eq!(patient.next(&mounts, seconds(20.0)), Next::GiveUp);
    assert_eq!(patient.obstacle(), Some(&Obstacle::Silent("/m".into())));
}

#[test]
fn without_the_right_there_is_no_second_attempt() {
    let (mut work, mounts) = (begin(Policy::Forcing, 20.0), table(&[NFS]));
    work.next(&mounts, seconds(0.0));
    work.heard(Heard::Refused(Errno::EPERM), seconds(0.0));
    assert_eq!(work.next(&mounts, seconds(0.0)), Next::GiveUp);
}

#[test]
fn the_table_has_the_last_word() {
    let mut work = begin(Policy::Patient, 20.0);
    let mounts = table(&[DISK]);
    work.next(&mounts, seconds(0.0));
    work.heard(Heard::Done, seconds(0.0));
    assert_eq!(attempt(&work.next(&mounts, seconds(0.0))), ("/m", How::Plain), "a lie is not believed");
    work.heard(Heard::Done, seconds(0.0));
    assert_eq!(work.next(&mounts, seconds(0.0)), Next::Pause(PAUSE), "nor repeated without a pause");
    work.heard(Heard::Silent, seconds(0.0));
    assert_eq!(work.next(&table(&[]), seconds(19.0)), Next::Gone);
}

proptest! {
    /// Whatever the kernel answers: it ends within its time, does not get gentler, and asks no dead server plainly.
    #[test]
    fn it_ends_in_time_and_only_gets_rougher(
        policy in prop::sample::select(vec![Policy::Patient, Policy::Forcing, Policy::Lazy]),
        whole in 0.5..60.0f64,
        answers in prop::collection::vec((0..5u8, 0.0..1.0f64), 1..50),
        stack in 1..4usize,
    ) {
        let mut mounts: Vec<String> = (0..stack).map(|n| format!("{} {} 0:{n} / /m rw - nfs4 s:/ rw", n + 2, n + 1)).collect();
        let (mut work, mut now, mut roughest) = (begin(policy, whole), Duration::ZERO, How::Plain);
        for turn in 0.. {
            prop_assert!(turn < 10_000, "no end");
            let lines: Vec<&str> = mounts.iter().map(String::as_str).collect();
            match work.next(&table(&lines), now) {
                Next::Gone => { prop_assert!(mounts.is_empty()); break }
                Next::GiveUp => { prop_assert!(!mounts.is_empty()); break }
                Next::Pause(time) => { prop_assert!(!time.is_zero()); now += time }
                Next::Try(_, how, limit) => {
                    prop_assert!(how >= roughest && (policy != Policy::Lazy || how != How::Plain));
                    prop_assert!(policy != Policy::Patient || how == How::Plain);
                    prop_assert!(now + limit <= seconds(whole) + Duration::from_millis(1));
                    roughest = how;
                    let (answer, share) = answers[turn % answers.len()];
                    let (heard, took) = match answer {
                        0 => { mounts.pop(); (Heard::Done, limit.mul_f64(share)) }
                        1 => (Heard::Done, limit.mul_f64(share)),
                        2 => (Heard::Refused(Errno::EINVAL), Duration::ZERO),
                        3 => (Heard::Silent, limit),
                        _ => (Heard::Refused(Errno::EBUSY), Duration::ZERO),
                    };
                    now += took;
                    work.heard(heard, now);
                }
            }
        }
    }
}
