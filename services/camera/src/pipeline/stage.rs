//! The elements of one pipeline, and what is done with them.

use super::encoder::{self, Kind};
use super::{Output, Rate, Unit};
use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppLeakyType, AppSink, AppSinkCallbacks, AppSrc};
use gstreamer_video::UpstreamForceKeyUnitEvent;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

#[derive(Debug)]
pub(super) struct Stage {
    pipeline: gst::Pipeline,
    source: AppSrc,
    encoder: gst::Element,
    kind: Kind,
    /// Something has come out.
    begun: Arc<AtomicBool>,
}

impl Stage {
    pub(super) fn build(
        kind: Kind,
        rate: Rate,
        waiting: u64,
        tell: &mpsc::Sender<Output>,
        taken: Arc<AtomicU64>,
    ) -> Result<Stage, String> {
        let source = AppSrc::builder()
            .caps(&caps(rate.fps))
            .format(gst::Format::Time)
            .is_live(true)
            .leaky_type(AppLeakyType::Downstream)
            .max_buffers(waiting)
            .max_bytes(0)
            .build();
        let decoder = encoder::make("jpegdec")?;
        let begun = Arc::new(AtomicBool::new(false));
        let fetch = fetch(tell.clone(), begun.clone());
        let sink = AppSink::builder().sync(false).enable_last_sample(false).callbacks(fetch).build();
        let coders = encoder::elements_of(kind, rate)?;
        let form = gst::Caps::builder("video/x-h264").field("stream-format", "byte-stream").field("alignment", "au");
        sink.set_caps(Some(&form.build()));
        let encoder = coders[0].clone();
        let crop = encoder::make("videocrop")?;
        make_even(&crop);
        let mut elements = vec![source.clone().upcast(), decoder.clone(), crop, encoder::make("videoconvert")?];
        elements.extend(coders);
        elements.push(sink.upcast());
        let pipeline = gst::Pipeline::new();
        pipeline
            .add_many(&elements)
            .and_then(|()| gst::Element::link_many(&elements))
            .map_err(|why| why.to_string())?;
        count(&decoder, taken);
        hear(&pipeline, tell.clone());
        Ok(Stage { pipeline, source, encoder, kind, begun })
    }

    pub(super) fn play(&self) -> Result<(), String> {
        let started = self.pipeline.set_state(gst::State::Playing);
        started.map(drop).map_err(|_| format!("the pipeline with {} does not start", self.kind.name()))
    }

    /// What an encoder begins with is a key frame anyway, and GstVideoEncoder 1.22 that is asked for it believes from then on to have
    /// made one a thousand hours later, and makes no more.
    pub(super) fn push(&self, jpeg: Bytes, at: Duration, key: bool) -> Result<(), String> {
        let time = gst::ClockTime::from_nseconds(at.as_nanos() as u64);
        if key && self.begun.load(Ordering::Relaxed) {
            let event = UpstreamForceKeyUnitEvent::builder().running_time(time).all_headers(true).build();
            self.encoder.static_pad("src").map(|pad| pad.send_event(event));
        }
        let mut buffer = gst::Buffer::from_slice(jpeg);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(time);
        }
        self.source.push_buffer(buffer).map(drop).map_err(|why| format!("the pipeline takes no pictures: {why}"))
    }

    /// The pictures a second that it was told in the beginning stay: jpegdec does not pass another number on.
    pub(super) fn set(&self, rate: Rate) {
        encoder::tell(self.kind, &self.encoder, rate);
    }

    pub(super) fn end(&self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Without a rate here no element behind knows one. Each buffer is a whole picture: jpegdec need not look for its end.
fn caps(fps: f64) -> gst::Caps {
    let rate = gst::Fraction::new((fps * 1000.0).round() as i32, 1000);
    gst::Caps::builder("image/jpeg").field("framerate", rate).field("parsed", true).build()
}

fn fetch(tell: mpsc::Sender<Output>, begun: Arc<AtomicBool>) -> AppSinkCallbacks {
    let fetch = move |sink: &AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        begun.store(true, Ordering::Relaxed);
        match unit(&sample) {
            Some(unit) => {
                tell.blocking_send(Output::Unit(unit)).map(|()| gst::FlowSuccess::Ok).map_err(|_| gst::FlowError::Eos)
            }
            None => Ok(gst::FlowSuccess::Ok),
        }
    };
    AppSinkCallbacks::builder().new_sample(fetch).build()
}

/// x264enc adds a thousand hours to its time stamps and says so in the segment.
fn unit(sample: &gst::Sample) -> Option<Unit> {
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let data = sample.buffer_owned()?;
    let at = segment.to_running_time(data.pts()?)?;
    let key = !data.flags().contains(gst::BufferFlags::DELTA_UNIT);
    Some(Unit { at: Duration::from_nanos(at.nseconds()), key, data })
}

/// x264 refuses odd sizes: of such a picture the last column or row is left out.
fn make_even(crop: &gst::Element) {
    let Some(pad) = crop.static_pad("sink") else { return };
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |pad, info| {
        if let Some(gst::PadProbeData::Event(event)) = &info.data
            && let gst::EventView::Caps(caps) = event.view()
            && let Some(form) = caps.caps().structure(0)
            && let Some(crop) = pad.parent_element()
        {
            for (side, length) in [("right", "width"), ("bottom", "height")] {
                crop.set_property(side, form.get::<i32>(length).unwrap_or_default() & 1);
            }
        }
        gst::PadProbeReturn::Ok
    });
}

fn count(decoder: &gst::Element, taken: Arc<AtomicU64>) {
    if let Some(pad) = decoder.static_pad("sink") {
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            taken.fetch_add(1, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
    }
}

/// Errors are told from whichever thread they happen on; nobody reads the bus otherwise.
fn hear(pipeline: &gst::Pipeline, tell: mpsc::Sender<Output>) {
    let Some(bus) = pipeline.bus() else { return };
    bus.set_sync_handler(move |_, message| {
        match message.view() {
            gst::MessageView::Error(error) => {
                let from = error.src().map(|from| from.name().to_string()).unwrap_or_default();
                // The recorder may be gone, or have no room because it was told this before.
                let _ = tell.try_send(Output::Broken(format!("{from}: {}", error.error())));
            }
            gst::MessageView::Warning(warning) => tracing::debug!("gstreamer: {}", warning.error()),
            _ => {}
        }
        gst::BusSyncReply::Drop
    });
}
