//! What is wrong with one picture. Such a picture is dropped and counted: a recording never shows a grey half.

use crate::happening::Size;
use thiserror::Error;

/// Each is normal now and then with an ESP32, and a sign of bad Wi-Fi, heat or a weak supply when it is frequent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Flaw {
    /// The next picture, or the end of the connection, came before its end.
    #[error("a picture without an end")]
    Half,
    /// A part of length 0.
    #[error("an empty picture")]
    Empty,
    /// A part in which no JPEG begins.
    #[error("something that is no JPEG")]
    NoPicture,
    /// More than `Config::max_frame`.
    #[error("a picture bigger than the limit")]
    TooBig,
    /// Its header makes no sense, or it holds no picture data.
    #[error("a picture with a broken header")]
    Header,
    /// Its header claims a size that is not recorded.
    #[error("a picture of {0}, and not of 16x16 to {most} pixels in all; set the camera to another size", most = Size::MOST_PIXELS)]
    Size(Size),
    /// A JPEG of a kind that the decoder swallows without a word.
    #[error("a JPEG that is {0}, which cannot be decoded; set the camera to plain JPEG")]
    Kind(&'static str),
    /// Its data end before its last line, or go on after it.
    #[error("a picture that is cut short")]
    Short,
    /// Its data are damaged.
    #[error("a damaged picture")]
    Damaged,
    /// Of another size than those before, and than the one after.
    #[error("a single picture of another size")]
    OddSize,
}
