//! What a verb does to whom it is said. Pure.
//!
//! A camera alone is turned on and off by its switch, so that the others lose nothing. A service is driven where all cameras are meant, or
//! it is named, or nothing can be recorded because it is down.

use super::target::{RECORDER, Target, UPLOADER};
use crate::drive::Verb;

/// What is there.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// All cameras.
    pub cameras: &'a [String],
    /// The recorder runs.
    pub runs: bool,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// These switches are set so.
    Switch(Vec<String>, bool),
    /// The recorder has taken that over.
    Await(Vec<String>, bool),
    /// The settings of these cameras say so from now on, and nothing changes before the machine comes up.
    Keep(Vec<String>, bool),
    /// A service is driven; one that does not exist may be a failure.
    Drive(Verb, &'static str, Needed),
}

/// Whether a service has to exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// Nothing comes of it otherwise.
    Yes,
    /// Somebody may send recordings by other means.
    No,
}

/// Everybody who is meant, together.
#[derive(Debug, Default)]
struct Meant {
    cameras: Vec<String>,
    others: Vec<String>,
    /// Their uploads, too.
    uploads: bool,
    /// Services as a whole.
    whole: Vec<(&'static str, Needed)>,
}

/// The steps, in their order.
///
/// # Errors
/// It cannot be done to one camera alone; the text says what can.
pub fn plan(verb: Verb, targets: &[Target], seen: Seen) -> Result<Vec<Step>, String> {
    let meant = meant(verb, targets, seen)?;
    Ok(match verb {
        Verb::Start => start(&meant, seen),
        Verb::Stop => stop(meant, seen),
        Verb::Restart => restart(&meant, seen),
        Verb::Enable => enable(&meant),
        Verb::Disable => disable(meant),
    })
}

fn meant(verb: Verb, targets: &[Target], seen: Seen) -> Result<Meant, String> {
    let mut meant = Meant::default();
    for target in targets {
        match target {
            Target::All => {
                meant.cameras.extend_from_slice(seen.cameras);
                meant.whole.extend([(RECORDER, Needed::Yes), (UPLOADER, Needed::No)]);
            }
            Target::Camera(name) => {
                meant.cameras.push(name.clone());
                meant.uploads = true;
            }
            Target::Recording(name) => meant.cameras.push(name.clone()),
            Target::Upload(name) => meant.whole.push((alone(verb, name, seen)?, Needed::Yes)),
            Target::Service(service) => meant.whole.push((service, Needed::Yes)),
        }
    }
    meant.others = seen.cameras.iter().filter(|name| !meant.cameras.contains(name)).cloned().collect();
    meant.whole.sort_by_key(|(service, _)| *service == UPLOADER);
    meant.whole.dedup_by_key(|(service, _)| *service);
    Ok(meant)
}

/// The uploader sends for all: nobody else's recordings stay here because of one camera.
fn alone(verb: Verb, name: &str, seen: Seen) -> Result<&'static str, String> {
    match verb {
        Verb::Stop | Verb::Disable if seen.cameras.len() > 1 => Err(format!(
            "{UPLOADER} sends for all cameras, so it is not {} for {name} alone; give {UPLOADER} to mean all of them, or {name} to \
             record no more of it",
            verb.past()
        )),
        _ => Ok(UPLOADER),
    }
}

impl Meant {
    fn has(&self, service: &str) -> bool {
        self.whole.iter().any(|(one, _)| *one == service)
    }

    fn driven(&self, verb: Verb) -> impl Iterator<Item = Step> {
        self.whole.iter().map(move |&(service, needed)| Step::Drive(verb, service, needed))
    }

    /// The services that a camera needs to be recorded and sent; a recorder that runs is there already.
    fn with_services(&self, runs: bool) -> Meant {
        let mut whole = self.whole.clone();
        whole.extend((!runs).then_some((RECORDER, Needed::Yes)));
        whole.extend(self.uploads.then_some((UPLOADER, Needed::No)));
        whole.sort_by_key(|(service, _)| *service == UPLOADER);
        whole.dedup_by_key(|(service, _)| *service);
        Meant { cameras: self.cameras.clone(), others: self.others.clone(), uploads: self.uploads, whole }
    }
}

