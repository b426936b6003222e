//! One direction of a TCP connection, as Linux does it, as far as one small message a second can tell.
//!
//! Messages arrive in order or not at all: one lost segment holds up all behind it. The sender retransmits after a
//! time-out of at least 200 ms, doubled each time up to two minutes, and after a time-out has one segment in flight until
//! that is acknowledged, so new messages wait (RFC 6298, RFC 5681). Each arrival is acknowledged at once and selectively;
//! an acknowledgement for a later segment is taken as news that the earlier one is lost (fast retransmit; with so
//! few segments Linux does not wait for three of them, RFC 8985). Not modelled: tail loss probes, which would
//! only help, and acknowledgements that ride on data of the other direction.

use super::{Time, seconds};
use std::collections::VecDeque;

const SHORTEST_TIMEOUT: f64 = 0.2;
const LONGEST_TIMEOUT: f64 = 120.0;
const MOST_IN_FLIGHT: usize = 10;
/// As many segments as one acknowledgement can name.
const WINDOW: usize = 60;

/// What travels.
#[derive(Debug, Clone, Copy)]
pub enum Packet {
    /// The segment of this number.
    Data(u64),
    /// Everything before `upto` has come, and of what follows it the segments of which a bit is set.
    Ack { upto: u64, early: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Waiting,
    Flying,
    Lost,
    Arrived,
}

#[derive(Debug)]
struct Segment<M> {
    message: M,
    state: State,
    sent: u32,
    at: Time,
}

/// Both ends of one direction: the sender's queue, and what the receiver knows.
#[derive(Debug)]
pub struct Stream<M> {
    segments: VecDeque<Segment<M>>,
    first: u64,
    window: usize,
    round_trip: f64,
    variation: f64,
    backoff: i32,
    /// When the sender's patience ends.
    pub timer: Option<Time>,
    expected: u64,
    early: u64,
}

impl<M: Copy> Stream<M> {
    /// A new connection whose handshake took this long, in seconds.
    pub fn new(round_trip: f64) -> Self {
        Self {
            segments: VecDeque::new(),
            first: 0,
            window: MOST_IN_FLIGHT,
            round_trip,
            variation: round_trip / 2.0,
            backoff: 0,
            timer: None,
            expected: 0,
            early: 0,
        }
    }

    fn timeout(&self) -> Time {
        let base = self.round_trip + (4.0 * self.variation).max(SHORTEST_TIMEOUT);
        seconds((base * 2f64.powi(self.backoff)).min(LONGEST_TIMEOUT))
    }

    /// The sender has one more message. Like the other two it names the segments to be sent now.
    pub fn push(&mut self, message: M, now: Time, send: &mut Vec<u64>) {
        self.segments.push_back(Segment { message, state: State::Waiting, sent: 0, at: now });
        self.pump(now, send);
    }

    /// The sender's patience has ended.
    pub fn timer_fires(&mut self, now: Time, send: &mut Vec<u64>) {
        for segment in self.segments.iter_mut().filter(|segment| segment.state == State::Flying) {
            segment.state = State::Lost;
        }
        (self.window, self.backoff, self.timer) = (1, self.backoff + 1, None);
        self.pump(now, send);
    }

    /// The sender is told what has arrived.
    pub fn ack_arrives(&mut self, upto: u64, early: u64, now: Time, send: &mut Vec<u64>) {
        let progress = upto > self.first;
        while self.first < upto {
            let Some(segment) = self.segments.pop_front() else { break };
            self.first += 1;
            self.window = MOST_IN_FLIGHT.min(self.window + 1);
            if segment.sent == 1 {
                self.measure(now - segment.at);
            }
        }
        if upto == self.first && early != 0 {
            self.mark(early, now);
        }
        if progress {
            (self.backoff, self.timer) = (0, None);
        }
        self.pump(now, send);
    }

    /// RFC 6298, section 2.
    fn measure(&mut self, round_trip: Time) {
        let sample = round_trip as f64 / 1e9;
        self.variation = 0.75 * self.variation + 0.25 * (self.round_trip - sample).abs();
        self.round_trip = 0.875 * self.round_trip + 0.125 * sample;
    }

