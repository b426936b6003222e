//! H.264 as an MPEG transport stream (ISO 13818-1) with one program, such that a file of it plays alone: it begins with the tables and a
//! key frame, and its time begins at [`FIRST`]. The packets are those of the crate `mpeg2ts`; what goes into them is decided here.

use mpeg2ts::es::{StreamId, StreamType};
use mpeg2ts::pes::PesHeader;
use mpeg2ts::time::{ClockReference, Timestamp};
use mpeg2ts::ts::payload::{Bytes, Pat, Pes, Pmt};
use mpeg2ts::ts::{
    AdaptationField, ContinuityCounter, EsInfo, Pid, ProgramAssociation, TransportScramblingControl, TsHeader,
    TsPacket, TsPacketWriter, TsPayload, VersionNumber, WriteTsPacket,
};
use std::io::{self, Read};
use std::time::Duration;

/// The time of the first picture of a file: a player's buffer is full by then.
pub const FIRST: Duration = Duration::from_secs(1);
/// So much earlier than its time a picture is in the file.
const AHEAD: u64 = 45_000;
const TABLES: u16 = 0x20;
/// Where the pictures are.
pub const PICTURES: u16 = 0x41;
/// What fits behind the header of a packet.
const ROOM: usize = TsPacket::SIZE - 4;
/// An adaptation field with a clock, and a PES header with one time stamp.
const FIRST_ROOM: usize = ROOM - 8 - 14;

/// One file.
#[derive(Debug)]
pub struct Stream {
    tables: [ContinuityCounter; 2],
    pictures: ContinuityCounter,
}

impl Default for Stream {
    fn default() -> Self {
        Stream { tables: [ContinuityCounter::new(); 2], pictures: ContinuityCounter::new() }
    }
}

/// Units of 90 kHz from the beginning of the file on.
pub fn ticks(since_start: Duration) -> u64 {
    ((since_start + FIRST).as_nanos() * 90 / 1_000_000) as u64
}

impl Stream {
    /// The packets of one coded picture, `since_start` after the first one of the file. Before a key frame the tables come again.
    ///
    /// # Errors
    /// The file is over 26 hours long.
    pub fn picture(&mut self, unit: &[u8], since_start: Duration, key: bool) -> io::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(unit.len() * 188 / ROOM + 4 * TsPacket::SIZE);
        let mut writer = TsPacketWriter::new(&mut out);
        self.packets(&mut writer, unit, ticks(since_start), key).map_err(io::Error::other)?;
        Ok(out)
    }

    fn packets<W: WriteTsPacket>(&mut self, to: &mut W, unit: &[u8], pts: u64, key: bool) -> mpeg2ts::Result<()> {
        if key {
            to.write_ts_packet(&packet(Pid::PAT, &mut self.tables[0], None, TsPayload::Pat(pat()?))?)?;
            to.write_ts_packet(&packet(TABLES, &mut self.tables[1], None, TsPayload::Pmt(pmt()?))?)?;
        }
        let (first, rest) = unit.split_at(unit.len().min(FIRST_ROOM));
        let payload = TsPayload::PesStart(Pes { header: header(pts)?, pes_packet_len: 0, data: Bytes::new(first)? });
        let clock = clock(pts.saturating_sub(AHEAD), key)?;
        to.write_ts_packet(&packet(PICTURES, &mut self.pictures, Some(clock), payload)?)?;
        for piece in rest.chunks(ROOM) {
            let payload = TsPayload::PesContinuation(Bytes::new(piece)?);
            to.write_ts_packet(&packet(PICTURES, &mut self.pictures, None, payload)?)?;
        }
        Ok(())
    }
}

fn packet(
    pid: u16,
    counter: &mut ContinuityCounter,
    adaptation_field: Option<AdaptationField>,
    payload: TsPayload,
) -> mpeg2ts::Result<TsPacket> {
    let header = TsHeader {
        transport_error_indicator: false,
        transport_priority: false,
        pid: Pid::new(pid)?,
        transport_scrambling_control: TransportScramblingControl::NotScrambled,
        continuity_counter: *counter,
    };
    counter.increment();
    Ok(TsPacket { header, adaptation_field, payload: Some(payload) })
}

fn pat() -> mpeg2ts::Result<Pat> {
    let table = vec![ProgramAssociation { program_num: 1, program_map_pid: Pid::new(TABLES)? }];
    Ok(Pat { transport_stream_id: 1, version_number: VersionNumber::new(), table })
}

fn pmt() -> mpeg2ts::Result<Pmt> {
    let pid = Pid::new(PICTURES)?;
    let es_info = vec![EsInfo { stream_type: StreamType::H264, elementary_pid: pid, descriptors: Vec::new() }];
    let version_number = VersionNumber::new();
    Ok(Pmt { program_num: 1, pcr_pid: Some(pid), version_number, program_info: Vec::new(), es_info })
}

fn header(pts: u64) -> mpeg2ts::Result<PesHeader> {
    Ok(PesHeader {
        stream_id: StreamId::new(StreamId::VIDEO_MIN),
        priority: false,
        data_alignment_indicator: true,
        copyright: false,
        original_or_copy: false,
        pts: Some(Timestamp::new(pts)?),
        dts: None,
        escr: None,
    })
}

