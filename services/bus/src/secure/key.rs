//! The keys of a machine (X25519, 32 bytes): a secret one that never leaves it, and a public one by which others know it.
//!
//! As text a key is 52 letters and digits: base32 without the letters that are mistaken for digits, read in any case.

use super::noise;
use data_encoding::{DecodeKind, Encoding, Specification};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use zeroize::Zeroizing;

/// The letters and digits of a key as text.
pub const TEXT_LENGTH: usize = 52;

/// Letters and digits that cannot be taken for each other: no `i`, `l`, `o` and `u`, after Douglas Crockford.
pub(super) const ALPHABET: &str = "0123456789abcdefghjkmnpqrstvwxyz";

static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str(ALPHABET);
    specification.translate.from.push_str("ABCDEFGHJKMNPQRSTVWXYZiIlLoO");
    specification.translate.to.push_str("abcdefghjkmnpqrstvwxyz111100");
    specification.encoding().expect("32 different symbols, and a translation of others to them")
});

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Too many or too few letters.
    #[error("a key has {TEXT_LENGTH} letters and digits, this one {0}; copy the whole of it")]
    Length(usize),
    /// A character that no key has; counted from 1.
    #[error("character {0} of the key is no letter or digit that a key has; copy it again")]
    Letter(usize),
    /// The last letter is none that a key ends with.
    #[error("the key ends with a letter that no key ends with; copy it again")]
    End,
    /// A key that protects nothing, such as one of zeros.
    #[error("this key is one of the few that protect nothing; use the key that `pistop` shows on the machine itself")]
    Weak,
}

/// What others know a machine by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// A key as it came over the wire.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether it protects nothing, as one of zeros.
    pub(super) fn is_weak(&self) -> bool {
        noise::is_weak(&self.0)
    }

    /// Twelve letters and digits for people to compare, as `k7qd-2m9x-41ht`: 60 bits of a hash. Only for people; whether
    /// two keys are the same is told by the whole of them.
    pub fn fingerprint(&self) -> String {
        let text = BASE32.encode(&noise::hash(&[b"pistop fingerprint\0", &self.0])[..8]);
        format!("{}-{}-{}", &text[..4], &text[4..8], &text[8..12])
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

impl FromStr for PublicKey {
    type Err = BadKey;
    fn from_str(text: &str) -> Result<Self, BadKey> {
        let key = Self(*decode(text)?);
        if key.is_weak() { Err(BadKey::Weak) } else { Ok(key) }
    }
}

/// What only this machine knows. It is wiped when it is dropped, and shown nowhere.
pub struct SecretKey(Zeroizing<[u8; 32]>);

impl SecretKey {
    /// A new one, from the operating system.
    ///
    /// # Errors
    /// It gives no random numbers.
    pub fn generate() -> Result<SecretKey, std::io::Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes)?;
        Ok(Self(bytes))
    }

    /// What others may know.
    pub fn public(&self) -> PublicKey {
        PublicKey(noise::public_of(&self.0))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The text for the key file, and for nothing else.
    pub(super) fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32.encode(&*self.0))
    }

    pub(super) fn from_text(text: &str) -> Result<SecretKey, BadKey> {
        decode(text).map(Self)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

fn decode(text: &str) -> Result<Zeroizing<[u8; 32]>, BadKey> {
    let length = text.chars().count();
    if length != TEXT_LENGTH {
        return Err(BadKey::Length(length));
    }
    let bytes = Zeroizing::new(BASE32.decode(text.as_bytes()).map_err(|why| match why.kind {
        DecodeKind::Symbol => BadKey::Letter(text.char_indices().take_while(|&(at, _)| at <= why.position).count()),
        DecodeKind::Length | DecodeKind::Trailing | DecodeKind::Padding => BadKey::End,
    })?);
    bytes.as_slice().try_into().map(Zeroizing::new).map_err(|_| BadKey::Length(length))
}
