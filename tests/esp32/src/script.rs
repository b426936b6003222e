//! What goes wrong, and when.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use std::time::Duration;

/// One fault. Several may be at work at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// The connection stays open, nothing comes.
    Stall,
    /// The response breaks off, the connection ends.
    Close,
    /// The connection is reset.
    Reset,
    /// The port is closed.
    Refuse,
    /// Connections are accepted and get no answer.
    Silent,
    /// The end of a connection is noticed only by a write that fails, as on a real one, which does not look while it streams.
    Deaf,
    /// Random bytes in place of a picture, of its length.
    Garbage,
    /// Half of the picture, as if it was all; it has no EOI.
    Truncated,
    /// As that, with an EOI at its end.
    CutShort,
    /// Some bits are wrong.
    BitFlipped,
    /// Content-Length 0 and no picture; in chunks, the chunk that ends a response.
    ZeroLength,
    /// Content-Length says 5000 more than there is.
    LongLength,
    /// Content-Length says half of what there is.
    ShortLength,
    /// Half of the picture, under the Content-Length of all of it.
    HalfFrame,
    /// Bytes beyond the picture's end that belong to nothing.
    Padded,
    /// 320x240.
    Small,
    /// 641x481.
    Odd,
    /// 20000x20000, as its header says.
    Vast,
    /// 12 bits, as its header says.
    Deep,
    /// A header that nobody but a decoder finds fault with: a progressive picture whose scan is none.
    Undecodable,
    /// LF in place of CRLF.
    LfOnly,
    /// The boundary of the header in quotation marks, and with dashes of its own.
    QuotedBoundary,
    /// The boundary after the part, as in older firmware.
    BoundaryAfter,
    /// `--b--` between parts.
    ClosingBoundary,
    /// Blank lines before each boundary.
    BlankLines,
    /// Another boundary than the header's.
    WrongBoundary,
    /// No boundary, no headers: picture after picture.
    Bare,
    /// No Content-Length in parts.
    NoLength,
    /// No chunks.
    Plain,
    /// Chunks of 1000 bytes, wherever they cut.
    SmallChunks,
    /// Frames a second, in place of 15.
    Fps(f32),
    /// The same picture again and again.
    Frozen,
    /// A picture of 1 GiB, as fast as it is read.
    Huge,
    /// A response with headers without end.
    EndlessHeaders,
    /// A part with headers without end.
    EndlessPartHeaders,
    /// A web page in place of the stream.
    Html,
    /// A single picture in place of the stream.
    Single,
    /// 401 to 599 or 302 in place of the stream.
    Status(u16),
    /// No head at all: the body at once.
    NoHead,
    /// text/plain as the type of the stream.
    TextType,
    /// Presets are refused with 500.
    NoPresets,
    /// Settings are answered with 200 and stay 0.
    Stubborn,
}

/// The names, in texts and flags; `fps` and `status` take `=NUMBER`.
const NAMES: [(&str, Fault); 40] = [
    ("stall", Fault::Stall),
    ("close", Fault::Close),
    ("reset", Fault::Reset),
    ("refuse", Fault::Refuse),
    ("silent", Fault::Silent),
    ("deaf", Fault::Deaf),
    ("garbage", Fault::Garbage),
    ("truncated", Fault::Truncated),
    ("cut-short", Fault::CutShort),
    ("bit-flipped", Fault::BitFlipped),
    ("zero-length", Fault::ZeroLength),
    ("long-length", Fault::LongLength),
    ("short-length", Fault::ShortLength),
    ("half-frame", Fault::HalfFrame),
    ("padded", Fault::Padded),
    ("small", Fault::Small),
    ("odd", Fault::Odd),
    ("vast", Fault::Vast),
    ("deep", Fault::Deep),
    ("undecodable", Fault::Undecodable),
    ("lf-only", Fault::LfOnly),
    ("quoted-boundary", Fault::QuotedBoundary),
    ("boundary-after", Fault::BoundaryAfter),
    ("closing-boundary", Fault::ClosingBoundary),
    ("blank-lines", Fault::BlankLines),
    ("wrong-boundary", Fault::WrongBoundary),
    ("bare", Fault::Bare),
    ("no-length", Fault::NoLength),
    ("plain", Fault::Plain),
    ("small-chunks", Fault::SmallChunks),
    ("frozen", Fault::Frozen),
    ("huge", Fault::Huge),
    ("endless-headers", Fault::EndlessHeaders),
    ("endless-part-headers", Fault::EndlessPartHeaders),
    ("html", Fault::Html),
    ("single", Fault::Single),
    ("no-head", Fault::NoHead),
    ("text-type", Fault::TextType),
    ("no-presets", Fault::NoPresets),
    ("stubborn", Fault::Stubborn),
];

