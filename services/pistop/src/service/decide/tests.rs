//! The table of what is wanted, was written and is there.

use super::*;

fn written(text: &str, by_flag: bool) -> Written {
    Written { content: Content::plain(text), by_flag }
}

fn template(text: &str) -> Option<Written> {
    Some(written(text, false))
}

fn flag(text: &str) -> Option<Written> {
    Some(written(text, true))
}

fn there(text: &str) -> Option<Found> {
    Some(Found::File(text.into(), Kind::Plain))
}

/// What is done to a file of a service that is ours, and what then counts as written by us.
fn one(
    path: &str,
    wanted: Option<Written>,
    before: Option<Written>,
    found: Option<Found>,
) -> (String, Option<Written>) {
    let files = |file: Option<Written>| file.into_iter().map(|file| (path.to_owned(), file)).collect();
    let found = found.into_iter().map(|found| (path.to_owned(), found)).collect();
    let known = Known { wanted: files(wanted), before: Some(files(before)), found };
    let (changes, mut after) = known.decide();
    (changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "), after.remove(path))
}

fn said(wanted: Option<Written>, before: Option<Written>, found: Option<Found>) -> String {
    one("variables/HOST", wanted, before, found).0
}

#[test]
fn what_is_as_it_should_be_is_left_alone() {
    assert_eq!(said(template("a"), template("a"), there("a")), "");
    assert_eq!(said(flag("a"), template("b"), there("a")), "");
    assert_eq!(said(None, None, there("a")), "", "what is none of ours is not even mentioned");
    assert_eq!(said(None, template("a"), None), "");
}

#[test]
fn what_nobody_touched_follows_the_template() {
    assert_eq!(said(template("new"), template("old"), there("old")), "write variables/HOST: there is a newer one");
    assert_eq!(said(None, template("old"), there("old")), "remove variables/HOST: it is no longer part of the service");
    assert_eq!(said(template("new"), None, None), "write variables/HOST");
}

#[test]
fn what_somebody_edited_is_kept_and_known_as_edited_ever_after() {
    let (said, after) = one("variables/HOST", template("new"), template("old"), there("mine"));
    assert_eq!(said, "keep variables/HOST: it was edited by hand");
    assert_eq!(after, template("old"));
    let (said, after) = one("variables/HOST", template("new"), None, there("mine"));
    assert_eq!((said.as_str(), after), ("keep variables/HOST: it was there before", None));
    assert!(one("x", None, template("old"), there("mine")).0.starts_with("keep x: it was edited by hand, though"));
    assert_eq!(one("x", template("a"), None, Some(Found::Other)).0, "keep x: it is no plain file");
}

#[test]
fn what_somebody_removed_stays_away_but_for_run() {
    assert!(said(template("a"), template("a"), None).starts_with("keep variables/HOST: it was removed by hand"));
    assert_eq!(said(flag("a"), template("a"), None), "write variables/HOST: it was removed by hand");
    assert_eq!(one("run", template("a"), template("a"), None).0, "write run: it was removed by hand");
}

#[test]
fn a_flag_goes_over_an_edit_and_tells_the_old_value() {
    let told = "write variables/HOST: it was `mine`, set by hand; the flag goes over it";
    assert_eq!(said(flag("a\n"), template("old\n"), there("mine\nrest")), told);
    assert_eq!(said(flag("a\n"), None, there("mine")), told);
    assert_eq!(said(flag("a\n"), template("old\n"), there("old\n")), "write variables/HOST: it was `old`");
    assert_eq!(said(flag("a\n"), template(""), there("")), "write variables/HOST: it was empty");
}

#[test]
fn a_flag_of_an_earlier_time_stands() {
    let (said, after) = one("variables/HOST", template("new"), flag("mine"), there("mine"));
    assert_eq!((said.as_str(), after), ("", flag("mine")));
    assert_eq!(one("variables/HOST", None, flag("mine"), there("mine")), (String::new(), flag("mine")));
    assert_eq!(one("variables/HOST", template("new"), flag("mine"), there("edited")).1, flag("mine"));
}

#[test]
fn a_run_bit_that_is_gone_is_an_edit() {
    let program = |kind| Written { content: Content { text: "x".into(), kind }, by_flag: false };
    let (said, _) = one("run", Some(program(Kind::Program)), Some(program(Kind::Program)), there("x"));
    assert_eq!(said, "keep run: it was edited by hand");
}

#[test]
fn a_service_of_another_program_is_taken_over_without_a_loss() {
    let program = |text: &str| Written { content: Content { text: text.into(), kind: Kind::Program }, by_flag: false };
    let wanted =
        [("run", program("ours")), ("variables/HOST", written("a", false)), ("variables/PORT", written("5555", false))];
    let found = [("run", "theirs"), ("shutdown", "theirs"), ("variables/HOST", "mine")];
    let known = Known {
        wanted: wanted.into_iter().map(|(path, file)| (path.to_owned(), file)).collect(),
        before: None,
        found: found
            .into_iter()
            .map(|(path, text)| (path.to_owned(), Found::File(text.into(), Kind::Program)))
            .collect(),
    };
    let (changes, after) = known.decide();
    let said: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "rename run to run.before-pistop: it was not written by pistop",
            "rename shutdown to shutdown.before-pistop: it was not written by pistop",
            "keep variables/HOST: it was there before",
            "write variables/PORT",
            "write run"
        ]
    );
    assert_eq!(after.keys().collect::<Vec<_>>(), ["run", "variables/PORT"]);
}

