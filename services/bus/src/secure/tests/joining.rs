//! Joining with a code.

use super::*;
use crate::secure::handshake::BadStep;
use crate::secure::pairing::{LASTS, MAX_REASON, TRIES};
use protocol::Instant;
use std::time::Duration;

const START: Instant = Instant::at(Duration::from_secs(100));

fn code() -> Code {
    Code::generate().unwrap()
}

fn again(code: &Code) -> Code {
    code.reveal().parse().unwrap()
}

/// A server with a code on its display, and a machine that nobody knows yet.
struct Pair {
    server: SecretKey,
    client: SecretKey,
    code: Code,
    offer: Offer,
}

impl Pair {
    fn new() -> Pair {
        let code = code();
        let offer = Offer::new(again(&code), START + LASTS);
        Pair { server: SecretKey::generate().unwrap(), client: SecretKey::generate().unwrap(), code, offer }
    }

    fn joiner(&self, code: &Code) -> (Joiner, Vec<u8>) {
        Joiner::new(code, &self.client, &hellos()).unwrap()
    }

    /// A first message with that code.
    fn tries(&mut self, code: &Code, now: Instant) -> Result<(pairing::Pending, Vec<u8>), Failure> {
        let (_, first) = self.joiner(code);
        self.offer.answer(&self.server, &hellos(), &first, now)
    }

    /// All of it up to the server's last word.
    fn joins(&mut self) -> Result<(pairing::JoinerWaits, Joined), Failure> {
        let (joiner, first) = self.joiner(&again(&self.code));
        let (pending, answer) = self.offer.answer(&self.server, &hellos(), &first, START)?;
        let (waits, last) = joiner.receive(&answer)?;
        Ok((waits, self.offer.finish(pending, &last, START)?))
    }
}

#[test]
fn both_learn_name_and_key_of_the_other() {
    let mut pair = Pair::new();
    let (waits, joined) = pair.joins().unwrap();
    assert_eq!((joined.name.clone(), joined.key), (host("kitchen"), pair.client.public()));
    let pinned = waits.receive(&joined.confirm()).unwrap();
    assert_eq!(pinned, PinnedServer { name: host("attic"), key: pair.server.public() });

    let line = format!("kitchen {} follow", pair.client.public());
    let (authorized, _) = Authorized::parse("list", &line);
    let house = House { server: pair.server, client: pair.client, authorized };
    house.link();
}

#[test]
fn a_machine_that_is_not_taken_hears_why_and_pins_nothing() {
    for (why, told) in [("the disk is full", "the disk is full"), ("", "no reason given")] {
        let (waits, joined) = Pair::new().joins().unwrap();
        assert_eq!(waits.receive(&joined.refuse(why)), Err(Failure::Refused(told.into())));
    }
    let (waits, joined) = Pair::new().joins().unwrap();
    let Err(Failure::Refused(told)) = waits.receive(&joined.refuse(&"ä".repeat(MAX_REASON))) else { panic!("taken") };
    assert!(told.starts_with("\\xc3"), "what strangers say is made printable: {told}");
}

#[test]
fn the_last_word_cannot_be_made_or_changed_by_others() {
    let verdict = |change: fn(&mut Vec<u8>)| {
        let (waits, joined) = Pair::new().joins().unwrap();
        let mut verdict = joined.refuse("no");
        change(&mut verdict);
        waits.receive(&verdict).unwrap_err()
    };
    assert_eq!(verdict(|verdict| *verdict.last_mut().unwrap() ^= 1), BadStep::Forged.into());
    assert_eq!(verdict(|verdict| verdict.truncate(10)), BadStep::Forged.into());
    assert_eq!(verdict(|verdict| verdict.truncate(1)), BadStep::Forged.into());
    assert_eq!(verdict(|verdict| verdict.clear()), BadStep::Length(0).into());
    assert_eq!(verdict(|verdict| verdict[0] = 1), BadStep::OtherKind(Kind::Link).into());
    let (_, joined) = Pair::new().joins().unwrap();
    let of_another = joined.confirm();
    let (waits, _) = Pair::new().joins().unwrap();
    assert_eq!(waits.receive(&of_another), Err(BadStep::Forged.into()));
}

