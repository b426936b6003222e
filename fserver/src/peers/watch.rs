//! One epoll for the sockets of all peers, which the runtime waits for like for one socket. So a peer needs neither a task
//! nor a place in the books of the runtime, which together would cost half a kilobyte.
//!
//! It tells of a socket as long as there is something to be read (level-triggered): each turn of the loop reads once, and
//! nobody who says much holds up the others.
//!
//! When a crowd was told something that each of it answers, the answers gather: a loop that got up for each of them would
//! take the time away from those who are still to answer.

use super::Stream;
use crate::machine::PeerId;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use runner::descriptor::Woken;
use std::io;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// So many sockets are looked at in one turn of the loop; as many peers are a crowd.
const TOGETHER: usize = 64;

/// How long the answers of a crowd gather each time. Measured: 1 ms gains less, 4 ms not more.
const GATHER: Duration = Duration::from_millis(2);

/// Whoever has not answered by then is heard like anybody else.
const PATIENCE: Duration = Duration::from_millis(100);

/// A socket at which there is something to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Whose it is.
    pub peer: PeerId,
    /// There are bytes, or an end.
    pub readable: bool,
    /// There is room for what waits.
    pub writable: bool,
}

/// All sockets.
#[derive(Debug)]
pub(super) struct Watch {
    epoll: Epoll,
    mode: Mode,
}

#[derive(Debug)]
enum Mode {
    /// We are woken for each socket.
    Woken(Woken),
    /// Answers of a crowd gather.
    Gathers(Answers),
}

/// What is expected of a crowd.
#[derive(Debug)]
struct Answers {
    due: usize,
    /// When the sockets are looked at.
    look: Instant,
    /// When no more are waited for.
    end: Instant,
}

impl Watch {
    pub(super) fn new() -> io::Result<Watch> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mode = woken(&epoll)?;
        Ok(Watch { epoll, mode })
    }

    pub(super) fn add(&self, peer: PeerId, stream: &Stream) -> io::Result<()> {
        Ok(self.epoll.add(stream.descriptor(), event(peer, false))?)
    }

    /// Whether room is waited for as well.
    pub(super) fn change(&self, peer: PeerId, stream: &Stream, writable: bool) -> io::Result<()> {
        Ok(self.epoll.modify(stream.descriptor(), &mut event(peer, writable))?)
    }

    /// A child of ours that has not begun yet may hold the socket open, so its own end would not be enough.
    pub(super) fn remove(&self, stream: &Stream) {
        // One that could not be added is not there.
        let _ = self.epoll.delete(stream.descriptor());
    }

    /// So many are about to be told something that they answer at once.
    pub(super) fn expect_answers(&mut self, count: usize) {
        if count < TOGETHER {
            return;
        }
        let now = Instant::now();
        let end = now + PATIENCE;
        self.mode = Mode::Gathers(match self.mode {
            Mode::Woken(_) => Answers { due: count, look: now + GATHER, end },
            Mode::Gathers(Answers { due, look, .. }) => Answers { due: due + count, look, end },
        });
    }

    /// Waits until there is something to be done, and says where. May be dropped and called again at any time.
    pub(super) async fn ready(&mut self) -> Vec<Ready> {
        loop {
            let answers = match &mut self.mode {
                Mode::Woken(woken) => {
                    return woken.until(|| Some(look(&self.epoll)).filter(|ready| !ready.is_empty())).await;
                }
                Mode::Gathers(answers) => answers,
            };
            sleep_until(answers.look).await;
            let ready = look(&self.epoll);
            // If the kernel cannot wake us now, we go on looking.
            if answers.have_gathered(ready.len(), Instant::now())
                && let Ok(woken) = woken(&self.epoll)
            {
                self.mode = woken;
            }
            if !ready.is_empty() {
                return ready;
            }
        }
    }
}

impl Answers {
    /// So many have come; whether no more are waited for.
    fn have_gathered(&mut self, count: usize, now: Instant) -> bool {
        self.due = self.due.saturating_sub(count);
        if count < TOGETHER {
            self.look = now + GATHER;
        }
        self.due == 0 || now > self.end
    }
}

fn woken(epoll: &Epoll) -> io::Result<Mode> {
    Woken::new(epoll.0.try_clone()?).map(Mode::Woken)
}

