//! What a change beside the policy would cut.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use filter_common::Reason;

use super::{Cut, network::Network, next_packets, sessions::sessions};
use crate::policy::PortSet;

/// What of the sessions over `interface` would be cut. Those with peers that the change `concerns` are asked for their
/// `fate`: why a packet of them is dropped that was not before.
///
/// # Errors
/// If the host's sockets or routes cannot be read, or a fate cannot be told.
pub fn live_cuts(
    interface: &str,
    sip_ports: &PortSet,
    concerns: impl Fn(IpAddr) -> bool,
    fate: impl Fn(&[u8]) -> Result<Option<Reason>>,
) -> Result<Vec<Cut>> {
    let sessions = sessions(sip_ports, concerns).context("cannot read the host's sockets")?;
    let mut cuts = Vec::new();
    if sessions.is_empty() {
        return Ok(cuts);
    }
    let network = Network::of(interface).context("cannot read the host's addresses and routes")?;
    for session in sessions {
        if !network.carries(&session)? {
            continue;
        }
        for (subject, frame) in next_packets(session)? {
            cuts.extend(fate(&frame)?.map(|reason| Cut { subject, reason }));
        }
    }
    Ok(cuts)
}