fn start(meant: &Meant, seen: Seen) -> Vec<Step> {
    if meant.cameras.is_empty() {
        return meant.driven(Verb::Start).collect();
    }
    let mut steps = Vec::new();
    // Whoever starts one camera does not want the others to look on.
    if !seen.runs && !meant.has(RECORDER) && !meant.others.is_empty() {
        steps.push(Step::Switch(meant.others.clone(), false));
    }
    steps.push(Step::Switch(meant.cameras.clone(), true));
    steps.extend(meant.with_services(seen.runs).driven(Verb::Start));
    steps.push(Step::Await(meant.cameras.clone(), true));
    steps
}

fn stop(meant: Meant, seen: Seen) -> Vec<Step> {
    let mut steps: Vec<Step> = meant.driven(Verb::Stop).collect();
    if !meant.cameras.is_empty() && !meant.has(RECORDER) {
        steps.push(Step::Switch(meant.cameras.clone(), false));
        steps.extend(seen.runs.then_some(Step::Await(meant.cameras, false)));
    }
    steps
}

fn restart(meant: &Meant, seen: Seen) -> Vec<Step> {
    let switched = |on| Step::Switch(meant.cameras.clone(), on);
    let awaited = |on| Step::Await(meant.cameras.clone(), on);
    let driven = meant.driven(Verb::Restart);
    match (meant.cameras.is_empty(), meant.has(RECORDER), seen.runs) {
        (true, ..) => driven.collect(),
        // What was switched off is meant, too: who names it wants it to run.
        (_, true, _) => [switched(true)].into_iter().chain(driven).chain([awaited(true)]).collect(),
        (_, _, true) => driven.chain([switched(false), awaited(false)]).chain(start(meant, seen)).collect(),
        (_, _, false) => driven.chain(start(meant, seen)).collect(),
    }
}

fn enable(meant: &Meant) -> Vec<Step> {
    match meant.cameras.is_empty() {
        true => meant.driven(Verb::Enable).collect(),
        false => std::iter::once(Step::Keep(meant.cameras.clone(), true))
            .chain(meant.with_services(false).driven(Verb::Enable))
            .collect(),
    }
}

