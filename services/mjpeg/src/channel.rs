//! The way from the source to the recorder. It holds a few frames; when the recorder is slow the oldest frame is dropped and counted. What
//! is no frame is never dropped, and order is kept. tokio's channels cannot drop their oldest, so this is a queue with a bell.

use crate::happening::Happening;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;

/// A way that holds at most `frames` frames.
pub fn channel(frames: usize) -> (Teller, Happenings) {
    let shared = Arc::new(Shared::default());
    (Teller { shared: shared.clone(), frames: frames.max(1) }, Happenings { shared })
}

/// The source's end.
#[derive(Debug)]
pub struct Teller {
    shared: Arc<Shared>,
    frames: usize,
}

/// The recorder's end. Dropping it ends the source, which closes its connection to the camera first.
#[derive(Debug)]
pub struct Happenings {
    shared: Arc<Shared>,
}

/// What became of all pictures since the start.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Good ones, those that were dropped here included.
    pub frames: u64,
    /// Good ones that the recorder did not fetch in time.
    pub dropped: u64,
    /// Broken ones: truncated, empty, too big, no JPEG, an odd size.
    pub flawed: u64,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    news: Notify,
    listener_gone: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Happening>,
    counts: Counts,
    teller_gone: bool,
    listener_gone: bool,
}

impl Shared {
    /// A panic elsewhere leaves a queue as good as before.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn make_room(&mut self, frames: usize) {
        let is_frame = |happening: &Happening| matches!(happening, Happening::Frame(_));
        if self.queue.iter().filter(|happening| is_frame(happening)).count() >= frames
            && let Some(oldest) = self.queue.iter().position(is_frame)
        {
            self.queue.remove(oldest);
            self.counts.dropped += 1;
        }
    }
}

impl Teller {
    /// Never waits.
    pub fn tell(&self, happening: Happening) {
        let mut state = self.shared.state();
        if matches!(happening, Happening::Frame(_)) {
            state.counts.frames += 1;
            state.make_room(self.frames);
        }
        state.queue.push_back(happening);
        drop(state);
        self.shared.news.notify_one();
    }

    /// Counts a picture that nobody gets to see.
    pub fn flawed(&self) {
        self.shared.state().counts.flawed += 1;
    }

    /// Returns when the recorder's end is gone.
    pub async fn listener_gone(&self) {
        loop {
            let gone = self.shared.listener_gone.notified();
            if self.shared.state().listener_gone {
                return;
            }
            gone.await;
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.shared.state().teller_gone = true;
        self.shared.news.notify_one();
    }
}

impl Happenings {
    /// The next one; `None` when the source has ended and all is told. Safe to use in `select!`.
    pub async fn next(&mut self) -> Option<Happening> {
        loop {
            {
                let mut state = self.shared.state();
                match state.queue.pop_front() {
                    Some(happening) => return Some(happening),
                    None if state.teller_gone => return None,
                    None => {}
                }
            }
            self.shared.news.notified().await;
        }
    }

    /// The counts up to now.
    pub fn counts(&self) -> Counts {
        self.shared.state().counts
    }
}

impl Drop for Happenings {
    fn drop(&mut self) {
        self.shared.state().listener_gone = true;
        self.shared.listener_gone.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::Cause;
    use crate::happening::{Frame, Look, Size};
    use std::time::{Duration, Instant};

    const SIZE: Size = Size { width: 8, height: 8 };

    fn frame(number: u64) -> Happening {
        Happening::Frame(Frame {
            jpeg: bytes::Bytes::new(),
            at: Instant::now(),
            camera_time: Some(Duration::from_secs(number)),
            size: SIZE,
            look: Look::default(),
        })
    }

    #[tokio::test]
    async fn the_oldest_frame_goes_and_no_message() {
        let (teller, mut happenings) = channel(2);
        let lost = Happening::Lost { why: Cause::Refused };
        let frames: Vec<Happening> = (0..4).map(frame).collect();
        for happening in [&Happening::Online(SIZE), &frames[0], &frames[1], &lost, &frames[2], &frames[3]] {
            teller.tell(happening.clone());
        }
        teller.flawed();
        drop(teller);
        let mut told = Vec::new();
        while let Some(happening) = happenings.next().await {
            told.push(happening);
        }
        assert_eq!(told, [Happening::Online(SIZE), lost, frames[2].clone(), frames[3].clone()]);
        assert_eq!(happenings.counts(), Counts { frames: 4, dropped: 2, flawed: 1 });
    }

    #[tokio::test]
    async fn each_end_hears_that_the_other_is_gone() {
        let (teller, happenings) = channel(1);
        let waits = tokio::spawn(async move { teller.listener_gone().await });
        tokio::task::yield_now().await;
        drop(happenings);
        waits.await.unwrap();
        let (teller, mut happenings) = channel(1);
        let waits = tokio::spawn(async move { happenings.next().await });
        tokio::task::yield_now().await;
        drop(teller);
        assert_eq!(waits.await.unwrap(), None);
    }
}
