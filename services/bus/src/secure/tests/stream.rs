//! The sealed stream.

use super::*;
use crate::secure::cipher::{HEADER, MAX_PLAIN, MAX_RECORD, TAG};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use std::sync::LazyLock;
use zeroize::Zeroizing;

fn pair() -> (Sealer, Opener) {
    static KEY: LazyLock<SecretKey> = LazyLock::new(|| SecretKey::generate().unwrap());
    (Sealer::new(Zeroizing::new(*KEY.bytes())), Opener::new(Zeroizing::new(*KEY.bytes())))
}

/// snow's own at the client's end, this at the server's.
#[test]
fn handshake_and_records_are_those_of_noise() {
    let (house, prologue) = (House::new(), hellos().prologue(Kind::Link));
    let builder = snow::Builder::new("Noise_XX_25519_ChaChaPoly_BLAKE2s".parse().unwrap());
    let builder = builder.local_private_key(house.client.bytes()).unwrap().prologue(&prologue).unwrap();
    let mut snow = builder.build_initiator().unwrap();
    let write = |snow: &mut snow::HandshakeState| {
        let mut message = [1; 200];
        let length = snow.write_message(&[], &mut message[1..]).unwrap();
        message[..=length].to_vec()
    };
    let (responder, answer) = Responder::answer(&house.server, &hellos(), &write(&mut snow)).unwrap();
    snow.read_message(&answer[1..], &mut [0; 200]).unwrap();
    let mut server = responder.finish(&write(&mut snow), &house.authorized).unwrap().sealed;

    let mut snow = snow.into_transport_mode().unwrap();
    for text in [&b"the first"[..], b"the second"] {
        let mut record = vec![0; HEADER + text.len() + TAG];
        record[HEADER - 1] = (text.len() + TAG) as u8;
        snow.write_message(text, &mut record[HEADER..]).unwrap();
        assert_eq!(open(&mut server.opener, &record).unwrap(), text);
        let back = seal(&mut server.sealer, text);
        let mut plain = vec![0; text.len()];
        snow.read_message(&back[HEADER..], &mut plain).unwrap();
        assert_eq!(plain, text);
    }
}

#[test]
fn a_bit_flipped_anywhere_ends_the_link() {
    let (mut sealer, _) = pair();
    let record = seal(&mut sealer, b"three words here");
    for bit in 0..record.len() * 8 {
        let (_, mut opener) = pair();
        let mut flipped = record.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let heard = open(&mut opener, &flipped).and_then(|plain| {
            assert_eq!(plain, b"", "bit {bit}: something was heard");
            opener.finish().map(|()| plain)
        });
        assert!(heard.is_err(), "bit {bit}");
    }
}

#[test]
fn a_record_that_is_repeated_left_out_or_moved_ends_the_link() {
    let (mut sealer, _) = pair();
    let [a, b, c] = [b"a", b"b", b"c"].map(|plain| seal(&mut sealer, plain));
    for (order, heard) in [([&a, &a, &b], &b"a"[..]), ([&a, &c, &b], b"a"), ([&b, &a, &c], b""), ([&b, &c, &a], b"")] {
        let (_, mut opener) = pair();
        let mut plain = Vec::new();
        let end = order.iter().try_for_each(|sealed| opener.receive(sealed, |part| plain.extend_from_slice(part)));
        assert_eq!((end, &plain[..]), (Err(Broken::Forged), heard));
    }
}

#[test]
fn after_an_error_nothing_is_heard_ever() {
    let (mut sealer, mut opener) = pair();
    let good = seal(&mut sealer, b"good");
    let mut bad = good.clone();
    bad[HEADER] ^= 1;
    assert_eq!(open(&mut opener, &bad), Err(Broken::Forged));
    assert_eq!(open(&mut opener, &good), Err(Broken::Forged));
    let next = seal(&mut sealer, b"next");
    assert_eq!(open(&mut opener, &next), Err(Broken::Forged));
    assert_eq!((opener.finish(), opener.held()), (Err(Broken::Forged), 0));
}

#[test]
fn what_was_heard_before_an_error_in_the_same_read_counts() {
    let (mut sealer, mut opener) = pair();
    let mut bytes = [seal(&mut sealer, b"one"), seal(&mut sealer, b"two")].concat();
    *bytes.last_mut().unwrap() ^= 0x80;
    let mut heard = Vec::new();
    assert_eq!(opener.receive(&bytes, |part| heard.push(part.to_vec())), Err(Broken::Forged));
    assert_eq!(heard, [b"one"]);
}

