//! The part of a capture that shares interfaces, and the frames in its records.

use pcap_parser::{
    Block, EnhancedPacketBlock, InterfaceDescriptionBlock, LegacyPcapBlock, Linktype, OptionCode, PcapBlockOwned,
    PcapHeader, SimplePacketBlock,
};

use super::CaptureError;

/// A section of a pcapng file, or a pcap file as a whole.
#[derive(Default)]
pub(super) struct Section {
    interfaces: Vec<Interface>,
}

/// An interface that frames were captured on.
#[derive(Clone, Copy)]
struct Interface {
    link_type: i32,
    /// How many octets of a frame were kept; 0: all.
    snapshot_length: usize,
    /// How many octets the frame check sequence behind each frame has.
    check_sequence: usize,
    clock: Clock,
}

/// How an interface counts time.
#[derive(Clone, Copy)]
struct Clock {
    /// Units in a second.
    resolution: u64,
    /// Seconds to be added.
    offset: i64,
}

impl Clock {
    const MICROSECONDS: Self = Self { resolution: 1_000_000, offset: 0 };
    const NANOSECONDS: Self = Self { resolution: 1_000_000_000, offset: 0 };

    /// The exponent of the resolution is one of 10, or of 2 where its highest bit is set
    /// (draft-ietf-opsawg-pcapng, section 4.2); one that is too large to be true counts as the usual one.
    fn of_description(description: &InterfaceDescriptionBlock<'_>) -> Self {
        let exponent = u32::from(description.if_tsresol & 0x7f);
        let base: u64 = if description.if_tsresol & 0x80 == 0 { 10 } else { 2 };
        let resolution = base.checked_pow(exponent).unwrap_or(Self::MICROSECONDS.resolution);
        Self { resolution, offset: description.if_tsoffset }
    }

    /// So many units, in nanoseconds.
    fn nanoseconds(self, units: u64) -> u64 {
        let Self { resolution, offset } = self;
        let nanoseconds = u128::from(units) * 1_000_000_000 / u128::from(resolution);
        let nanoseconds = i128::try_from(nanoseconds).unwrap_or(i128::MAX);
        let sum = nanoseconds.saturating_add(i128::from(offset) * 1_000_000_000).max(0);
        u64::try_from(sum).unwrap_or(u64::MAX)
    }
}

/// A frame in a record.
#[derive(Clone, Copy)]
struct Recorded<'a> {
    octets: &'a [u8],
    length: u32,
    /// In nanoseconds.
    time: u64,
}

/// What is known of a frame that was taken from a record, but for its octets.
#[derive(Clone, Copy)]
pub(super) struct Taken {
    /// The length that it had.
    pub(super) length: usize,
    /// When it was captured, in nanoseconds; 0 where the record does not say.
    pub(super) time: u64,
}

/// The type of pcapng's obsolete Packet Block.
const PACKET_BLOCK: u32 = 2;

/// The option of an interface that has the length of its frame check sequence (draft-ietf-opsawg-pcapng, section 4.2).
const IF_FCSLEN: OptionCode = OptionCode(13);

impl Section {
    /// Reads the record at `octet` of the file. A frame's octets are left in `octets`.
    pub(super) fn read(
        &mut self,
        record: PcapBlockOwned<'_>,
        octet: u64,
        octets: &mut Vec<u8>,
    ) -> Result<Option<Taken>, CaptureError> {
        let (interface, recorded) = match record {
            PcapBlockOwned::LegacyHeader(header) => {
                self.interfaces = vec![Interface::of_file(&header).ethernet()?];
                return Ok(None);
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => {
                self.interfaces.clear();
                return Ok(None);
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(description)) => {
                self.interfaces.push(Interface::of_description(&description));
                return Ok(None);
            }
            PcapBlockOwned::NG(Block::Unknown(block)) if block.block_type == PACKET_BLOCK => {
                return Err(CaptureError::Obsolete { octet });
            }
            PcapBlockOwned::Legacy(packet) => {
                let interface = self.interface(0, octet)?;
                (interface, legacy(&packet, interface.clock))
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let interface = self.interface(packet.if_id, octet)?;
                (interface, enhanced(&packet, interface.clock))
            }
            PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
                let interface = self.interface(0, octet)?;
                (interface, simple(&packet, &interface))
            }
            PcapBlockOwned::NG(_) => return Ok(None),
        };
        interface.ethernet()?.take(recorded, octet, octets).map(Some)
    }

