//! All decisions about one camera's recording: where a segment begins and ends, what is evidence, what the house is told. Pure.
//!
//! Times are those of the recorder's monotonic clock: of pictures, when they were taken; of everything else, when it happened.
//! What always holds: while pictures come there is an open segment; one that is not open gets no pictures; a segment begins with a key frame.

use protocol::fact::Fact;
use segments::Reason;
use std::time::Duration;

/// So often there is a key frame to seek to; as in set-ups with gst-launch and `key-int-max=$((FPS*3))`.
const KEY: Duration = Duration::from_secs(3);
/// Silence is at least this long, and at least four pictures long: the segment is closed within a second of the camera's loss.
const SILENCE: Duration = Duration::from_millis(900);
/// So much of what moves is in the segment that leaves at once.
const URGENT: Duration = Duration::from_secs(2);
/// While it moves, segments are this long at most,
const BUSY: Duration = Duration::from_secs(5);
/// but not for longer than this: a tree in the wind is no reason to make thousands of files.
const BUSY_FOR: Duration = Duration::from_secs(30);
/// Nothing moves any more when nothing has moved for so long.
const STILL: Duration = Duration::from_secs(5);
/// A camera that is back within this time was not away: ESP32 cameras end their stream now and then and go on at once.
const BLIP: Duration = Duration::from_secs(3);

/// How this camera is recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// How long a segment is.
    pub segment: Duration,
    /// The share of the picture, in percent, that has to move.
    pub motion_percent: Option<f32>,
}

/// A picture that is to be recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Picture {
    /// When it was taken.
    pub taken: Duration,
    /// Until the next one, as far as is known.
    pub interval: Duration,
    /// Width and height.
    pub size: (u32, u32),
    /// How much of it moved, in percent, if it was looked at.
    pub moved: Option<f32>,
    /// It has been the same for so long.
    pub frozen: Option<Duration>,
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The camera sends pictures.
    Online,
    /// One of them.
    Picture(Picture),
    /// It sends none, for this reason.
    Lost(String),
    /// Its settings have changed.
    Rules(Rules),
    /// A picture has come out of the encoder.
    Coded,
    /// It is encoded by this from now on.
    Encoder(&'static str),
    /// The server lets everybody go: what was recorded so far is to leave at once.
    Leaving,
    /// The open segment takes as much room as one may.
    Large,
    /// The deadline has passed.
    Tick,
    /// The program ends.
    Stop,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// The picture becomes a key frame.
    Key,
    /// The picture begins a segment; if there is an open one, it ends before it for this reason.
    Begin(Reason),
    /// The picture goes to the encoder.
    Encode,
    /// The open segment ends with what was encoded.
    Close(Reason),
    /// The open segment is evidence from now on, and so much moved in it.
    Mark,
    /// The house is told.
    Say(Fact),
    /// The camera may have forgotten whether it is day.
    Preset,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    begun: Duration,
    key: Duration,
    size: (u32, u32),
}

#[derive(Debug, Clone, Copy)]
struct Moving {
    since: Duration,
    last: Duration,
}

/// Whether the camera is there, as the house knows it.
#[derive(Debug, Clone, PartialEq)]
enum Presence {
    /// Nothing was said yet; lost since then, if so.
    Unknown(Option<(Duration, String)>),
    Online,
    /// Away since then, which was not told yet.
    Blip(Duration, String),
    Offline,
    /// It sends the same picture again and again.
    Frozen,
    /// It was said that its pictures cannot be encoded; it is online when one of them is.
    GivenUp,
}

/// One camera.
#[derive(Debug)]
pub struct Machine {
    camera: String,
    rules: Rules,
    encoder: &'static str,
    /// Whether it was said to be online, and recorded.
    told: Option<(bool, bool)>,
    open: Option<Open>,
    moving: Option<Moving>,
    /// The last look found motion.
    stirred: bool,
    presence: Presence,
    silent_at: Option<Duration>,
    /// The open segment ends with the next picture, for this reason.
    ends: Option<Reason>,
}