fn disable(meant: Meant) -> Vec<Step> {
    let mut steps: Vec<Step> = meant.driven(Verb::Disable).collect();
    if !meant.cameras.is_empty() && !meant.has(RECORDER) {
        steps.push(Step::Keep(meant.cameras, false));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use Needed::{No, Yes};
    use Step::{Await, Drive, Keep, Switch};
    use Verb::{Disable, Enable, Restart, Start, Stop};

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.into()).collect()
    }

    fn planned(verb: Verb, words: &[&str], runs: bool) -> Result<Vec<Step>, String> {
        let cameras = names(&["cam1", "cam2"]);
        let targets: Vec<Target> = words.iter().map(|word| super::super::target::of(word, &cameras).unwrap()).collect();
        plan(verb, &targets, Seen { cameras: &cameras, runs })
    }

    fn steps(verb: Verb, words: &[&str], runs: bool) -> Vec<Step> {
        planned(verb, words, runs).unwrap()
    }

    #[test]
    fn one_camera_is_switched_and_no_service_is_touched() {
        let one = || names(&["cam1"]);
        for word in ["cam1", "seg-cam1"] {
            assert_eq!(steps(Stop, &[word], true), [Switch(one(), false), Await(one(), false)]);
            assert_eq!(steps(Disable, &[word], true), [Keep(one(), false)]);
        }
        assert_eq!(steps(Start, &["seg-cam1"], true), [Switch(one(), true), Await(one(), true)]);
        let again = [Switch(one(), false), Await(one(), false), Switch(one(), true), Await(one(), true)];
        assert_eq!(steps(Restart, &["seg-cam1"], true), again);
        assert_eq!(steps(Stop, &["cam1"], false), [Switch(one(), false)], "nobody is there to take it over");
    }

    #[test]
    fn an_uploader_that_was_stopped_is_started_with_a_camera_that_is_recorded_again() {
        let (one, sends) = (|| names(&["cam1"]), || Drive(Start, UPLOADER, No));
        assert_eq!(steps(Start, &["cam1"], true), [Switch(one(), true), sends(), Await(one(), true)]);
        let again = [Switch(one(), false), Await(one(), false), Switch(one(), true), sends(), Await(one(), true)];
        assert_eq!(steps(Restart, &["cam1"], true), again);
    }

    #[test]
    fn a_camera_that_was_switched_off_is_recorded_again_when_all_are_restarted() {
        let all = names(&["cam1", "cam2"]);
        let services = [Drive(Restart, RECORDER, Yes), Drive(Restart, UPLOADER, No)];
        for runs in [true, false] {
            let expected = [&[Switch(all.clone(), true)][..], &services, &[Await(all.clone(), true)]].concat();
            assert_eq!(steps(Restart, &["all"], runs), expected);
        }
        assert_eq!(steps(Restart, &["camera"], true), services[..1], "a service alone changes no switch");
    }

    #[test]
    fn a_camera_that_is_started_alone_is_recorded_alone() {
        let (one, two) = (names(&["cam1"]), names(&["cam2"]));
        let alone = [
            Switch(two, false),
            Switch(one.clone(), true),
            Drive(Start, RECORDER, Yes),
            Drive(Start, UPLOADER, No),
            Await(one, true),
        ];
        assert_eq!(steps(Start, &["cam1"], false), alone);
        assert_eq!(steps(Restart, &["cam1"], false), alone);
        let both = steps(Start, &["cam1", "seg-cam2"], false);
        assert_eq!(both[0], Switch(names(&["cam1", "cam2"]), true), "both are wanted");
    }

    #[test]
    fn all_are_the_services() {
        let all = names(&["cam1", "cam2"]);
        for verb in [Stop, Disable] {
            assert_eq!(steps(verb, &["all"], true), [Drive(verb, RECORDER, Yes), Drive(verb, UPLOADER, No)]);
        }
        let services = |verb| [Drive(verb, RECORDER, Yes), Drive(verb, UPLOADER, No)];
        let [recorder, uploader] = services(Start);
        for runs in [true, false] {
            let expected = [Switch(all.clone(), true), recorder.clone(), uploader.clone(), Await(all.clone(), true)];
            assert_eq!(steps(Start, &["all"], runs), expected);
        }
        let [recorder, uploader] = services(Enable);
        assert_eq!(steps(Enable, &["all"], true), [Keep(all, true), recorder.clone(), uploader.clone()]);
        assert_eq!(steps(Enable, &["cam1"], true), [Keep(names(&["cam1"]), true), recorder, uploader]);
        assert_eq!(steps(Stop, &["upload", "camera"], true), [Drive(Stop, RECORDER, Yes), Drive(Stop, UPLOADER, Yes)]);
    }

    #[test]
    fn the_uploader_is_not_taken_from_the_other_cameras() {
        for verb in [Stop, Disable] {
            let why = planned(verb, &["uploader-cam1"], true).unwrap_err();
            assert!(why.contains("upload sends for all cameras, so it is not"), "{why}");
            let only = names(&["cam1"]);
            let seen = Seen { cameras: &only, runs: true };
            assert_eq!(plan(verb, &[Target::Upload("cam1".into())], seen).unwrap(), [Drive(verb, UPLOADER, Yes)]);
        }
        for verb in [Start, Restart, Enable] {
            assert_eq!(steps(verb, &["uploader-cam1"], true), [Drive(verb, UPLOADER, Yes)]);
        }
    }
}
