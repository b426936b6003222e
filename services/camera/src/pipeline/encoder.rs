//! Which encoder. A Raspberry Pi up to 4 has one in hardware, behind `v4l2h264enc`, which on some kernels hangs or gives one picture only
//! (raspberrypi/linux 3974 and 4906). So it is tried with a few pictures first, and x264 takes its place.

use super::Rate;
use crate::config::Encoder;
use gstreamer as gst;
use gstreamer::prelude::*;
use std::sync::mpsc::channel;
use std::time::Duration;

/// So many pictures have to come out.
const PICTURES: u32 = 10;
/// Within this time.
const PATIENCE: Duration = Duration::from_secs(5);

/// An encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// x264, on the processor.
    X264,
    /// `v4l2h264enc`, beside it.
    Hardware,
}

impl Kind {
    /// For the log and the status.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::X264 => "x264",
            Kind::Hardware => "v4l2h264enc",
        }
    }
}

/// The encoder to use, and why in a sentence.
pub fn choose(wanted: Encoder) -> (Kind, String) {
    if wanted == Encoder::X264 {
        return (Kind::X264, "x264 encodes, as it was set".into());
    }
    match try_out() {
        Ok(()) => (Kind::Hardware, format!("v4l2h264enc encodes: it passed its test of {PICTURES} pictures")),
        Err(why) => (Kind::X264, format!("x264 encodes, since this machine's encoder cannot be used: {why}")),
    }
}

/// On a thread of its own, since it may never come back.
fn try_out() -> Result<(), String> {
    let (tell, told) = channel();
    let test = move || drop(tell.send(ten_pictures()));
    std::thread::Builder::new().name("enc-test".into()).spawn(test).map_err(|why| why.to_string())?;
    told.recv_timeout(PATIENCE + Duration::from_secs(1)).unwrap_or_else(|_| Err("it hangs".into()))
}

fn ten_pictures() -> Result<(), String> {
    if gst::ElementFactory::find("v4l2h264enc").is_none() {
        return Err("there is none (v4l2h264enc)".into());
    }
    let pipeline = gst::Pipeline::new();
    let source = make("videotestsrc")?;
    source.set_property("num-buffers", PICTURES.cast_signed());
    let size = gst::Caps::builder("video/x-raw").field("width", 640).field("height", 480);
    let form = make("capsfilter")?;
    form.set_property("caps", size.field("framerate", gst::Fraction::new(15, 1)).build());
    let sink = gstreamer_app::AppSink::builder().sync(false).build();
    let mut elements = vec![source, form, make("videoconvert")?];
    elements.extend(elements_of(Kind::Hardware, Rate { fps: 15.0, bitrate: 1000, buffer_ms: 600 })?);
    elements.push(sink.clone().upcast());
    pipeline.add_many(&elements).and_then(|()| gst::Element::link_many(&elements)).map_err(|why| why.to_string())?;
    pipeline.set_state(gst::State::Playing).map_err(|_| "it does not start".to_owned())?;
    let patience = gst::ClockTime::from_nseconds((PATIENCE / PICTURES).as_nanos() as u64);
    let came = (0..PICTURES).take_while(|_| sink.try_pull_sample(patience).is_some()).count();
    let _ = pipeline.set_state(gst::State::Null);
    match came == PICTURES as usize {
        true => Ok(()),
        false => Err(format!("{came} of {PICTURES} pictures came out")),
    }
}

pub(super) fn make(name: &str) -> Result<gst::Element, String> {
    gst::ElementFactory::make(name).build().map_err(|_| format!("there is no element {name}"))
}

/// The encoder with what has to stand behind it.
pub(super) fn elements_of(kind: Kind, rate: Rate) -> Result<Vec<gst::Element>, String> {
    match kind {
        Kind::X264 => Ok(vec![x264(rate)?]),
        Kind::Hardware => hardware(rate),
    }
}

/// Key frames are asked for, by time; the longest distance is only there for the case that they are not.
fn x264(rate: Rate) -> Result<gst::Element, String> {
    let encoder = make("x264enc")?;
    encoder.set_property_from_str("tune", "zerolatency");
    encoder.set_property_from_str("speed-preset", "ultrafast");
    tell(Kind::X264, &encoder, rate);
    encoder.set_property("threads", 1_u32);
    encoder.set_property("bframes", 0_u32);
    encoder.set_property("byte-stream", true);
    encoder.set_property("key-int-max", 600_u32);
    Ok(encoder)
}

/// Without a level in the caps the driver of the Pi refuses to start; 4 is enough for 1080p. What it makes is parsed, so that the parameter sets
/// come with each key frame whatever it does itself; x264 puts them there.
fn hardware(rate: Rate) -> Result<Vec<gst::Element>, String> {
    let encoder = make("v4l2h264enc")?;
    tell(Kind::Hardware, &encoder, rate);
    let form = make("capsfilter")?;
    form.set_property("caps", gst::Caps::builder("video/x-h264").field("level", "4").build());
    let parser = make("h264parse")?;
    parser.set_property("config-interval", -1);
    Ok(vec![encoder, form, parser])
}

/// Tells an encoder its bitrate, also while it works.
pub(super) fn tell(kind: Kind, encoder: &gst::Element, rate: Rate) {
    match kind {
        Kind::X264 => {
            encoder.set_property("vbv-buf-capacity", rate.buffer_ms);
            encoder.set_property("bitrate", rate.bitrate);
        }
        Kind::Hardware => {
            let controls = gst::Structure::builder("controls")
                .field("video_bitrate", (rate.bitrate * 1000).cast_signed())
                .field("repeat_sequence_header", 1);
            encoder.set_property("extra-controls", controls.build());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_an_encoder_gets_x264_and_is_told_why() {
        gst::init().unwrap();
        let (kind, why) = choose(Encoder::X264);
        assert_eq!((kind, kind.name()), (Kind::X264, "x264"));
        assert!(why.contains("as it was set"), "{why}");
        if !std::path::Path::new("/dev/video11").exists() {
            let (kind, why) = choose(Encoder::Auto);
            assert_eq!(kind, Kind::X264);
            assert!(why.contains("cannot be used: "), "{why}");
        }
    }
}
