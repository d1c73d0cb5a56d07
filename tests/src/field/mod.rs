//! The software that users run, in network namespaces: an SBC of Kamailio and rtpengine, its providers, a relay, and those
//! who are on no list.

mod calls;
mod flood;
mod guards;
mod network;
mod pings;
mod programs;
mod relay;
mod sbc;
mod scanners;
mod stun;
mod way;

pub use calls::{Call, Calling};
pub use flood::Flood;
pub use guards::{Guard, Guarding};
pub use network::{CALLER, Field, GENESYS, KORE, Party, RELAY, SBC, TWILIO, await_quiet, datagrams, from};
pub use pings::{connects, is_found, is_pinged};
pub use relay::{Relay, TRANSPORTS, Transport};
pub use sbc::Sbc;
pub use scanners::{
    Spoof, crack, find_by_sip, find_by_syn, find_extensions, open_ports, open_ports_by_fragments, scan_udp,
};
pub use way::Way;