impl Machine {
    /// A camera of which nothing is known yet, or which was given up since its pictures cannot be encoded.
    pub fn new(camera: &str, rules: Rules, encoder: &'static str, given_up: bool) -> Machine {
        let presence = if given_up { Presence::GivenUp } else { Presence::Unknown(None) };
        let camera = camera.into();
        let (told, open, moving, silent_at, ends) = Default::default();
        Machine { camera, rules, encoder, told, open, moving, stirred: false, presence, silent_at, ends }
    }

    /// When [`Input::Tick`] is due.
    pub fn deadline(&self) -> Option<Duration> {
        let told = match &self.presence {
            Presence::Unknown(Some((since, _))) | Presence::Blip(since, _) => Some(*since + BLIP),
            _ => None,
        };
        self.silent_at.into_iter().chain(told).min()
    }

    /// The house knows that it was given up, and of nothing better.
    pub fn is_given_up(&self) -> bool {
        self.presence == Presence::GivenUp
    }

    /// What follows from what happens.
    pub fn handle(&mut self, input: Input, now: Duration) -> Vec<Action> {
        match input {
            Input::Online => self.online(),
            Input::Picture(picture) => self.picture(picture, now),
            Input::Lost(why) => self.lost(why, now),
            Input::Rules(rules) => {
                self.rules = rules;
                Vec::new()
            }
            Input::Coded if self.is_given_up() => {
                self.presence = Presence::Online;
                vec![Action::Say(Fact::CameraOnline { camera: self.camera.clone() }), self.state(true, true)]
            }
            Input::Coded => Vec::new(),
            Input::Encoder(encoder) => {
                self.encoder = encoder;
                self.told.map(|(online, recording)| self.state(online, recording)).into_iter().collect()
            }
            Input::Leaving => self.ends_with_the_next(Reason::Stopped),
            Input::Large => self.ends_with_the_next(Reason::Length),
            Input::Tick => self.tick(now),
            Input::Stop => self.close(Reason::Stopped).into_iter().chain([self.state(false, false)]).collect(),
        }
    }

    fn ends_with_the_next(&mut self, reason: Reason) -> Vec<Action> {
        self.ends = self.open.map(|_| reason);
        Vec::new()
    }

    fn online(&mut self) -> Vec<Action> {
        let mut actions = vec![Action::Preset];
        if self.presence == Presence::Frozen {
            // It was asked anew; whether that helped is shown by its next pictures.
            actions.push(self.state(false, true));
            return actions;
        }
        if self.is_given_up() {
            return actions;
        }
        if !matches!(self.presence, Presence::Online | Presence::Blip(..)) {
            actions.push(Action::Say(Fact::CameraOnline { camera: self.camera.clone() }));
            actions.push(self.state(true, true));
        }
        self.presence = Presence::Online;
        actions
    }

    fn picture(&mut self, picture: Picture, now: Duration) -> Vec<Action> {
        let mut actions = self.motion(&picture);
        actions.extend(self.frozen(&picture));
        match self.cut(&picture) {
            Some(reason) => {
                self.open = Some(Open { begun: picture.taken, key: picture.taken, size: picture.size });
                self.ends = None;
                actions.extend([Action::Key, Action::Begin(reason)]);
                actions.extend(self.moving.map(|_| Action::Mark));
            }
            None => actions.extend(self.key(&picture)),
        }
        actions.push(Action::Encode);
        self.silent_at = Some(now + SILENCE.max(4 * picture.interval));
        actions
    }

    /// Why a segment begins with this picture, if one does. It is the picture nearest to the length that is wanted.
    fn cut(&self, picture: &Picture) -> Option<Reason> {
        let Some(open) = self.open else { return Some(Reason::Lost) };
        let nearest = picture.taken + picture.interval / 2;
        if open.size != picture.size {
            Some(Reason::Size)
        } else if self.ends.is_some() {
            self.ends
        } else if nearest >= open.begun + self.rules.segment {
            Some(Reason::Length)
        } else {
            self.moving.filter(|moving| nearest >= urgent(&open, moving)).map(|_| Reason::Motion)
        }
    }

    fn key(&mut self, picture: &Picture) -> Option<Action> {
        let open = self.open.as_mut().filter(|open| picture.taken + picture.interval / 2 >= open.key + KEY)?;
        open.key = picture.taken;
        Some(Action::Key)
    }

