//! The brightness of each block, by walking over the Huffman codes of a baseline JPEG; and whether its data are whole.

use super::header::{Component, Header};
use super::huffman::{ENDS, LOOK, Table, one};
use crate::flaw::Flaw;
use std::sync::Arc;

/// Pictures of more blocks than this, 8 megapixels, are not looked at.
const MAX_BLOCKS: usize = 1 << 17;

/// Bytes that may be left over behind the last block. A whole picture has none but what its maker pads with.
const MAX_LEFT: usize = 16;

/// An eighth-size picture of brightness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture<'a> {
    /// Blocks across; the last ones may lie beyond the border.
    pub width: usize,
    /// Row by row, -128..=127 and a little beyond.
    pub levels: &'a [i16],
}

/// Keeps what pictures of one camera have in common, and its room.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The DHT segments that `dc` and `ac` are made of.
    source: Vec<Vec<u8>>,
    dc: [Option<Arc<Table>>; 4],
    ac: [Option<Arc<Table>>; 4],
    /// The data without stuffing, padded for the reader.
    data: Vec<u8>,
    /// Where each run between restart markers ends.
    runs: Vec<usize>,
    levels: Vec<i16>,
}

/// Zeros behind the data, so that reads of eight bytes stay inside.
const PADDING: usize = 16;

/// One block of an MCU: its tables, and for brightness where it lies in the picture, counted from the MCU's corner.
struct Block {
    dc: Arc<Table>,
    ac: Arc<Table>,
    place: Option<usize>,
}

impl Decoder {
    /// `None`: a kind of JPEG that is not looked at (progressive, 12 bits, several scans, standard tables left out), which may be a good one.
    pub fn decode(&mut self, header: &Header<'_>, jpeg: &[u8]) -> Result<Option<Picture<'_>>, Flaw> {
        let Some(grid) = Grid::of(header) else { return Ok(None) };
        self.tables(&header.tables)?;
        let Some(blocks) = self.blocks(header, grid.width()) else { return Ok(None) };
        self.unstuff(jpeg.get(header.data..).unwrap_or_default());
        self.walk(&blocks, &grid, i32::from(header.components[0].step))?;
        Ok(Some(Picture { width: grid.width(), levels: &self.levels }))
    }

    /// Makes the tables anew only if the segments differ from the last picture's.
    fn tables(&mut self, segments: &[&[u8]]) -> Result<(), Flaw> {
        if self.source == segments {
            return Ok(());
        }
        (self.dc, self.ac, self.source) = Default::default();
        for mut rest in segments.iter().copied() {
            while let Some((&kind, after)) = rest.split_first() {
                let (counts, after) = after.split_first_chunk::<16>().ok_or(Flaw::Header)?;
                let count = counts.iter().map(|count| usize::from(*count)).sum();
                let symbols = after.get(..count).ok_or(Flaw::Header)?;
                let class = if kind >> 4 == 0 { &mut self.dc } else { &mut self.ac };
                let slot = class.get_mut(usize::from(kind & 15)).ok_or(Flaw::Header)?;
                *slot = Some(Arc::new(Table::new(counts, symbols).ok_or(Flaw::Header)?));
                rest = &after[count..];
            }
        }
        self.source = segments.iter().map(|segment| segment.to_vec()).collect();
        Ok(())
    }

    /// The blocks of an MCU in their order.
    fn blocks(&self, header: &Header<'_>, width: usize) -> Option<Vec<Block>> {
        let alone = header.components.len() == 1;
        let mut blocks = Vec::new();
        for (nth, component) in header.components.iter().enumerate() {
            let (across, down) = component.mcu(alone);
            for (y, x) in (0..down).flat_map(|y| (0..across).map(move |x| (y, x))) {
                let dc = self.dc.get(usize::from(component.dc))?.clone()?;
                let ac = self.ac.get(usize::from(component.ac))?.clone()?;
                blocks.push(Block { dc, ac, place: (nth == 0).then_some(y * width + x) });
            }
        }
        Some(blocks)
    }

    /// Takes the zeros after each FF out of the data, and the restart markers, up to EOI or any other marker.
    fn unstuff(&mut self, mut scan: &[u8]) {
        let Self { data, runs, .. } = self;
        data.clear();
        runs.clear();
        loop {
            let Some(at) = memchr::memchr(0xff, scan) else {
                data.extend_from_slice(scan);
                break;
            };
            match scan.get(at + 1) {
                Some(0) => data.extend_from_slice(&scan[..=at]),
                Some(0xd0..=0xd7) => {
                    data.extend_from_slice(&scan[..at]);
                    runs.push(data.len());
                }
                Some(0xff) => {
                    data.extend_from_slice(&scan[..at]);
                    scan = &scan[at + 1..];
                    continue;
                }
                _ => {
                    data.extend_from_slice(&scan[..at]);
                    break;
                }
            }
            scan = &scan[at + 2..];
        }
        runs.push(data.len());
        data.extend_from_slice(&[0; PADDING]);
    }

    fn walk(&mut self, blocks: &[Block], grid: &Grid, step: i32) -> Result<(), Flaw> {
        let Self { data, runs, levels, .. } = self;
        levels.clear();
        levels.resize(grid.width() * grid.height(), 0);
        let mut mcu = 0;
        let mut bits = Bits::new(data, 0);
        for &end in runs.iter() {
            let last = (mcu + grid.restart).min(grid.mcus());
            let mut dc = 0;
            while mcu < last {
                let corner = grid.corner(mcu);
                for block in blocks {
                    match block.place {
                        None => drop(bits.dc(&block.dc)?),
                        Some(place) => {
                            dc += bits.dc(&block.dc)?;
                            levels[corner + place] = level(dc, step)?;
                        }
                    }
                    bits.skip_coefficients(&block.ac)?;
                }
                if bits.at() > end * 8 {
                    return Err(Flaw::Short);
                }
                mcu += 1;
            }
            if end - bits.at().div_ceil(8) > MAX_LEFT {
                return Err(Flaw::Damaged);
            }
            bits = Bits::new(data, end);
        }
        if mcu < grid.mcus() { Err(Flaw::Short) } else { Ok(()) }
    }
}

/// The mean brightness of a block. Beyond what pixels can be, with room for coarse quantisation, the data are damaged: after a wrong code the
/// differences are noise and add up.
fn level(dc: i32, step: i32) -> Result<i16, Flaw> {
    let level = dc.saturating_mul(step) / 8;
    if level.abs() > 128 + 16 + step / 8 { Err(Flaw::Damaged) } else { Ok(level as i16) }
}

impl Component {
    /// A component that is alone in its scan has MCUs of one block, whatever it says.
    fn mcu(&self, alone: bool) -> (usize, usize) {
        if alone { (1, 1) } else { (usize::from(self.blocks.0), usize::from(self.blocks.1)) }
    }
}

/// How the MCUs lie.
struct Grid {
    across: usize,
    down: usize,
    /// Blocks of brightness in one.
    luma: (usize, usize),
    /// MCUs between restart markers, or all.
    restart: usize,
}

impl Grid {
    fn of(header: &Header<'_>) -> Option<Self> {
        let alone = header.components.len() == 1;
        let luma = header.components.first()?.mcu(alone);
        let most = header.components.iter().map(|one| one.mcu(alone)).fold(luma, |a, b| (a.0.max(b.0), a.1.max(b.1)));
        let across = usize::from(header.size.width).div_ceil(8 * most.0);
        let down = usize::from(header.size.height).div_ceil(8 * most.1);
        let restart = if header.restart == 0 { across * down } else { usize::from(header.restart) };
        let grid = Self { across, down, luma, restart };
        (header.plain && luma == most && grid.width() * grid.height() <= MAX_BLOCKS).then_some(grid)
    }