    fn interface(&self, number: u32, octet: u64) -> Result<Interface, CaptureError> {
        let interface = usize::try_from(number).ok().and_then(|number| self.interfaces.get(number));
        interface.copied().ok_or(CaptureError::Broken { octet, what: "it names an interface that is not described" })
    }
}

impl Interface {
    /// The field of the link type has the length of the check sequence too, in units of 2 octets in its four highest
    /// bits, where the bit at 26 says so (draft-ietf-opsawg-pcap, section 4).
    fn of_file(header: &PcapHeader) -> Self {
        let [highest, ..] = header.network.0.to_be_bytes();
        Self {
            link_type: header.network.0 & 0xffff,
            snapshot_length: 0,
            check_sequence: if highest & 0x04 == 0 { 0 } else { usize::from(highest >> 4) * 2 },
            clock: if header.is_nanosecond_precision() { Clock::NANOSECONDS } else { Clock::MICROSECONDS },
        }
    }

    fn of_description(description: &InterfaceDescriptionBlock<'_>) -> Self {
        let mut options = description.options.iter();
        let check_sequence = options.find(|option| option.code == IF_FCSLEN);
        Self {
            link_type: description.linktype.0,
            snapshot_length: usize::try_from(description.snaplen).unwrap_or_default(),
            check_sequence: check_sequence.and_then(|option| option.value.first()).copied().map_or(0, usize::from),
            clock: Clock::of_description(description),
        }
    }

    fn ethernet(self) -> Result<Self, CaptureError> {
        match Linktype(self.link_type) {
            Linktype::ETHERNET => Ok(self),
            Linktype(other) => Err(CaptureError::LinkType(other)),
        }
    }

    /// Leaves a frame in `octets`, without its check sequence.
    fn take(self, recorded: Recorded<'_>, octet: u64, octets: &mut Vec<u8>) -> Result<Taken, CaptureError> {
        let length = usize::try_from(recorded.length).unwrap_or(usize::MAX);
        if recorded.octets.len() > length {
            return Err(CaptureError::Broken { octet, what: "it has more octets than the frame had" });
        }
        let length = length.saturating_sub(self.check_sequence);
        octets.clear();
        octets.extend_from_slice(&recorded.octets[..recorded.octets.len().min(length)]);
        Ok(Taken { length, time: recorded.time })
    }
}

fn legacy<'a>(packet: &LegacyPcapBlock<'a>, clock: Clock) -> Recorded<'a> {
    let units = u64::from(packet.ts_sec) * clock.resolution + u64::from(packet.ts_usec);
    Recorded { octets: packet.data, length: packet.origlen, time: clock.nanoseconds(units) }
}

/// The parser leaves the padding in.
fn enhanced<'a>(packet: &EnhancedPacketBlock<'a>, clock: Clock) -> Recorded<'a> {
    let units = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
    let octets = first(packet.data, packet.caplen);
    Recorded { octets, length: packet.origlen, time: clock.nanoseconds(units) }
}

/// Such a record says neither how much of the frame it has nor when it was captured.
fn simple<'a>(packet: &SimplePacketBlock<'a>, interface: &Interface) -> Recorded<'a> {
    let octets = first(packet.data, packet.origlen);
    let kept = if interface.snapshot_length == 0 { octets.len() } else { interface.snapshot_length.min(octets.len()) };
    Recorded { octets: &octets[..kept], length: packet.origlen, time: 0 }
}

fn first(octets: &[u8], count: u32) -> &[u8] {
    usize::try_from(count).ok().and_then(|count| octets.get(..count)).unwrap_or(octets)
}