impl Fault {
    /// Each of them; of those with a number, one.
    pub fn all() -> impl Iterator<Item = Fault> {
        NAMES.iter().map(|(_, fault)| *fault).chain([Fault::Fps(4.0), Fault::Status(503)])
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<f32>().map_err(|_| format!("{text:?} is no number"));
        match text.split_once('=') {
            Some(("fps", rate)) => number(rate).map(|rate| Self::Fps(rate.clamp(0.1, 60.0))),
            Some(("status", status)) => number(status).map(|status| Self::Status(status as u16)),
            _ => NAMES.iter().find(|(name, _)| *name == text).map(|(_, fault)| *fault).ok_or_else(|| {
                let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
                format!("{text:?} is no fault; there are fps=N, status=N, {}", names.join(", "))
            }),
        }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fps(rate) => write!(f, "fps={rate}"),
            Self::Status(status) => write!(f, "status={status}"),
            _ => f.write_str(NAMES.iter().find(|(_, fault)| fault == self).map_or("?", |(name, _)| name)),
        }
    }
}

/// A fault and its time. As text: `AT+FOR:FAULT` or `AT:FAULT`, in seconds: `20+1.5:garbage` is at work from 20.0 to 21.5.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Since the camera's start.
    pub from: Duration,
    /// To the end of days, if there is none.
    pub until: Option<Duration>,
    /// After so many pictures it is over.
    pub frames: Option<u32>,
    /// What happens.
    pub fault: Fault,
}

impl Step {
    /// From the beginning, to the end.
    pub fn always(fault: Fault) -> Self {
        Self { from: Duration::ZERO, until: None, frames: None, fault }
    }

    /// Whether it is at work so long after the start.
    pub fn is_on(&self, now: Duration) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until) && self.frames != Some(0)
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (time, fault) =
            text.split_once(':').ok_or_else(|| format!("{text:?} is not AT+FOR:FAULT, as in 20+1.5:garbage"))?;
        let seconds = |text: &str| {
            let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            seconds.ok_or_else(|| format!("{text:?} is no time in seconds"))
        };
        let (from, long) = time.split_once('+').map_or((time, None), |(from, long)| (from, Some(long)));
        let from = seconds(from)?;
        let until = long.map(seconds).transpose()?.map(|long| from + long);
        Ok(Self { from, until, frames: None, fault: fault.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_as_text() {
        let step: Step = "20+1.5:garbage".parse().unwrap();
        assert_eq!(step.fault, Fault::Garbage);
        let on = [19.9, 20.0, 21.4, 21.5].map(|at| step.is_on(Duration::from_secs_f64(at)));
        assert_eq!(on, [false, true, true, false]);
        assert_eq!("0:fps=4".parse(), Ok(Step::always(Fault::Fps(4.0))));
        assert!("5+x:stall".parse::<Step>().is_err() && "stall".parse::<Step>().is_err());
        assert!("0:nothing".parse::<Step>().unwrap_err().contains("half-frame"));
    }

    #[test]
    fn each_fault_has_its_name() {
        for (name, fault) in NAMES {
            assert_eq!((name.parse(), fault.to_string().as_str()), (Ok(fault), name));
        }
    }
}
