//! Why a camera gives no pictures, in one line that names the remedy.

use std::time::Duration;
use thiserror::Error;

/// Two of the same [`Cause::word`] are the same cause to a listener; what else they hold are particulars.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Cause {
    /// The name means no address.
    #[error("the name {host} is not found: {why}; check the camera's URL, or write its address")]
    Unknown {
        /// As in the URL.
        host: String,
        /// As the system says it.
        why: String,
    },
    /// No way there: the camera is off, or the network is.
    #[error("cannot be reached: {why}; check that the camera has power and Wi-Fi")]
    Unreachable {
        /// As the system says it.
        why: String,
    },
    /// The machine is there, its server is not.
    #[error("refuses the connection; the camera may be starting, or the port in its URL is wrong")]
    Refused,
    /// Connected, and then nothing: an ESP32 that serves somebody else, or hangs.
    #[error(
        "does not answer; it serves one client at a time: close whatever else watches it, or cut its power for a moment"
    )]
    Silent,
    /// Pictures came, and then nothing, with the connection open.
    #[error("has sent nothing for {:.1} s; if it does not come back, cut its power for a moment", .0.as_secs_f32())]
    Stalled(Duration),
    /// Bytes keep coming, and no good picture among them.
    #[error("sends broken pictures only ({what}); if it stays so, cut its power for a moment")]
    Broken {
        /// The last flaw.
        what: String,
    },
    /// The same picture for so long; we end the connection ourselves.
    #[error("has sent the same picture for {} s and is asked anew; if it stays so, cut its power for a moment", .0.as_secs())]
    Frozen(Duration),
    /// It ended the response or the connection.
    #[error("has ended the stream; it will be asked again")]
    Closed,
    /// The connection broke.
    #[error("the connection broke: {why}; check the camera's Wi-Fi and power")]
    Cut {
        /// As the system says it.
        why: String,
    },
    /// An answer that holds no stream.
    #[error("{0}")]
    NoStream(NoStream),
}

/// Answers of a web server that are no MJPEG stream.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoStream {
    /// 401 or 403.
    #[error("wants a password (HTTP {0}); write http://USER:PASSWORD@HOST/PATH (basic authentication) as its URL")]
    Password(u16),
    /// 404 or 410.
    #[error("has no such page (HTTP {0}); correct the path in its URL, which is often /stream, or port 81")]
    NotFound(u16),
    /// 3xx.
    #[error("sends us to {to:?} (HTTP {status}); write that as its URL")]
    Elsewhere {
        /// 300..=399.
        status: u16,
        /// `Location`, or nothing.
        to: String,
    },
    /// Any other status but success.
    #[error("answers with HTTP {0} instead of a stream; look at the camera's own page, or restart it")]
    Status(u16),
    /// A web page.
    #[error(
        "answers with a web page instead of a stream; correct the path in its URL, which is often /stream, or port 81"
    )]
    Page,
    /// One picture.
    #[error(
        "answers with a single picture instead of a stream; correct the path in its URL, which is often /stream, or port 81"
    )]
    Snapshot,
    /// Something else, named by its type.
    #[error("answers with {0:?} instead of a stream; correct its URL")]
    Type(String),
    /// No HTTP at all.
    #[error("does not answer in HTTP; correct the port in its URL")]
    NotHttp,
    /// Headers without an end.
    #[error("sends endless headers; that is no camera: correct its URL")]
    EndlessHeaders,
}

impl Cause {
    /// One word, for facts and for telling causes apart.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown-name",
            Self::Unreachable { .. } => "unreachable",
            Self::Refused => "refused",
            Self::Silent => "silent",
            Self::Stalled(_) => "stalled",
            Self::Broken { .. } => "broken-pictures",
            Self::Frozen(_) => "frozen",
            Self::Closed => "closed",
            Self::Cut { .. } => "cut",
            Self::NoStream(NoStream::Password(_)) => "password",
            Self::NoStream(_) => "no-stream",
        }
    }
}
