//! Policies of another machine: none of an interface's addresses is one of the SBC's own.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use filter_common::tables::flags;

use super::network::Network;
use crate::policy::CompiledPolicy;

/// The addresses of `interface`, if the policy says which are the SBC's own and none of these is.
///
/// # Errors
/// If the host's addresses cannot be read.
pub fn foreign_addresses(interface: &str, policy: &CompiledPolicy) -> Result<Vec<IpAddr>> {
    let settings = &policy.tables.settings;
    if !settings.has(flags::ADDRESSES) {
        return Ok(Vec::new());
    }
    let own: Vec<IpAddr> = settings.addresses.addresses().map(IpAddr::from).collect();
    let network = Network::of(interface).context("cannot read the host's addresses and routes")?;
    // Every interface has one of these, which no provider calls.
    let is_local = |address: &IpAddr| matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    let here: Vec<IpAddr> = network.addresses().iter().filter(|address| !is_local(address)).copied().collect();
    Ok(if here.iter().any(|address| own.contains(address)) { Vec::new() } else { here })
}