fn look(epoll: &Epoll) -> Vec<Ready> {
    let mut events = [EpollEvent::empty(); TOGETHER];
    let count = loop {
        match epoll.wait(&mut events, EpollTimeout::ZERO) {
            Ok(count) => break count,
            Err(Errno::EINTR) => {}
            Err(_) => break 0,
        }
    };
    events[..count].iter().map(ready).collect()
}

fn event(peer: PeerId, writable: bool) -> EpollEvent {
    let room = if writable { EpollFlags::EPOLLOUT } else { EpollFlags::empty() };
    EpollEvent::new(EpollFlags::EPOLLIN | room, peer.0)
}

fn ready(event: &EpollEvent) -> Ready {
    let flags = event.events();
    Ready {
        peer: PeerId(event.data()),
        // Errors and ends show when it is read.
        readable: flags.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP),
        writable: flags.contains(EpollFlags::EPOLLOUT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    /// A watch over so many peers, and both ends of each link.
    fn peers(count: usize) -> (Watch, Vec<(Stream, UnixStream)>) {
        let watch = Watch::new().unwrap();
        let ends: Vec<_> = (0..count).map(|_| UnixStream::pair().unwrap()).collect();
        let ends: Vec<_> = ends.into_iter().map(|(near, far)| (Stream::Unix(near), far)).collect();
        for (number, (near, _)) in ends.iter().enumerate() {
            watch.add(PeerId(number as u64), near).unwrap();
        }
        (watch, ends)
    }

    fn is_woken(watch: &Watch) -> bool {
        matches!(watch.mode, Mode::Woken(_))
    }

    /// What is ready without any waiting.
    async fn at_once(watch: &mut Watch) -> usize {
        tokio::select! {
            biased;
            ready = watch.ready() => ready.len(),
            () = tokio::time::sleep(Duration::ZERO) => 0,
        }
    }

    #[tokio::test]
    async fn the_answers_of_a_crowd_are_heard_together() {
        let (mut watch, mut ends) = peers(TOGETHER);
        watch.expect_answers(TOGETHER);
        ends[0].1.write_all(b".").unwrap();
        assert_eq!(look(&watch.epoll).len(), 1);
        assert_eq!(at_once(&mut watch).await, 0, "one that came first waits for others");
        for (_, far) in &mut ends[1..] {
            far.write_all(b".").unwrap();
        }
        assert_eq!(watch.ready().await.len(), TOGETHER);
        assert!(is_woken(&watch), "everybody has answered");
        for (near, _) in &ends {
            let Stream::Unix(near) = near else { unreachable!() };
            (&*near).read_exact(&mut [0]).unwrap();
        }
        ends[7].1.write_all(b".").unwrap();
        let ready = watch.ready().await;
        assert!(matches!(ready[..], [Ready { peer: PeerId(7), .. }]), "{ready:?}");
    }

    #[tokio::test]
    async fn whoever_answers_late_or_not_at_all_is_heard_like_anybody_else() {
        let (mut watch, mut ends) = peers(2);
        watch.expect_answers(TOGETHER);
        let begin = Instant::now();
        while !is_woken(&watch) {
            // What is said to one meanwhile is no reason to wait longer for the others.
            watch.expect_answers(1);
            let silence = tokio::time::timeout(PATIENCE / 10, watch.ready()).await;
            assert!(silence.is_err() && begin.elapsed() < 100 * PATIENCE, "answers are waited for without end");
        }
        ends[1].1.write_all(b".").unwrap();
        let ready = watch.ready().await;
        assert!(matches!(ready[..], [Ready { peer: PeerId(1), .. }]), "{ready:?}");
    }

    #[tokio::test]
    async fn whoever_is_told_much_is_heard_all_the_same() {
        let (mut watch, mut ends) = peers(1);
        watch.expect_answers(TOGETHER);
        ends[0].1.write_all(b".").unwrap();
        tokio::time::sleep(2 * GATHER).await;
        watch.expect_answers(TOGETHER);
        assert_eq!(at_once(&mut watch).await, 1);
    }

    #[tokio::test]
    async fn the_answer_of_one_is_heard_at_once() {
        let (mut watch, _ends) = peers(1);
        watch.expect_answers(TOGETHER - 1);
        assert!(is_woken(&watch));
    }
}
