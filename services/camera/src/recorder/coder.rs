//! The part of a recorder that keeps its pipeline alive. One that breaks, hangs or swallows what it is given is made anew; where that does not
//! help this camera is given up for a while.

use super::queue::Sent;
use super::{Recorder, Trouble};
use crate::machine::{Input, Picture};
use crate::pipeline::encoder::Kind;
use crate::pipeline::{Output, Pipeline, Rate, Wanted, Watch};
use bytes::Bytes;
use segments::account::TOLERANCE_MS;
use segments::ledger::{Line, What};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A pipeline is not made anew more often than this in a minute.
const REPAIRS: usize = 3;
/// A pipeline that hangs keeps its thread and its memory; beyond so many a new process is cheaper.
const MOST_HUNG: u64 = 4;

impl Recorder {
    pub(super) fn encode(&mut self, jpeg: Bytes, picture: &Picture, key: bool, now: Duration) -> Result<(), Trouble> {
        let pipeline = match self.pipeline.take() {
            Some(pipeline) => pipeline,
            None => self.start_pipeline()?,
        };
        if pipeline.push(jpeg, picture.taken, key) {
            self.writer.sent(Sent { at: picture.taken, size: picture.size, interval: picture.interval });
        }
        self.watch.sent(pipeline.taken(), now);
        self.pipeline = Some(pipeline);
        Ok(())
    }

    fn start_pipeline(&mut self) -> Result<Pipeline, Trouble> {
        self.told = self.rate(self.pace());
        let (rate, encoder) = (self.told, self.around.encoder);
        tracing::info!("{}: {} pictures a second, {} kbit/s by {}", self.name, rate.fps, rate.bitrate, encoder.name());
        let no_thread = |why| Trouble::Camera(format!("no thread for the encoder: {why}"));
        let (pipeline, outputs) = Pipeline::start(&self.name, encoder, rate).map_err(no_thread)?;
        self.outputs = Some(outputs);
        self.watch = Watch::new(self.around.patience);
        Ok(pipeline)
    }

    fn pace(&self) -> f64 {
        self.pace.known().unwrap_or(self.recording.fps)
    }

    fn rate(&self, believed: f64) -> Rate {
        Wanted { fps: self.recording.fps, bitrate: self.recording.bitrate }.rate(believed, self.pace())
    }

    /// The encoder works as is wanted from now on, or `at_once` even if it nearly does.
    pub(super) fn follow_pace(&mut self, at_once: bool) {
        let rate = self.rate(self.told.fps);
        if let Some(pipeline) = self.pipeline.as_ref().filter(|_| at_once || self.told.is_off(&rate)) {
            self.told = rate;
            pipeline.set(rate);
        }
    }

    pub(super) fn output(&mut self, output: Option<Output>) -> Result<(), Trouble> {
        match output {
            Some(Output::Unit(unit)) => {
                self.watch.came();
                self.swallowed(unit.at);
                self.writer.unit(&unit);
                self.perform(Input::Coded, None)?;
                if self.writer.is_large() { self.perform(Input::Large, None) } else { Ok(()) }
            }
            Some(Output::Broken(why)) => self.repair(&why),
            None => {
                self.outputs = None;
                Ok(())
            }
        }
    }

    /// The ledger is told of pictures before `until` that nothing came of.
    fn swallowed(&self, until: Duration) {
        let wall = &self.around.wall;
        let Some(since) = self.writer.oldest().map(|at| wall.monotonic_ms(at)) else { return };
        let at = wall.monotonic_ms(until);
        if at > since + TOLERANCE_MS {
            let what = What::Silent { since, cause: "unencoded".into() };
            self.around.ram.ledgers().write(&self.name, Line { at, what });
        }
    }

    /// Whether the pipeline still does what it is there for.
    pub(super) fn examine(&mut self, now: Duration) -> Result<(), Trouble> {
        if self.writer.is_overdue() {
            return self.repair("no key frame comes, although it was asked for");
        }
        let Some(taken) = self.pipeline.as_ref().map(Pipeline::taken) else { return Ok(()) };
        if self.watch.hangs(taken, now) {
            let why = format!("GStreamer has done nothing for {} s", self.around.patience.as_secs());
            return match self.around.hung.fetch_add(1, Ordering::Relaxed) < MOST_HUNG {
                true => self.repair(&why),
                false => Err(Trouble::Process(format!("{why}, and not for the first time; a new process may help"))),
            };
        }
        if self.watch.swallows(taken, now) {
            self.swallowed(now);
            return self
                .repair("its pictures cannot be decoded, and nothing is said of why; set the camera to plain JPEG");
        }
        Ok(())
    }

    /// The next picture starts a new pipeline.
    fn repair(&mut self, why: &str) -> Result<(), Trouble> {
        let now = self.around.wall.now();
        self.repairs.retain(|&at| now < at + Duration::from_secs(60));
        self.repairs.push_back(now);
        (self.pipeline, self.outputs) = (None, None);
        self.writer.forget();
        self.note(What::Repaired);
        if self.around.encoder == Kind::Hardware {
            self.around.encoder = Kind::X264;
            self.status.encodes_by(Kind::X264.name());
            self.perform(Input::Encoder(Kind::X264.name()), None)?;
        }
        if self.repairs.len() > REPAIRS {
            return Err(Trouble::Camera(format!("the pipeline breaks again and again: {why}")));
        }
        let encoder = self.around.encoder.name();
        tracing::error!("{}: the pipeline broke: {why}; it is made anew with {encoder}", self.name);
        Ok(())
    }
}
