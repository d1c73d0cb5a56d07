//! Events as a capture file, pcapng: what Wireshark and tcpdump open.

use std::{borrow::Cow, collections::HashMap, io::Write};

use anyhow::{Context as _, Result};
use filter_common::SAMPLE_OCTETS;
use pcap_file::{
    DataLink,
    pcapng::{
        PcapNgBlock as _, PcapNgWriter,
        blocks::{
            enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption},
            interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption},
        },
    },
};

use super::Event;

/// Times are in nanoseconds: 10 to the minus 9.
const NANOSECONDS: u8 = 9;

/// Writes events into a capture.
pub struct CaptureWriter<W: Write> {
    writer: PcapNgWriter<W>,
    /// The number that each interface has in the file.
    interfaces: HashMap<String, u32>,
}

impl<W: Write> CaptureWriter<W> {
    /// Begins a capture.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn new(to: W) -> Result<Self> {
        let writer = PcapNgWriter::new(to).context("cannot write the capture")?;
        Ok(Self { writer, interfaces: HashMap::new() })
    }

    /// Adds an event. The reason is the packet's comment.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, event: &Event) -> Result<()> {
        let interface_id = self.interface(&event.interface)?;
        let comment = format!("{} {}, stands for {}", event.action.name(), event.reason.name(), event.weight);
        let packet = EnhancedPacketBlock {
            interface_id,
            timestamp: event.since_epoch(),
            original_len: event.length_bytes,
            data: Cow::Borrowed(&event.octets),
            options: vec![EnhancedPacketOption::Comment(comment.into())],
        };
        self.writer.write_block(&packet.into_block()).context("cannot write the capture")?;
        Ok(())
    }

    /// Lets what was written be seen.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        self.writer.get_mut().flush().context("cannot write the capture")
    }

    fn interface(&mut self, name: &str) -> Result<u32> {
        if let Some(number) = self.interfaces.get(name) {
            return Ok(*number);
        }
        let number = u32::try_from(self.interfaces.len())?;
        let description = InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: u32::try_from(SAMPLE_OCTETS)?,
            options: vec![
                InterfaceDescriptionOption::IfName(Cow::Owned(name.to_owned())),
                InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
            ],
        };
        self.writer.write_block(&description.into_block()).context("cannot write the capture")?;
        self.interfaces.insert(name.to_owned(), number);
        Ok(number)
    }
}
