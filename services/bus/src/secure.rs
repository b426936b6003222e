//! Who may be at the other end of a link, and that nobody in between reads or changes what is said on it.
//!
//! No socket and no clock: bytes in, bytes out, and time as an argument. Only [`keyfile`], [`authorized::file`] and
//! [`pin`] touch files. What always holds: a secret is in no log, no error and no `Debug`; no two secrets are compared
//! byte by byte, since the cipher's tag (compared in constant time) tells whether they are the same; and a machine that
//! was paired never speaks in the clear again ([`pin::Trust`]).
//!
//! # On the wire
//!
//! After the two hello lines a paired client's first frame is a `Handshake`, and these frames follow each other:
//!
//! | frame | from | link (first byte 1, `Noise_XX`) | pairing (first byte 2, `Noise_XXpsk0`) |
//! |---|---|---|---|
//! | 1 | client | [`Initiator::new`] | [`Joiner::new`] |
//! | 2 | server | [`Responder::answer`] | [`Offer::answer`] |
//! | 3 | client | [`Initiator::receive`] | [`Joiner::receive`] |
//! | 4 | server | | [`Joined::confirm`] or [`Joined::refuse`], then the link ends |
//!
//! From the byte behind frame 3 on, a link is sealed in both directions: records (a length of 4 bytes, big-endian,
//! then at most 65,535 bytes of ciphertext) of what would otherwise be on the wire. Since such bytes may come in the
//! same read as frame 3, a server reads with `Session::next` until it has a [`Sealed`], gives the rest to the
//! [`Opener`], and what that yields to the same session. Between frames 2 and 3 the server sends nothing.
//!
//! A server that turns a link down after frame 3 says why in a sealed `Refused`; one in the clear proves nothing.
//! The last record of each direction is empty ([`Sealer::end`]): an end of file without it ([`Opener::finish`]) is a
//! cut link, not a server that has closed.
//!
//! # Why these
//!
//! XX and not IK: a client with the wrong pin learns the key that the server has, and can name it; the third message
//! proves that the client is there now, where the first of IK can be replayed, and presence must not be; the client's
//! key is shown to the paired server alone. The price is half a round trip at the start of a link.
//!
//! The pre-shared key of pairing is mixed in first (psk0), so that a wrong code shows at the first message, before
//! either machine has said which it is.
//!
//! # What a link costs
//!
//! [`cipher::Sealer`] 40 bytes, [`cipher::Opener`] 72 with its empty buffer, and no heap while idle. The
//! `TransportState` of snow has 136 and two blocks of heap, and cannot be held by two tasks: so the two keys are taken
//! out of snow, and used as it would (a test talks to snow's own). The handshake's state, about a kilobyte, is gone
//! when the link is sealed. A handshake is four multiplications on the curve at each end, under a millisecond.

pub mod authorized;
pub mod cipher;
mod disk;
pub mod handshake;
pub mod key;
pub mod keyfile;
mod noise;
pub mod pairing;
pub mod pin;
#[cfg(test)]
mod tests;

pub use authorized::{Authorized, Complaint, Peer, Roles, file::AuthorizedFile};
pub use cipher::{Broken, Opener, Sealed, Sealer};
pub use disk::Fault;
pub use handshake::{Admitted, Denied, Hellos, Initiator, Kind, Refusal, Responder};
pub use key::{PublicKey, SecretKey};
pub use keyfile::KeyFile;
pub use pairing::{Code, Failure, Joined, Joiner, Offer};
pub use pin::{PinnedServer, Trust};
