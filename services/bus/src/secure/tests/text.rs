//! Keys, roles and lists as text.

use super::*;
use crate::secure::authorized::BadRole;
use crate::secure::key::{BadKey, TEXT_LENGTH};
use proptest::collection::vec;
use proptest::prelude::*;

fn public() -> PublicKey {
    SecretKey::generate().unwrap().public()
}

/// The first iteration of RFC 7748, section 5.2: nine times the base point, as keys are clamped.
#[test]
fn the_public_key_is_that_of_x25519() {
    let mut secret = [0; 32];
    secret[0] = 9;
    let hex: String = noise::public_of(&secret).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
}

#[test]
fn a_key_survives_its_text_in_any_case() {
    for _ in 0..20 {
        let key = public();
        let text = key.to_string();
        assert_eq!(text.len(), TEXT_LENGTH);
        for text in [text.clone(), text.to_uppercase(), text.replace('0', "O").replace('1', "l")] {
            assert_eq!(text.parse(), Ok(key), "{text}");
        }
    }
}

#[test]
fn a_text_that_is_no_key_says_why() {
    let text = public().to_string();
    assert_eq!(text[1..].parse::<PublicKey>(), Err(BadKey::Length(51)));
    assert_eq!("".parse::<PublicKey>(), Err(BadKey::Length(0)));
    assert_eq!(format!("{}u{}", &text[..9], &text[10..]).parse::<PublicKey>(), Err(BadKey::Letter(10)));
    assert_eq!(format!("{}ä{}", &text[..9], &text[10..]).parse::<PublicKey>(), Err(BadKey::Letter(10)));
    assert_eq!(format!("{}z", &text[..51]).parse::<PublicKey>(), Err(BadKey::End));
    assert_eq!("0".repeat(TEXT_LENGTH).parse::<PublicKey>(), Err(BadKey::Weak));
}

/// The points of small order, and zeros: with them everybody knows what is shared.
#[test]
fn keys_that_protect_nothing_are_refused() {
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    for weak in [[0; 32], one, minus_one] {
        let text = PublicKey::from_bytes(weak).to_string();
        assert_eq!(text.parse::<PublicKey>(), Err(BadKey::Weak));
    }
}

#[test]
fn a_fingerprint_is_short_and_each_keys_own() {
    let key = PublicKey::from_bytes([9; 32]);
    assert_eq!(key.fingerprint(), key.fingerprint());
    assert_eq!(key.fingerprint().len(), 14);
    assert_ne!(key.fingerprint(), public().fingerprint());
    assert_eq!(format!("{key:?}"), format!("PublicKey({})", key.fingerprint()));
}

fn roles(text: &str) -> Result<Roles, BadRole> {
    text.parse()
}

#[test]
fn roles_allow_what_they_name_and_nothing_else() {
    let some = roles("publish:camera publish:card-copy command:update").unwrap();
    assert!(some.may_publish("camera") && some.may_publish("card-copy") && some.may_command("update"));
    assert!(!some.may_follow() && !some.may_shut_down() && !some.may_publish("update") && !some.may_command("camera"));
    assert!(!some.may_publish("") && !some.may_publish("*") && !some.may_publish("cameras"));
    let all = roles("follow shutdown publish:camera publish:* publish:x command:*").unwrap();
    assert!(all.may_follow() && all.may_shut_down() && all.may_publish("anything") && all.may_command("anything"));
    assert_eq!(all, Roles::all());
    assert_eq!(Roles::default().to_string(), "");
    assert!(!Roles::default().may_follow());
}

#[test]
fn roles_survive_their_text() {
    for text in ["follow", "shutdown", "follow publish:a publish:b command:* shutdown", "publish:*"] {
        assert_eq!(roles(text).unwrap().to_string(), text);
    }
}

#[test]
fn a_word_that_is_no_role_is_named() {
    assert_eq!(roles(""), Err(BadRole::Missing));
    for word in ["folow", "Follow", "publish", "follow:x", "shutdown:now", ":", "command\u{1b}"] {
        assert!(matches!(roles(word), Err(BadRole::Unknown(_))), "{word}");
    }
    for word in ["publish:", "command:", "publish:Camera", "publish:a:b", "publish:*x", "command:\u{e9}"] {
        assert!(matches!(roles(word), Err(BadRole::Of(_))), "{word}");
    }
    assert!(roles("command\u{1b}").unwrap_err().to_string().contains("`command\\x1b`"));
}

#[test]
fn a_list_goes_on_over_bad_lines_and_names_each() {
    let (one, other) = (public(), public());
    let text = format!(
        "# all of the house\n\nkitchen {one} follow # by the window\nalone\nbad/name {other} follow\ncellar xyz follow\n\
         garage {other}\nbarn {other} folow\n\tattic\t{other}\tpublish:*  shutdown\r\n"
    );
    let (authorized, complaints) = Authorized::parse("/etc/list", &text);
    let names: Vec<&str> = {
        let mut names: Vec<&str> = authorized.peers().map(|peer| peer.name.as_str()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names, ["attic", "kitchen"]);
    assert!(authorized.peer(&other).unwrap().roles.may_shut_down());
    let said: Vec<String> = complaints.iter().map(Complaint::to_string).collect();
    let expected = [
        "/etc/list:4: `alone` stands alone; a line is NAME PUBLICKEY ROLE...",
        "/etc/list:5: `bad/name` is no host name",
        "/etc/list:6: the key of cellar: a key has 52 letters and digits, this one 3",
        "/etc/list:7: garage: no role is given",
        "/etc/list:8: barn: `folow` is no role",
    ];
    assert_eq!(said.len(), expected.len(), "{said:?}");
    said.iter().zip(expected).for_each(|(said, expected)| assert!(said.starts_with(expected), "{said}"));
}

#[test]
fn two_lines_with_one_name_or_one_key_name_each_other_and_neither_counts() {
    let (one, other, third) = (public(), public(), public());
    let text = format!("kitchen {one} follow\nattic {third} follow\nKitchen {other} follow\n");
    let (authorized, complaints) = Authorized::parse("list", &text);
    assert!(authorized.peer(&one).is_none() && authorized.peer(&other).is_none() && authorized.peer(&third).is_some());
    let said: Vec<String> = complaints.iter().map(Complaint::to_string).collect();
    let remedy = "none of them counts until all but one are deleted";
    assert_eq!(said[0], format!("list:1: kitchen stands in line 3 as well; {remedy}"));
    assert_eq!(said[1], format!("list:3: kitchen stands in line 1 as well; {remedy}"));
    assert_eq!(said.len(), 2);

    let (authorized, complaints) = Authorized::parse("list", &format!("cellar {one} follow\nbarn {one} shutdown\n"));
    assert!(authorized.peer(&one).is_none());
    assert_eq!(complaints[0].to_string(), format!("list:1: the key of cellar stands in line 2 as well; {remedy}"));
    assert_eq!(complaints[1].to_string(), format!("list:2: the key of barn stands in line 1 as well; {remedy}"));
}

proptest! {
    #[test]
    fn no_text_stops_the_reader(text in "\\PC*", lines in vec("[a-z #:*\\n]{0,60}", 0..10)) {
        let _ = text.parse::<PublicKey>();
        let _ = text.parse::<Code>();
        let (authorized, _) = Authorized::parse("list", &(text + "\n" + &lines.join("\n")));
        prop_assert_eq!(authorized.peers().count(), 0);
    }
}
