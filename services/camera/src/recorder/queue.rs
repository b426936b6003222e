//! What went into the encoder and has not come out of it, and the cuts and the end that wait there for their picture. Pure.
//!
//! What always holds: pictures come out in the order in which they went in, or not at all; a cut begins a segment with the first key
//! frame from its picture on; an end concerns only what went in before it, so whatever follows is begun all the same.

use segments::Reason;
use std::collections::VecDeque;
use std::time::Duration;

/// What has not come out of the encoder by then does not come out any more.
const LATEST: Duration = Duration::from_millis(400);
/// An encoder that makes no key frame for so long, although it was asked for one, does not listen.
const OVERDUE: Duration = Duration::from_secs(2);

/// A picture that went into the encoder.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sent {
    pub(super) at: Duration,
    pub(super) size: (u32, u32),
    pub(super) interval: Duration,
}

/// A segment begins with the picture of this time, and the one before it ends for this reason.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cut {
    pub(super) at: Duration,
    pub(super) reason: Reason,
    /// It is evidence, and so much moves in it.
    pub(super) mark: Option<f64>,
}

/// The newest segment ends when all that went in before has come out, or at the deadline.
#[derive(Debug)]
struct End {
    reason: Reason,
    last: Duration,
    deadline: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    sent: VecDeque<Sent>,
    cuts: VecDeque<Cut>,
    end: Option<End>,
}

impl Queue {
    pub(super) fn sent(&mut self, sent: Sent) {
        self.sent.push_back(sent);
    }