    fn mcus(&self) -> usize {
        self.across * self.down
    }

    fn width(&self) -> usize {
        self.across * self.luma.0
    }

    fn height(&self) -> usize {
        self.down * self.luma.1
    }

    fn corner(&self, mcu: usize) -> usize {
        (mcu / self.across * self.luma.1) * self.width() + mcu % self.across * self.luma.0
    }
}

/// Reads bits, the highest first.
struct Bits<'a> {
    data: &'a [u8],
    /// The next bytes to load, behind those that are in `bits`.
    next: usize,
    /// The next bits, at the top.
    bits: u64,
    /// How many of them there are.
    count: u32,
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8], next: usize) -> Self {
        Self { data, next, bits: 0, count: 0 }
    }

    /// Bits before this place; beyond the data's end when it is read on into nothing.
    fn at(&self) -> usize {
        self.next * 8 - self.count as usize
    }

    /// At least 56 bits at hand. Behind the padding there are zeros for ever.
    #[inline(always)]
    fn fill(&mut self) {
        let loaded = match self.data.get(self.next..self.next + 8).and_then(|bytes| bytes.first_chunk::<8>()) {
            Some(bytes) => u64::from_be_bytes(*bytes),
            None => 0,
        };
        self.bits |= loaded >> self.count;
        let taken = (63 - self.count) >> 3;
        self.next += taken as usize;
        self.count += taken * 8;
    }

    #[inline(always)]
    fn go(&mut self, bits: u32) {
        self.bits <<= bits;
        self.count -= bits;
    }

    /// The difference that a DC code stands for (T.81, F.2.2.1).
    #[inline(always)]
    fn dc(&mut self, table: &Table) -> Result<i32, Flaw> {
        self.fill();
        let (length, size) = table.code(self.bits).filter(|(_, size)| *size <= 11).ok_or(Flaw::Damaged)?;
        let size = u32::from(size);
        let value = (self.bits << length >> 1 >> (63 - size)) as i32;
        self.go(length + size);
        Ok(if value < 1 << size >> 1 { value + 1 - (1 << size) } else { value })
    }

    /// The 63 coefficients of a block.
    #[inline(always)]
    fn skip_coefficients(&mut self, table: &Table) -> Result<(), Flaw> {
        let mut k = 1;
        loop {
            // A code and its value take at most 31 bits.
            if self.count < 32 {
                self.fill();
            }
            let step = table.steps[(self.bits >> (64 - LOOK)) as usize];
            let after = k + (step.go & !ENDS);
            if step.bits == 0 || after > 63 {
                // A long code, or the block ends between two codes that were seen at once.
                let (length, symbol) = table.code(self.bits).ok_or(Flaw::Damaged)?;
                let step = one(length as u8, symbol);
                self.go(u32::from(step.bits));
                k += step.go & !ENDS;
                match k {
                    _ if step.go & ENDS != 0 => return Ok(()),
                    64 => return Ok(()),
                    65.. => return Err(Flaw::Damaged),
                    _ => continue,
                }
            }
            self.go(u32::from(step.bits));
            if step.go & ENDS != 0 {
                return Ok(());
            }
            k = after;
        }
    }
}