fn clock(ticks: u64, key: bool) -> mpeg2ts::Result<AdaptationField> {
    Ok(AdaptationField {
        discontinuity_indicator: false,
        random_access_indicator: key,
        es_priority_indicator: false,
        pcr: Some(ClockReference::new(ticks * 300)?),
        opcr: None,
        splice_countdown: None,
        transport_private_data: Vec::new(),
        extension: None,
    })
}

/// What is in a file that nobody closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remains {
    /// Bytes of whole packets; what follows is torn.
    pub whole: u64,
    /// Pictures.
    pub pictures: u64,
    /// From the first picture to the end of the last one, as far as that is known.
    pub length: Duration,
}

/// Looks through a file, packet by packet, since it may be larger than what memory is left; each whole one goes to `whole`. Nothing of
/// ours is left of a packet without its first byte, so there it ends.
///
/// # Errors
/// It cannot be read.
pub fn remains(file: &mut impl Read, mut whole: impl FnMut(&[u8])) -> io::Result<Remains> {
    let (mut bytes, mut pictures) = (0, 0);
    let (mut first, mut last) = (u64::MAX, 0);
    let mut packet = [0; TsPacket::SIZE];
    while is_read(file, &mut packet)? && packet[0] == TsPacket::SYNC_BYTE {
        whole(&packet);
        bytes += TsPacket::SIZE as u64;
        if let Some(time) = time_of(&packet) {
            pictures += 1;
            (first, last) = (time.min(first), time.max(last));
        }
    }
    let span = last.saturating_sub(first);
    let each = if pictures > 1 { span / (pictures - 1) } else { 0 };
    Ok(Remains { whole: bytes, pictures, length: Duration::from_micros((span + each) * 100 / 9) })
}

/// Whether there was another packet.
fn is_read(file: &mut impl Read, packet: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(packet) {
        Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

/// The time stamp in a packet that begins a picture.
fn time_of(packet: &[u8]) -> Option<u64> {
    let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
    if pid != PICTURES || packet[1] & 0x40 == 0 {
        return None;
    }
    let skipped = if packet[3] & 0x20 != 0 { 1 + usize::from(packet[4]) } else { 0 };
    let pes = packet.get(4 + skipped..)?;
    let &[a, b, c, d, e] = pes.get(9..14)? else { return None };
    let number = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
    Some((number >> 33 & 7) << 30 | (number >> 17 & 0x7fff) << 15 | number >> 1 & 0x7fff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_begins_with_its_tables_and_each_packet_is_whole() {
        let mut stream = Stream::default();
        for size in [1, FIRST_ROOM - 1, FIRST_ROOM, FIRST_ROOM + 1, FIRST_ROOM + ROOM, FIRST_ROOM + ROOM + 1, 5000] {
            let unit: Vec<u8> = (0..size).map(|n| n as u8).collect();
            let bytes = stream.picture(&unit, Duration::from_millis(66), true).unwrap();
            assert_eq!(bytes.len() % TsPacket::SIZE, 0);
            assert!(bytes.chunks(TsPacket::SIZE).all(|packet| packet[0] == 0x47));
            assert_eq!((bytes[1] & 0x1f, bytes[2]), (0, 0), "the first packet is the PAT");
            let packets = 3 + size.saturating_sub(FIRST_ROOM).div_ceil(ROOM);
            assert_eq!(bytes.len() / TsPacket::SIZE, packets, "{size}");
        }
    }

    #[test]
    fn what_was_written_is_found_again_and_what_is_torn_is_left() {
        let mut stream = Stream::default();
        let mut file: Vec<u8> = Vec::new();
        for n in 0..30 {
            file.extend(stream.picture(&[0; 700], Duration::from_secs(n) / 15, n == 0).unwrap());
        }
        let whole = file.len() as u64;
        file.extend([0x47; 100]);
        let look = |file: &[u8]| remains(&mut &*file, |_| ()).unwrap();
        let found = look(&file);
        assert_eq!((found.whole, found.pictures), (whole, 30));
        assert!((found.length.as_secs_f64() - 2.0).abs() < 0.001, "{found:?}");
        file.truncate(whole as usize);
        file.extend([0; 400]);
        assert_eq!(look(&file), found);
        let mut pieces = Pieces { file: &file, most: 0 };
        let mut sum = 0;
        let told = remains(&mut io::BufReader::with_capacity(1024, &mut pieces), |packet| sum += packet.len());
        assert_eq!((told.unwrap(), sum as u64, pieces.most), (found, whole, 1024), "never more of it at once");
        assert_eq!(look(b""), Remains { whole: 0, pictures: 0, length: Duration::ZERO });
    }

    /// A file that comes a few bytes at a time, and knows how many were wanted at once.
    struct Pieces<'a> {
        file: &'a [u8],
        most: usize,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.most = self.most.max(into.len());
            let few = into.len().min(101);
            self.file.read(&mut into[..few])
        }
    }
}