    /// When the first picture was taken that has not come out.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.sent.front().map(|sent| sent.at)
    }

    pub(super) fn cut(&mut self, at: Duration, reason: Reason) {
        self.cuts.push_back(Cut { at, reason, mark: None });
    }

    /// The segment of the newest cut is evidence. `false` if none waits, so that it is the open one.
    pub(super) fn mark(&mut self, percent: f64) -> bool {
        let cut = self.cuts.back_mut();
        cut.map(|cut| cut.mark = Some(cut.mark.unwrap_or_default().max(percent))).is_some()
    }

    pub(super) fn end(&mut self, reason: Reason, now: Duration) {
        let newest = [self.sent.back().map(|sent| sent.at), self.cuts.back().map(|cut| cut.at)];
        let last = newest.into_iter().flatten().max().unwrap_or_default();
        self.end = Some(End { reason, last, deadline: now + LATEST });
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.end.as_ref().map(|end| end.deadline)
    }

    /// What was to come out before the end and is not waited for any longer.
    pub(super) fn late(&mut self, now: Duration) -> u64 {
        let end = self.end.as_ref().filter(|end| end.deadline <= now);
        let late = end.map_or(0, |end| self.sent.partition_point(|sent| sent.at <= end.last));
        self.sent.drain(..late).count() as u64
    }

    /// The encoder is gone, and so much with it.
    pub(super) fn forget(&mut self) -> u64 {
        self.sent.drain(..).count() as u64
    }

    /// Which picture came out, and how many before it could not be decoded.
    pub(super) fn arrived(&mut self, at: Duration) -> (u64, Option<Sent>) {
        let before = self.sent.partition_point(|sent| sent.at < at);
        self.sent.drain(..before);
        (before as u64, self.sent.pop_front_if(|sent| sent.at == at))
    }

    /// Why the open segment ends now, if it does: all before the end is out. `hand` is the picture that has just come out and is not
    /// written yet.
    pub(super) fn over(&mut self, hand: Option<Duration>) -> Option<Reason> {
        let next = hand.or(self.sent.front().map(|sent| sent.at));
        let end = self.end.take_if(|end| next.is_none_or(|next| next > end.last))?;
        // A cut that no picture came for: it could not be decoded.
        self.cuts.retain(|cut| cut.at > end.last);
        Some(end.reason)
    }

    /// The cut that is made by a key frame of this time. If several are due, the first one says why, and each of them marks.
    pub(super) fn begins(&mut self, at: Duration) -> Option<Cut> {
        let due = self.cuts.iter().take_while(|cut| cut.at <= at).count();
        self.cuts.drain(..due).reduce(|first, next| {
            let mark = first.mark.into_iter().chain(next.mark).reduce(f64::max);
            Cut { mark, ..first }
        })
    }

    /// That cut could not be made; the next key frame tries again.
    pub(super) fn again(&mut self, cut: Cut) {
        self.cuts.push_front(cut);
    }

    /// A cut waits for its picture.
    pub(super) fn is_cutting(&self) -> bool {
        !self.cuts.is_empty()
    }

    /// A key frame was asked for and does not come, while pictures do; `last` is the last of them.
    pub(super) fn is_overdue(&self, last: Option<Duration>) -> bool {
        self.cuts.front().zip(last).is_some_and(|(cut, last)| last > cut.at + OVERDUE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn sent(at: u64) -> Sent {
        Sent { at: ms(at), size: (640, 480), interval: ms(66) }
    }

    #[test]
    fn a_delayed_end_does_not_take_the_cut_of_what_follows() {
        let mut queue = Queue::default();
        queue.sent(sent(1000));
        queue.end(Reason::Lost, ms(1900));
        queue.cut(ms(2000), Reason::Lost);
        queue.sent(sent(2000));
        queue.sent(sent(2066));
        assert_eq!((queue.late(ms(2299)), queue.over(None)), (0, None));
        assert_eq!((queue.late(ms(2300)), queue.over(None)), (1, Some(Reason::Lost)), "the last one never came out");
        assert_eq!(queue.arrived(ms(2000)), (0, Some(sent(2000))));
        assert_eq!(queue.begins(ms(2000)).map(|cut| cut.at), Some(ms(2000)));
        assert_eq!((queue.arrived(ms(2066)), queue.deadline()), ((0, Some(sent(2066))), None));
    }

    #[test]
    fn an_end_behind_a_cut_ends_what_the_cut_begins() {
        let mut queue = Queue::default();
        queue.cut(ms(1000), Reason::Length);
        queue.sent(sent(1000));
        queue.end(Reason::Stopped, ms(1010));
        assert_eq!(queue.arrived(ms(1000)), (0, Some(sent(1000))));
        assert_eq!(queue.over(Some(ms(1000))), None);
        assert_eq!(queue.begins(ms(1000)).map(|cut| cut.reason), Some(Reason::Length));
        assert_eq!(queue.over(None), Some(Reason::Stopped));
    }

    #[test]
    fn what_cannot_be_decoded_ends_nothing_twice_and_begins_nothing() {
        let mut queue = Queue::default();
        queue.cut(ms(1000), Reason::Length);
        queue.sent(sent(1000));
        queue.sent(sent(1066));
        assert_eq!(queue.arrived(ms(1066)), (1, Some(sent(1066))));
        queue.end(Reason::Lost, ms(2000));
        assert_eq!((queue.over(None), queue.over(None)), (Some(Reason::Lost), None));
        assert!(!queue.is_cutting());
        queue.cut(ms(3000), Reason::Lost);
        queue.sent(sent(3000));
        assert_eq!((queue.forget(), queue.arrived(ms(3000))), (1, (0, None)), "the encoder was gone");
        assert_eq!(
            queue.begins(ms(3100)).map(|cut| cut.at),
            Some(ms(3000)),
            "the next one begins with its first picture"
        );
    }

    #[test]
    fn cuts_that_are_due_together_are_one_and_evidence_stays_evidence() {
        let mut queue = Queue::default();
        assert!(!queue.mark(1.0), "that is the open segment's");
        queue.cut(ms(1000), Reason::Length);
        assert!(queue.mark(3.0));
        queue.cut(ms(1066), Reason::Motion);
        let cut = Cut { at: ms(1000), reason: Reason::Length, mark: Some(3.0) };
        assert_eq!(queue.begins(ms(1066)), Some(cut.clone()));
        queue.again(cut);
        assert!(queue.is_cutting() && queue.is_overdue(Some(ms(3001))) && !queue.is_overdue(Some(ms(3000))));
    }
}