#[test]
fn a_stream_that_is_cut_off_is_told_from_one_that_ended() {
    let (mut sealer, _) = pair();
    let mut bytes = seal(&mut sealer, b"the last words");
    sealer.end(&mut bytes);
    for length in 0..bytes.len() {
        let (_, mut opener) = pair();
        open(&mut opener, &bytes[..length]).unwrap();
        assert_eq!(opener.finish(), Err(Broken::Truncated), "cut to {length} bytes");
    }
    let (_, mut opener) = pair();
    assert_eq!(open(&mut opener, &bytes).unwrap(), b"the last words");
    assert_eq!(opener.finish(), Ok(()));
    assert_eq!(open(&mut opener, &[0]), Err(Broken::AfterEnd));
}

#[test]
fn hostile_lengths_are_refused_before_anything_is_held() {
    let lengths = [(0, Broken::TooShort(0)), (TAG as u32 - 1, Broken::TooShort(15))];
    let giants = [MAX_RECORD as u32 + 1, 1 << 24, u32::MAX].map(|length| (length, Broken::TooLong(length)));
    for (length, why) in lengths.into_iter().chain(giants) {
        let (_, mut opener) = pair();
        assert_eq!(open(&mut opener, &length.to_be_bytes()), Err(why));
        assert_eq!(opener.held(), 0);
    }
    let (_, mut opener) = pair();
    open(&mut opener, &(MAX_RECORD as u32).to_be_bytes()).unwrap();
    assert!(opener.held() <= 16, "a length alone makes {} bytes be held", opener.held());
}

/// Lines and frames in the clear begin with a length or a letter that is refused, or with what does not open.
#[test]
fn plain_bytes_on_a_sealed_link_end_it() {
    for plain in [&b"shutdown\n"[..], b"Connection from 10.0.0.1\nshutdown\n", b"quit\n", &[0, 0, 0, 4, 1, 2, 3, 4]] {
        let (_, mut opener) = pair();
        assert!(open(&mut opener, plain).is_err(), "{}", plain.escape_ascii());
    }
}

#[test]
fn long_input_is_split_and_nothing_makes_nothing() {
    let (mut sealer, mut opener) = pair();
    assert_eq!(seal(&mut sealer, b""), b"");
    let plain: Vec<u8> = (0..MAX_PLAIN * 2 + 7).map(|n| n as u8).collect();
    let sealed = seal(&mut sealer, &plain);
    assert_eq!(sealed.len(), plain.len() + 3 * (HEADER + TAG));
    assert_eq!(sealed[..HEADER], (MAX_RECORD as u32).to_be_bytes());
    let mut parts = Vec::new();
    opener.receive(&sealed, |part| parts.push(part.to_vec())).unwrap();
    assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [MAX_PLAIN, MAX_PLAIN, 7]);
    assert_eq!(parts.concat(), plain);
    assert_eq!(opener.held(), 0);
}

#[test]
fn a_link_costs_little_while_idle() {
    assert_eq!((size_of::<Sealer>(), size_of::<Opener>()), (40, 72));
    assert!(size_of::<snow::TransportState>() > 40 + 72, "why not snow's own, then?");
}

proptest! {
    #[test]
    fn cuts_change_nothing(texts in vec(vec(any::<u8>(), 0..700), 0..8), at in vec(any::<Index>(), 0..12), ends in any::<bool>()) {
        let (mut sealer, mut opener) = pair();
        let mut bytes = Vec::new();
        texts.iter().for_each(|text| sealer.seal(text, &mut bytes));
        if ends { sealer.end(&mut bytes); }
        let mut cuts: Vec<usize> = at.iter().map(|index| index.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let mut heard = Vec::new();
        for cut in cuts.windows(2) {
            opener.receive(&bytes[cut[0]..cut[1]], |part| heard.extend_from_slice(part)).unwrap();
            prop_assert!(opener.held() <= 2 * (HEADER + 700 + TAG), "{} bytes held", opener.held());
        }
        prop_assert_eq!(heard, texts.concat());
        prop_assert_eq!(opener.held(), 0);
        prop_assert_eq!(opener.finish().is_ok(), ends);
    }

    #[test]
    fn strange_bytes_yield_nothing_and_are_bounded(reads in vec(vec(any::<u8>(), 0..300), 0..20)) {
        let (_, mut opener) = pair();
        for read in reads {
            let mut heard = 0;
            let end = opener.receive(&read, |_| heard += 1);
            prop_assert_eq!(heard, 0);
            prop_assert!(opener.held() <= 2 * (HEADER + MAX_RECORD));
            if end.is_err() { break; }
        }
    }

    #[test]
    fn a_slow_giant_is_held_within_the_bound(length in TAG as u32..=MAX_RECORD as u32, reads in vec(1..5000usize, 1..40)) {
        let (_, mut opener) = pair();
        open(&mut opener, &length.to_be_bytes()).unwrap();
        for read in reads {
            let end = opener.receive(&vec![0; read], |_| ());
            prop_assert!(opener.held() <= 2 * (HEADER + length as usize), "{} bytes held", opener.held());
            if end.is_err() { break; }
        }
    }
}
