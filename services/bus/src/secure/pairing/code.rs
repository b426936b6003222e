//! The code: 17 random letters and digits and one to check them, in six groups of three, as `7k3-m9q-xw4-t2b-h8n-5zc`.
//!
//! The check letter tells any one wrong letter and any two that are swapped, wherever they stand, before anything is
//! sent: the letters are the digits of a number in the field of 32 elements, weighted with powers of an element of
//! order 31.

use crate::secure::key::ALPHABET;
use crate::secure::noise;
use std::fmt;
use std::str::FromStr;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The letters of a code, without the dashes.
pub const LENGTH: usize = 18;
const RANDOM: usize = LENGTH - 1;
const GROUP: usize = 3;

/// Why a text is no code. Nothing of the text is repeated: it is almost the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCode {
    /// Too many or too few letters.
    #[error("the code has {LENGTH} letters and digits, this is {0}; dashes and blanks do not count")]
    Length(usize),
    /// A character that no code has; counted from 1.
    #[error("letter {0} of the code is none that a code has; look again")]
    Letter(usize),
    /// The check letter does not fit.
    #[error("the code has a typing error: a letter is wrong, or two are swapped; look again, nothing was sent")]
    Typo,
}

/// A secret of two machines, for one pairing. It is wiped when it is dropped; only [`Code::reveal`] shows it.
pub struct Code([u8; RANDOM]);

impl Code {
    /// A new one, from the operating system.
    ///
    /// # Errors
    /// It gives no random numbers.
    pub fn generate() -> Result<Code, std::io::Error> {
        let mut code = Code([0; RANDOM]);
        getrandom::fill(&mut code.0)?;
        code.0.iter_mut().for_each(|symbol| *symbol &= 31);
        Ok(code)
    }

    /// The text to be shown once to the one who pairs, and never to a log.
    pub fn reveal(&self) -> Zeroizing<String> {
        let symbols = self.0.iter().copied().chain([check(&self.0)]);
        let mut text = Zeroizing::new(String::with_capacity(LENGTH + LENGTH / GROUP));
        for (at, symbol) in symbols.enumerate() {
            if at > 0 && at % GROUP == 0 {
                text.push('-');
            }
            text.push(ALPHABET.as_bytes()[usize::from(symbol)].into());
        }
        text
    }

    /// The key that both machines mix into their handshake.
    pub(super) fn key(&self) -> Zeroizing<[u8; 32]> {
        noise::hash(&[b"pistop pairing code 1\0", &self.0])
    }
}

impl FromStr for Code {
    type Err = BadCode;
    fn from_str(text: &str) -> Result<Code, BadCode> {
        let letters = text.chars().filter(|letter| *letter != '-' && !letter.is_whitespace());
        let mut symbols = Zeroizing::new([0; LENGTH]);
        let mut length = 0;
        for letter in letters {
            let symbol = symbol(letter).ok_or(BadCode::Letter(length + 1))?;
            if let Some(place) = symbols.get_mut(length) {
                *place = symbol;
            }
            length += 1;
        }
        let (code, check_letter) =
            symbols.split_first_chunk::<RANDOM>().expect("a code is longer than its random part");
        match length {
            LENGTH if check_letter == [check(code)] => Ok(Code(*code)),
            LENGTH => Err(BadCode::Typo),
            _ => Err(BadCode::Length(length)),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for Code {}

/// In any case, and with the letters that look like digits taken for them.
fn symbol(letter: char) -> Option<u8> {
    let letter = match letter.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        letter => letter,
    };
    ALPHABET.chars().position(|known| known == letter).map(|at| at as u8)
}

fn check(symbols: &[u8; RANDOM]) -> u8 {
    times_alpha(symbols.iter().fold(0, |sum, &symbol| times_alpha(sum) ^ symbol))
}

/// Multiplies by the root of x^5 + x^2 + 1, which has order 31.
fn times_alpha(element: u8) -> u8 {
    match element << 1 {
        overflow if overflow & 32 != 0 => overflow ^ 0b10_0101,
        product => product,
    }
}
