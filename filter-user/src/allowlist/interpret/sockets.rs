//! Parts cells that hold an address with its port, `192.0.2.1:5060`.

use ipnet::IpNet;

/// The addresses of a cell, a line each, and the ports that all of them have; nothing where the cell holds anything else.
pub(super) fn parted(cell: &str) -> Option<(String, String)> {
    let (mut addresses, mut common) = (Vec::new(), None);
    for item in cell.split(|c: char| c.is_whitespace() || c == ',').filter(|item| !item.is_empty()) {
        let (address, ports) = item.rsplit_once(':')?;
        let is_address = address.contains('.') && (address.parse::<IpNet>().is_ok() || is_host(address));
        let is_ports =
            ports.starts_with(|c: char| c.is_ascii_digit()) && ports.chars().all(|c| c.is_ascii_digit() || c == '-');
        if !is_address || !is_ports || common.is_some_and(|common| common != ports) {
            return None;
        }
        common = Some(ports);
        addresses.push(address);
    }
    Some((addresses.join("\n"), common?.to_owned()))
}

fn is_host(address: &str) -> bool {
    address.parse::<std::net::Ipv4Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_share_their_ports_are_parted_from_them() {
        for (cell, expected) in [
            ("192.0.2.1:5060", Some(("192.0.2.1", "5060"))),
            ("192.0.2.0/24:5060, 198.51.100.1:5060", Some(("192.0.2.0/24\n198.51.100.1", "5060"))),
            ("192.0.2.0/24:10000-20000", Some(("192.0.2.0/24", "10000-20000"))),
            ("192.0.2.1:5060 192.0.2.2:5061", None),
            ("192.0.2.1", None),
            ("2001:db8::1", None),
            ("UDP/5000:65000", None),
            ("", None),
        ] {
            let parted = parted(cell);
            assert_eq!(parted.as_ref().map(|(one, two)| (one.as_str(), two.as_str())), expected, "{cell}");
        }
    }
}
