//! Huffman tables as tables of steps: what one look at the next bits says of how far to go. Values of coefficients are never made.

/// Bits that one look sees. A table of this many takes 8 KB, so that four of them stay in a processor's first cache.
pub const LOOK: u32 = 12;

/// How far one look gets among the coefficients of a block: one code with its value's bits, or two where both are seen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Step {
    /// Bits to go; 0: the code is longer than what was looked at, or none.
    pub bits: u8,
    /// Coefficients to go, and bit 7: the block ends after them.
    pub go: u8,
}

/// Bit 7 of [`Step::go`].
pub const ENDS: u8 = 0x80;

/// Looks that can be had.
const LOOKS: usize = 1 << LOOK;

/// One Huffman table.
#[derive(Debug, Clone)]
pub struct Table {
    /// One code at a time: its bits, and its symbol.
    codes: Box<[(u8, u8); LOOKS]>,
    /// For coefficients: as many codes as are seen.
    pub steps: Box<[Step; LOOKS]>,
    /// For codes longer than a look, by length: the first code, how many there are, and where their symbols begin.
    long: [(u32, u32, usize); 17],
    symbols: Vec<u8>,
}

impl Table {
    /// From the counts of codes of 1 to 16 bits, and their symbols in order. `None`: there are more codes than bits can tell apart.
    pub fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut table = Self {
            codes: Box::new([(0, 0); LOOKS]),
            steps: Box::new([Step::default(); LOOKS]),
            long: [(0, 0, 0); 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut first) = (0_u32, 0_usize);
        for (length, &count) in (1_u32..).zip(counts) {
            table.long[length as usize] = (code, u32::from(count), first);
            for (code, &symbol) in (code..).zip(symbols.get(first..first + usize::from(count))?) {
                if code >> length != 0 {
                    return None;
                }
                if let Some(spare) = LOOK.checked_sub(length) {
                    let start = (code << spare) as usize;
                    table.codes[start..start + (1 << spare)].fill((length as u8, symbol));
                }
            }
            (code, first) = ((code + u32::from(count)) << 1, first + usize::from(count));
        }
        for bits in 0..LOOKS {
            table.steps[bits] = table.step(bits as u32);
        }
        Some(table)
    }

    /// The code at the top of `bits` and its symbol.
    #[inline(always)]
    pub fn code(&self, bits: u64) -> Option<(u32, u8)> {
        match self.codes[(bits >> (64 - LOOK)) as usize] {
            (0, _) => self.long_code(bits),
            (length, symbol) => Some((u32::from(length), symbol)),
        }
    }

    #[cold]
    fn long_code(&self, bits: u64) -> Option<(u32, u8)> {
        (LOOK + 1..=16).find_map(|length| {
            let (first, count, symbols) = self.long[length as usize];
            let nth = ((bits >> (64 - length)) as u32).checked_sub(first).filter(|nth| *nth < count)?;
            Some((length, *self.symbols.get(symbols + nth as usize)?))
        })
    }

    /// What a look at these bits says.
    fn step(&self, bits: u32) -> Step {
        let (length, symbol) = self.codes[bits as usize];
        if length == 0 {
            return Step::default();
        }
        let one = one(length, symbol);
        let rest = (bits << one.bits) & ((1 << LOOK) - 1);
        let (length, symbol) = self.codes[rest as usize];
        let seen = u32::from(one.bits) < LOOK && length != 0 && u32::from(one.bits + length) <= LOOK;
        match self::one(length, symbol) {
            _ if !seen || one.go & ENDS != 0 => one,
            two => Step { bits: one.bits + two.bits, go: (one.go + (two.go & !ENDS)) | (two.go & ENDS) },
        }
    }
}

/// A single code as a step: run and size (T.81, F.1.2.2).
pub fn one(length: u8, symbol: u8) -> Step {
    match (symbol >> 4, symbol & 15) {
        (0, 0) => Step { bits: length, go: ENDS },
        (run, size) => Step { bits: length + size, go: run + 1 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes 0 -> 0x00 (end), 10 -> 0x01, 110 -> 0x21, 1110 -> 0xf0, and one of 14 bits.
    fn table() -> Table {
        let mut counts = [0; 16];
        [counts[0], counts[1], counts[2], counts[3], counts[13]] = [1; 5];
        Table::new(&counts, &[0, 1, 0x21, 0xf0, 7]).unwrap()
    }

    fn bits(text: &str) -> u64 {
        u64::from_str_radix(text, 2).unwrap() << (64 - text.len())
    }

    #[test]
    fn codes_short_and_long() {
        let table = table();
        assert_eq!(table.code(bits("0111")), Some((1, 0)));
        assert_eq!(table.code(bits("1101")), Some((3, 0x21)));
        assert_eq!(table.code(bits("11110000000000")), Some((14, 7)));
        assert_eq!(table.code(bits("1111111111111111")), None);
    }

    #[test]
    fn two_codes_in_one_look() {
        let table = table();
        let step = |text: &str| {
            let step = table.steps[(bits(text) >> (64 - LOOK)) as usize];
            (step.bits, step.go)
        };
        assert_eq!(step("0"), (1, ENDS));
        assert_eq!(step("1010"), (3 + 1, ENDS | 1));
        assert_eq!(step("10111100"), (3 + 4, 1 + 16));
        assert_eq!(step("111011101110"), (8, 32));
        assert_eq!(step("1111"), (0, 0));
    }

    #[test]
    fn impossible_tables() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(Table::new(&counts, &[1, 2, 3]).is_none());
        assert!(Table::new(&counts, &[1]).is_none());
    }
}