#[test]
fn a_wrong_code_is_told_at_the_first_message_and_costs_a_try() {
    let mut pair = Pair::new();
    for left in (1..TRIES).rev() {
        assert_eq!(pair.tries(&code(), START).unwrap_err(), Failure::WrongCode { left });
    }
    assert_eq!(pair.tries(&code(), START).unwrap_err(), Failure::Void, "the fifth");
    let right = again(&pair.code);
    assert_eq!(pair.tries(&right, START).unwrap_err(), Failure::Void, "the sixth, with the right code");
}

#[test]
fn the_right_code_works_after_four_wrong_ones() {
    let mut pair = Pair::new();
    (1..TRIES).for_each(|_| drop(pair.tries(&code(), START).unwrap_err()));
    pair.joins().unwrap();
}

#[test]
fn a_code_is_for_one_machine() {
    let mut pair = Pair::new();
    pair.joins().unwrap();
    assert_eq!(pair.joins().unwrap_err(), Failure::Used);
}

#[test]
fn of_two_machines_that_join_at_once_one_does() {
    let mut pair = Pair::new();
    let mut halves = Vec::new();
    for _ in 0..2 {
        let (joiner, first) = pair.joiner(&again(&pair.code));
        let (pending, answer) = pair.offer.answer(&pair.server, &hellos(), &first, START).unwrap();
        halves.push((pending, joiner.receive(&answer).unwrap().1));
    }
    let ends = halves.into_iter().map(|(pending, last)| pair.offer.finish(pending, &last, START).map(|_| ()));
    assert_eq!(ends.collect::<Vec<_>>(), [Ok(()), Err(Failure::Used)]);
}

#[test]
fn a_code_that_is_over_its_time_is_void_at_each_step() {
    let mut pair = Pair::new();
    let right = again(&pair.code);
    let last_moment = START + LASTS - Duration::from_nanos(1);
    pair.tries(&right, last_moment).unwrap();
    assert_eq!(pair.tries(&right, START + LASTS).unwrap_err(), Failure::Expired);
    let (joiner, first) = pair.joiner(&right);
    let (pending, answer) = pair.offer.answer(&pair.server, &hellos(), &first, last_moment).unwrap();
    let (_, last) = joiner.receive(&answer).unwrap();
    assert_eq!(pair.offer.finish(pending, &last, pair.offer.deadline()).unwrap_err(), Failure::Expired);
}

#[test]
fn a_server_that_does_not_know_the_code_learns_nothing() {
    let (pair, mut impostor) = (Pair::new(), Pair::new());
    let (joiner, first) = pair.joiner(&pair.code);
    assert!(impostor.offer.answer(&impostor.server, &hellos(), &first, START).is_err());
    let (_, own) = impostor.joiner(&impostor.code);
    let (_, answer) = impostor.offer.answer(&impostor.server, &hellos(), &own, START).unwrap();
    assert_eq!(joiner.receive(&answer).unwrap_err(), Failure::WrongServer);
}

/// Who has recorded a first message can send it again, and gets no further.
#[test]
fn a_captured_pairing_is_worth_nothing() {
    let mut pair = Pair::new();
    let right = again(&pair.code);
    let (joiner, first) = pair.joiner(&right);
    let (_, answer) = pair.offer.answer(&pair.server, &hellos(), &first, START).unwrap();
    let (_, last) = joiner.receive(&answer).unwrap();
    let (replayed, _) = pair.offer.answer(&pair.server, &hellos(), &first, START).unwrap();
    assert_eq!(pair.offer.finish(replayed, &last, START).unwrap_err(), Failure::WrongCode { left: TRIES - 1 });
    pair.joins().unwrap();
}

