//! Values as bytes and back. The only file that names bincode, so that it can be replaced here.
//!
//! Decoding is bounded: a length that lies inside a body costs nothing, because bincode's limit counts every
//! container before it is allocated.

use crate::frame::MAX_BODY;
use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::{Serialize, de::DeserializeOwned};

type Config = Configuration<LittleEndian, Varint, Limit<MAX_BODY>>;
const CONFIG: Config = bincode::config::standard().with_limit::<MAX_BODY>();

/// A body that does not hold what its kind promises; the text says what was wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadBody(pub String);

/// The bytes of a value.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(&mut bytes, value);
    bytes
}

/// Adds the bytes of a value to others.
pub fn put<T: Serialize>(to: &mut Vec<u8>, value: &T) {
    bincode::serde::encode_into_std_write(value, to, CONFIG)
        .expect("our own messages hold no type that bincode refuses");
}

/// The value in exactly these bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BadBody> {
    decode_own::<T, MAX_BODY>(bytes)
}

/// The same for a value larger than a frame, from a file of our own; it takes at most `LIMIT` bytes.
pub fn decode_own<T: DeserializeOwned, const LIMIT: usize>(bytes: &[u8]) -> Result<T, BadBody> {
    match bincode::serde::decode_from_slice(bytes, CONFIG.with_limit::<LIMIT>()) {
        Ok((value, used)) if used == bytes.len() => Ok(value),
        Ok((_, used)) => Err(BadBody(format!("{} bytes too many", bytes.len() - used))),
        Err(why) => Err(BadBody(why.to_string())),
    }
}

/// The number of the variant that an encoded enum begins with.
pub fn variant(bytes: &[u8]) -> Result<u32, BadBody> {
    bincode::serde::decode_from_slice(bytes, CONFIG).map(|(kind, _)| kind).map_err(|why| BadBody(why.to_string()))
}