    /// What lies before the last segment that has arrived, and was not sent again just now, is lost.
    fn mark(&mut self, early: u64, now: Time) {
        let patience = seconds(self.round_trip);
        let last = 64 - early.leading_zeros() as usize;
        for (index, segment) in self.segments.iter_mut().enumerate().take(last + 1) {
            let arrived = index > 0 && early >> (index - 1) & 1 == 1;
            if arrived {
                segment.state = State::Arrived;
            } else if segment.state == State::Flying && now - segment.at >= patience {
                segment.state = State::Lost;
            }
        }
    }

    fn pump(&mut self, now: Time, send: &mut Vec<u64>) {
        let flying = self.segments.iter().filter(|segment| segment.state == State::Flying).count();
        let room = self.window.saturating_sub(flying);
        let sendable = |segment: &Segment<M>| matches!(segment.state, State::Lost | State::Waiting);
        let ready = self.segments.iter_mut().take(WINDOW).enumerate().filter(|(_, segment)| sendable(segment));
        for (index, segment) in ready.take(room) {
            (segment.state, segment.at) = (State::Flying, now);
            segment.sent += 1;
            send.push(self.first + index as u64);
        }
        match self.segments.is_empty() {
            true => self.timer = None,
            false => self.timer = self.timer.or(Some(now + self.timeout())),
        }
    }

    /// The receiver gets a segment: its acknowledgement, and the messages that are now in order.
    pub fn data_arrives(&mut self, number: u64, deliver: &mut Vec<M>) -> Packet {
        match number.checked_sub(self.expected) {
            Some(0) => self.in_order(deliver),
            Some(ahead) if ahead <= WINDOW as u64 => self.early |= 1 << (ahead - 1),
            Some(_) | None => (),
        }
        Packet::Ack { upto: self.expected, early: self.early }
    }

    fn in_order(&mut self, deliver: &mut Vec<M>) {
        loop {
            let index = (self.expected - self.first) as usize;
            deliver.extend(self.segments.get(index).map(|segment| segment.message));
            let next = self.early & 1 == 1;
            (self.expected, self.early) = (self.expected + 1, self.early >> 1);
            if !next {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = 1_000_000_000;

    /// A sender with three words under way; the first packets are named.
    fn three() -> Stream<char> {
        let (mut stream, mut send) = (Stream::new(0.01), Vec::new());
        "abc".chars().for_each(|word| stream.push(word, NOW, &mut send));
        assert_eq!(send, [0, 1, 2]);
        stream
    }

    #[test]
    fn a_lost_segment_holds_up_all_behind_it() {
        let (mut stream, mut heard) = (three(), Vec::new());
        stream.data_arrives(2, &mut heard);
        stream.data_arrives(1, &mut heard);
        assert_eq!(heard, []);
        stream.data_arrives(0, &mut heard);
        stream.data_arrives(1, &mut heard);
        assert_eq!(heard, ['a', 'b', 'c'], "in order, and each once");
    }

    #[test]
    fn patience_doubles_and_one_segment_flies_at_a_time() {
        let (mut stream, mut now) = (three(), NOW);
        let mut waits = Vec::new();
        for _ in 0..4 {
            let (due, mut send) = (stream.timer.unwrap(), Vec::new());
            waits.push((due - now) / 10_000_000);
            now = due;
            stream.timer_fires(now, &mut send);
            stream.push('d', now, &mut send);
            assert_eq!(send, [0]);
        }
        assert_eq!(waits, [21, 42, 84, 168], "in hundredths of a second");
    }

    #[test]
    fn news_of_a_later_segment_sends_the_missing_one_again() {
        let (mut stream, mut heard, mut send) = (three(), Vec::new(), Vec::new());
        let Packet::Ack { upto, early } = stream.data_arrives(1, &mut heard) else { panic!("an acknowledgement") };
        stream.ack_arrives(upto, early, NOW + seconds(0.02), &mut send);
        assert_eq!(send, [0]);
    }
}
