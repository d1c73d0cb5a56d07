//! Why a capture cannot be replayed.

use std::io;

/// Why a capture cannot be replayed.
///
/// The text goes on from the name of the capture.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// It cannot be opened.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Reading it failed later.
    #[error("cannot be read beyond octet {octet}")]
    Unreadable {
        /// Where in the file.
        octet: u64,
    },
    /// It has not a single octet.
    #[error("is empty")]
    Empty,
    /// It is something else.
    #[error("is neither pcap nor pcapng\nhint: unpack it first if it is compressed")]
    Format,
    /// It ends within a record.
    #[error("ends in the middle of the record at octet {octet}")]
    CutShort {
        /// Where in the file the record begins.
        octet: u64,
    },
    /// A record contradicts the format.
    #[error("is broken in the record at octet {octet}: {what}")]
    Broken {
        /// Where in the file the record begins.
        octet: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Packets in a form that was given up in 2010.
    #[error(
        "has a packet in an obsolete form at octet {octet} (pcapng Packet Block)\nhint: convert it: `editcap -F pcap OLD NEW`"
    )]
    Obsolete {
        /// Where in the file the record begins.
        octet: u64,
    },
    /// It was not taken from an Ethernet interface.
    #[error(
        "has frames of {}, and only those of Ethernet can be judged\n\
         hint: capture on one interface: `tcpdump -i eth0 -w FILE`", link_name(*.0)
    )]
    LinkType(i32),
}

/// The name of a link type (the registry of link types that pcap and pcapng share).
fn link_name(link_type: i32) -> String {
    let name = match link_type {
        0 | 108 => "BSD loopback",
        9 | 50 => "PPP",
        101 | 228 | 229 => "raw IP",
        105 | 127 => "wireless LAN",
        113 | 276 => "Linux's `any` interface",
        239 => "netfilter's log",
        _ => return format!("link type {link_type}"),
    };
    format!("{name} (link type {link_type})")
}