/// Does the changes to what is there.
fn done(found: &Files<Found>, changes: &[Change]) -> Files<Found> {
    let mut found = found.clone();
    for change in changes {
        match change {
            Change::Write { path, content, .. } => {
                found.insert(path.clone(), Found::File(content.text.clone().into(), content.kind));
            }
            Change::Remove { path } => drop(found.remove(path)),
            Change::Aside { path, to } => {
                let moved = found.remove(path).expect("what is put aside is there");
                assert!(found.insert(to.clone(), moved).is_none());
            }
            Change::Keep { .. } => {}
        }
    }
    found
}

/// One file in all that it can be: wanted or not, by template or flag; written before or not; there or not, the same,
/// another one, or no file at all; in a directory of ours and in one of another program.
fn every_case() -> impl Iterator<Item = Known> {
    let written = || [None, template("a"), template("b"), flag("a"), flag("b")];
    let there = || [None, there("a"), there("b"), there("c"), Some(Found::Other)];
    let paths = ["run", "shutdown", "down", "variables/HOST"];
    paths.into_iter().flat_map(move |path| {
        let one =
            move |file: Option<Written>| file.into_iter().map(|file| (path.to_owned(), file)).collect::<Files<_>>();
        let found = move |found: Option<Found>| found.into_iter().map(|found| (path.to_owned(), found)).collect();
        let ours = written().map(|before| Some(one(before))).into_iter().chain([None]);
        ours.flat_map(move |before| {
            written().into_iter().flat_map(move |wanted| {
                let before = before.clone();
                there().map(|there| Known { wanted: one(wanted.clone()), before: before.clone(), found: found(there) })
            })
        })
    })
}

#[test]
fn in_no_case_is_anything_done_twice() {
    for known in every_case() {
        let (changes, after) = known.decide();
        let found = done(&known.found, &changes);
        let again = Known { wanted: known.wanted.clone(), before: Some(after), found };
        let (more, after_again) = again.decide();
        assert!(!more.iter().any(Change::is_deed), "{known:?}\n{changes:?}\n{more:?}");
        assert_eq!(Some(after_again), again.before, "{known:?}\n{changes:?}");
    }
}

#[test]
fn in_no_case_is_a_persons_text_lost_but_for_a_flag() {
    let mut cases = 0;
    for known in every_case() {
        let by_flag = known.wanted.values().any(|wanted| wanted.by_flag);
        let before = known.before.iter().flatten();
        let persons = |found: &Found| !before.clone().any(|(_, before)| found.is(&before.content));
        let (changes, _) = known.decide();
        let found = done(&known.found, &changes);
        for text in known.found.values().filter(|found| persons(found) && !by_flag) {
            assert!(found.values().any(|found| found == text), "{known:?}\n{changes:?}");
            cases += 1;
        }
    }
    assert!(cases > 100);
}

/// An svscan that watches the directory may start it at any moment.
#[test]
fn the_run_script_comes_after_all_that_it_needs() {
    let wanted = ["log/run", "run", "variables/HOST"].map(|path| (path.to_owned(), written("x", false)));
    let known = Known { wanted: wanted.into(), before: Some(Files::new()), found: Files::new() };
    let changes: Vec<String> = known.decide().0.iter().map(ToString::to_string).collect();
    assert_eq!(changes, ["write log/run", "write variables/HOST", "write run"]);
}
