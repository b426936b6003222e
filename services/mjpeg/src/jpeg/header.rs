//! The segments of a JPEG before its data (ITU T.81, annex B).

use crate::flaw::Flaw;
use crate::happening::Size;

/// What a picture says of itself.
#[derive(Debug, Clone)]
pub struct Header<'a> {
    /// Of the whole picture.
    pub size: Size,
    /// In the order of the frame; the first is brightness.
    pub components: Vec<Component>,
    /// Baseline, Huffman, 8 bits, all components in one scan: what [`super::dc`] reads.
    pub plain: bool,
    /// Why libjpeg does not decode it, in a word.
    odd: Option<&'static str>,
    /// Bodies of the DHT segments.
    pub tables: Vec<&'a [u8]>,
    /// MCUs between restart markers; 0: there are none.
    pub restart: u16,
    /// Where the data begin.
    pub data: usize,
}

/// One component of the frame.
#[derive(Debug, Clone, Copy, Default)]
pub struct Component {
    id: u8,
    /// Blocks of an MCU, across and down: 1..=4.
    pub blocks: (u8, u8),
    /// The quantisation table's number.
    table: u8,
    /// Levels of brightness that one step of DC stands for, times 8: 1..=65535.
    pub step: u16,
    /// Numbers of its Huffman tables: 0..=3.
    pub dc: u8,
    /// As `dc`.
    pub ac: u8,
}

impl<'a> Header<'a> {
    /// Reads a picture that begins with SOI up to its first scan.
    pub fn read(jpeg: &'a [u8]) -> Result<Self, Flaw> {
        let header = Self::segments(jpeg).filter(Self::is_sound).ok_or(Flaw::Header)?;
        match header.odd {
            Some(kind) => Err(Flaw::Kind(kind)),
            None if !header.size.is_recordable() => Err(Flaw::Size(header.size)),
            None => Ok(header),
        }
    }

    fn segments(jpeg: &'a [u8]) -> Option<Self> {
        let mut header = Header {
            size: Size { width: 0, height: 0 },
            components: Vec::new(),
            plain: false,
            odd: None,
            tables: Vec::new(),
            restart: 0,
            data: 2,
        };
        let mut steps = [0_u16; 4];
        while header.data < jpeg.len() {
            let [0xff, marker] = *jpeg.get(header.data..header.data + 2)? else { return None };
            match marker {
                0xff => header.data += 1,
                0x01 | 0xd0..=0xd7 => header.data += 2,
                0x00 | 0xd8 | 0xd9 => return None,
                _ => {
                    let length = usize::from(word(jpeg.get(header.data + 2..)?)?);
                    let body = jpeg.get(header.data + 4..header.data + 2 + length)?;
                    header.data += 2 + length;
                    if marker == 0xda {
                        return header.scan(body, steps);
                    }
                    header.segment(marker, body, &mut steps)?;
                }
            }
        }
        None
    }

    fn segment(&mut self, marker: u8, body: &'a [u8], steps: &mut [u16; 4]) -> Option<()> {
        match marker {
            0xdb => quantisation(body, steps),
            0xc4 => {
                self.tables.push(body);
                Some(())
            }
            0xdd => {
                self.restart = word(body)?;
                Some(())
            }
            0xc0..=0xcf if !matches!(marker, 0xc8 | 0xcc) => self.frame(marker, body),
            _ => Some(()),
        }
    }

    fn frame(&mut self, marker: u8, body: &[u8]) -> Option<()> {
        let &[precision, h0, h1, w0, w1, count, ref rest @ ..] = body else { return None };
        self.size = Size { width: u16::from_be_bytes([w0, w1]), height: u16::from_be_bytes([h0, h1]) };
        self.plain = matches!(marker, 0xc0 | 0xc1) && precision == 8;
        self.odd = odd(marker, precision, count);
        let rest = rest.get(..3 * usize::from(count))?;
        self.components = rest
            .chunks_exact(3)
            .map(|one| Component {
                id: one[0],
                blocks: (one[1] >> 4, one[1] & 15),
                table: one[2],
                ..Component::default()
            })
            .collect();
        Some(())
    }

    /// The end of the header.
    fn scan(mut self, body: &[u8], steps: [u16; 4]) -> Option<Self> {
        let (&count, rest) = body.split_first()?;
        let chosen = rest.get(..2 * usize::from(count))?;
        self.plain &= usize::from(count) == self.components.len();
        for (component, choice) in self.components.iter_mut().zip(chosen.chunks_exact(2)) {
            (component.dc, component.ac) = (choice[1] >> 4, choice[1] & 15);
            component.step = steps.get(usize::from(component.table)).copied().unwrap_or_default();
            self.plain &= component.id == choice[0] && component.dc < 4 && component.ac < 4 && component.step > 0;
        }
        Some(self)
    }

    fn is_sound(&self) -> bool {
        let sound = |one: &Component| (1..=4).contains(&one.blocks.0) && (1..=4).contains(&one.blocks.1);
        self.size.width > 0
            && self.size.height > 0
            && (1..=4).contains(&self.components.len())
            && self.components.iter().all(sound)
    }
}

/// What keeps libjpeg from decoding it: it knows sequential and progressive pictures, by Huffman and arithmetic coding, of 8 bits.
pub(super) fn odd(marker: u8, precision: u8, components: u8) -> Option<&'static str> {
    match (marker, precision, components) {
        (0xc0..=0xc2 | 0xc9 | 0xca, 8, 1 | 3) => None,
        (0xc0..=0xc2 | 0xc9 | 0xca, 8, _) => Some("neither grey nor YCbCr"),
        (0xc0..=0xc2 | 0xc9 | 0xca, _, _) => Some("not of 8 bits"),
        _ => Some("lossless or hierarchical"),
    }
}

/// Takes the first value of each table of a DQT segment.
fn quantisation(mut body: &[u8], steps: &mut [u16; 4]) -> Option<()> {
    while let Some((&kind, rest)) = body.split_first() {
        let wide = kind >> 4 == 1;
        let table = rest.get(..if wide { 128 } else { 64 })?;
        *steps.get_mut(usize::from(kind & 15))? = if wide { word(table)? } else { u16::from(table[0]) };
        body = &rest[table.len()..];
    }
    Some(())
}

fn word(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]))
}
