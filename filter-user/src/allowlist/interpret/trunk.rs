//! What the settings of a trunk mean: prefixes and proxies as a policy takes them.

use ipnet::IpNet;

use super::{
    super::{
        document::{Line, TrunkSettings},
        suspect::is_too_wide,
        trunk::{Proxy, Trunk},
    },
    addresses::Addresses,
};

/// The trunk without what cannot be read or enforced, which its rows are told for.
pub(super) fn trunk_of(settings: &TrunkSettings) -> Trunk {
    let TrunkSettings { name, allow, always_deny, outbound_proxies, use_source_address, listen_port, transport } =
        settings;
    Trunk {
        name: name.clone(),
        allow: prefixes(allow).filter(|prefix| !is_too_wide(*prefix)).collect(),
        always_deny: prefixes(always_deny).collect(),
        outbound_proxies: outbound_proxies.iter().filter_map(|line| Proxy::read(&line.text)).collect(),
        use_source_address: *use_source_address,
        listen_port: *listen_port,
        transport: transport.clone(),
    }
}

fn prefixes(lines: &[Line]) -> impl Iterator<Item = IpNet> {
    lines.iter().filter_map(|line| Addresses::read(&line.text).ok()).flat_map(|addresses| addresses.prefixes)
}