#[test]
fn changed_hello_lines_end_a_pairing() {
    let mut pair = Pair::new();
    let (_, first) = pair.joiner(&pair.code);
    let changed = Hellos { client: host("cellar"), ..hellos() };
    let refused = pair.offer.answer(&pair.server, &changed, &first, START).unwrap_err();
    assert_eq!(refused, Failure::WrongCode { left: TRIES - 1 });
}

#[test]
fn a_handshake_for_a_link_is_no_pairing() {
    let mut pair = Pair::new();
    let (_, first) = House::new().initiator();
    let refused = pair.offer.answer(&pair.server, &hellos(), &first, START).unwrap_err();
    assert_eq!(refused, Failure::WrongCode { left: TRIES - 1 });
    let (_, mut first) = pair.joiner(&pair.code);
    first[0] = 1;
    assert!(Responder::answer(&pair.server, &hellos(), &first).is_ok_and(|(responder, answer)| {
        let (joiner, _) = pair.joiner(&pair.code);
        joiner.receive(&answer).is_err() && responder.finish(&first, &Authorized::default()).is_err()
    }));
}

#[test]
fn a_code_is_read_as_people_type_it() {
    let text = code().reveal();
    assert_eq!((text.len(), text.matches('-').count()), (23, 5), "{}", *text);
    let typed = [
        text.to_string(),
        text.to_uppercase(),
        text.replace('-', ""),
        format!("  {}\n", text.replace('-', " ")),
        text.replace('0', "O").replace('1', "l"),
        text.replace('0', "o").replace('1', "I"),
    ];
    for typed in typed {
        assert_eq!(*typed.parse::<Code>().unwrap().reveal(), *text, "{typed}");
    }
}

#[test]
fn a_typing_error_is_told_before_anything_is_sent() {
    let text = code().reveal().replace('-', "");
    let letters: Vec<char> = text.chars().collect();
    for at in 0..letters.len() {
        for wrong in key::ALPHABET.chars().filter(|&wrong| wrong != letters[at]) {
            let mut typed = letters.clone();
            typed[at] = wrong;
            assert_eq!(parse(&typed), Err(pairing::BadCode::Typo), "letter {at} as {wrong}");
        }
        for other in (0..at).filter(|&other| letters[other] != letters[at]) {
            let mut typed = letters.clone();
            typed.swap(at, other);
            assert_eq!(parse(&typed), Err(pairing::BadCode::Typo), "letters {other} and {at} swapped");
        }
    }
    assert_eq!(parse(&letters[1..]), Err(pairing::BadCode::Length(17)));
    assert_eq!(parse(&[&letters[..], &['0', '0']].concat()), Err(pairing::BadCode::Length(20)));
    assert_eq!(parse(&[]), Err(pairing::BadCode::Length(0)));
    assert_eq!(parse(&[&letters[..3], &['u'], &letters[4..]].concat()), Err(pairing::BadCode::Letter(4)));
    assert_eq!(parse(&['ß']), Err(pairing::BadCode::Letter(1)));
}

fn parse(letters: &[char]) -> Result<(), pairing::BadCode> {
    letters.iter().collect::<String>().parse::<Code>().map(|_| ())
}

#[test]
fn a_code_is_random_and_never_shown_by_accident() {
    let codes: std::collections::HashSet<String> = (0..200).map(|_| code().reveal().to_string()).collect();
    assert_eq!(codes.len(), 200);
    let letters: std::collections::HashSet<char> = codes.iter().flat_map(|code| code.chars()).collect();
    assert_eq!(letters.len(), 33, "all letters occur, and the dash");
    let pair = Pair::new();
    let shown = format!("{:?} {:?}", pair.code, pair.offer);
    assert!(!shown.contains(&**pair.code.reveal()) && shown.starts_with("Code(..) Offer { code: Code(..),"), "{shown}");
}