    /// Something moves when two looks in a row say so: one alone is a flash, or a flaw.
    fn motion(&mut self, picture: &Picture) -> Vec<Action> {
        let Some((moved, least)) = picture.moved.zip(self.rules.motion_percent) else { return Vec::new() };
        let now = picture.taken;
        if self.moving.is_some_and(|moving| now > moving.last + STILL) {
            self.moving = None;
        }
        let stirred = moved >= least;
        let twice = std::mem::replace(&mut self.stirred, stirred) && stirred;
        match &mut self.moving {
            Some(moving) if stirred => {
                moving.last = now;
                vec![Action::Mark]
            }
            None if twice => {
                self.moving = Some(Moving { since: now, last: now });
                let percent = (f64::from(moved) * 10.0).round() / 10.0;
                vec![Action::Mark, Action::Say(Fact::Motion { camera: self.camera.clone(), percent })]
            }
            _ => Vec::new(),
        }
    }

    fn frozen(&mut self, picture: &Picture) -> Vec<Action> {
        match (&self.presence, picture.frozen) {
            (Presence::Online, Some(span)) => {
                self.presence = Presence::Frozen;
                let seconds = span.as_secs();
                let why = format!("sends the same picture for {seconds} s; cut its power for a moment");
                vec![self.offline(why), self.state(false, true)]
            }
            (Presence::Frozen, None) => {
                self.presence = Presence::Online;
                vec![Action::Say(Fact::CameraOnline { camera: self.camera.clone() }), self.state(true, true)]
            }
            _ => Vec::new(),
        }
    }

    fn lost(&mut self, why: String, now: Duration) -> Vec<Action> {
        if self.presence == Presence::Frozen {
            let told = [self.offline(why), self.state(false, false)];
            return self.close(Reason::Lost).into_iter().chain(told).collect();
        }
        self.presence = match std::mem::replace(&mut self.presence, Presence::Offline) {
            Presence::Online => Presence::Blip(now, why),
            Presence::Unknown(None) => Presence::Unknown(Some((now, why))),
            Presence::Unknown(Some((since, _))) => Presence::Unknown(Some((since, why))),
            Presence::Blip(since, _) => Presence::Blip(since, why),
            Presence::Frozen => Presence::Frozen,
            Presence::GivenUp => Presence::GivenUp,
            Presence::Offline => Presence::Offline,
        };
        self.close(Reason::Lost).into_iter().collect()
    }

    fn tick(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.silent_at.is_some_and(|at| at <= now) {
            actions.extend(self.close(Reason::Lost));
        }
        match &self.presence {
            Presence::Unknown(Some((since, why))) | Presence::Blip(since, why) if *since + BLIP <= now => {
                actions.extend([self.offline(why.clone()), self.state(false, false)]);
                self.presence = Presence::Offline;
            }
            _ => {}
        }
        actions
    }

    /// A segment that ends with the camera is evidence.
    fn close(&mut self, reason: Reason) -> Vec<Action> {
        self.silent_at = None;
        (self.stirred, self.ends) = (false, None);
        match self.open.take() {
            Some(_) if reason == Reason::Lost => vec![Action::Mark, Action::Close(reason)],
            Some(_) => vec![Action::Close(reason)],
            None => Vec::new(),
        }
    }

    fn offline(&self, why: String) -> Action {
        Action::Say(Fact::CameraOffline { camera: self.camera.clone(), why })
    }

    fn state(&mut self, online: bool, recording: bool) -> Action {
        self.told = Some((online, recording));
        let (camera, encoder) = (self.camera.clone(), self.encoder.into());
        Action::Say(Fact::Camera { camera, online, recording, encoder })
    }
}

/// When a segment in which something moves is to leave.
fn urgent(open: &Open, moving: &Moving) -> Duration {
    let begins_within = open.begun <= moving.since;
    match begins_within {
        true => moving.since + URGENT,
        false if open.begun < moving.since + BUSY_FOR => open.begun + BUSY,
        false => Duration::MAX,
    }
}

#[cfg(test)]
mod tests;
