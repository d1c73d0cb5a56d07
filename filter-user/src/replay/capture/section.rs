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
}

/// A frame in a record.
#[derive(Clone, Copy)]
struct Recorded<'a> {
    octets: &'a [u8],
    length: u32,
}

/// The type of pcapng's obsolete Packet Block.
const PACKET_BLOCK: u32 = 2;

/// The option of an interface that has the length of its frame check sequence (draft-ietf-opsawg-pcapng, section 4.2).
const IF_FCSLEN: OptionCode = OptionCode(13);

impl Section {
    /// Reads the record at `octet` of the file. A frame is left in `octets`; returned is the length that it had.
    pub(super) fn read(
        &mut self,
        record: PcapBlockOwned<'_>,
        octet: u64,
        octets: &mut Vec<u8>,
    ) -> Result<Option<usize>, CaptureError> {
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
            PcapBlockOwned::Legacy(packet) => (self.interface(0, octet)?, legacy(&packet)),
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                (self.interface(packet.if_id, octet)?, enhanced(&packet))
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
        }
    }

    fn of_description(description: &InterfaceDescriptionBlock<'_>) -> Self {
        let mut options = description.options.iter();
        let check_sequence = options.find(|option| option.code == IF_FCSLEN);
        Self {
            link_type: description.linktype.0,
            snapshot_length: usize::try_from(description.snaplen).unwrap_or_default(),
            check_sequence: check_sequence.and_then(|option| option.value.first()).copied().map_or(0, usize::from),
        }
    }

    fn ethernet(self) -> Result<Self, CaptureError> {
        match Linktype(self.link_type) {
            Linktype::ETHERNET => Ok(self),
            Linktype(other) => Err(CaptureError::LinkType(other)),
        }
    }

    /// Leaves a frame in `octets`, without its check sequence, and returns the length that it had.
    fn take(self, recorded: Recorded<'_>, octet: u64, octets: &mut Vec<u8>) -> Result<usize, CaptureError> {
        let length = usize::try_from(recorded.length).unwrap_or(usize::MAX);
        if recorded.octets.len() > length {
            return Err(CaptureError::Broken { octet, what: "it has more octets than the frame had" });
        }
        let length = length.saturating_sub(self.check_sequence);
        octets.clear();
        octets.extend_from_slice(&recorded.octets[..recorded.octets.len().min(length)]);
        Ok(length)
    }
}

const fn legacy<'a>(packet: &LegacyPcapBlock<'a>) -> Recorded<'a> {
    Recorded { octets: packet.data, length: packet.origlen }
}

/// The parser leaves the padding in.
fn enhanced<'a>(packet: &EnhancedPacketBlock<'a>) -> Recorded<'a> {
    Recorded { octets: first(packet.data, packet.caplen), length: packet.origlen }
}

/// Such a record does not say how much of the frame it has.
fn simple<'a>(packet: &SimplePacketBlock<'a>, interface: &Interface) -> Recorded<'a> {
    let octets = first(packet.data, packet.origlen);
    let kept = if interface.snapshot_length == 0 { octets.len() } else { interface.snapshot_length.min(octets.len()) };
    Recorded { octets: &octets[..kept], length: packet.origlen }
}

fn first(octets: &[u8], count: u32) -> &[u8] {
    usize::try_from(count).ok().and_then(|count| octets.get(..count)).unwrap_or(octets)
}
