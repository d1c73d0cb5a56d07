//! How a host is joined to the core, as lines for `ip -batch`.

use std::fmt::Write as _;

use ipnet::IpNet;

use crate::{Host, Plan};

/// The link between a host and the core.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link<'a> {
    /// Its number in the lab, from 1: link addresses derive from it.
    pub(crate) number: u8,
    pub(crate) plan: &'a Plan,
}

/// An end of a link.
#[derive(Clone, Copy)]
enum End {
    Core = 1,
    Host = 2,
}

/// An interface hands on what it receives packet by packet: a tap must see what was on the wire.
const UNMERGED: &str = "gro_max_size 1";

impl Link<'_> {
    /// For the core: the pair itself.
    pub(crate) fn veth(self, host: &Host) -> String {
        let interface = self.core_interface();
        let [near, far] = [host.gateway_mac(), host.mac()].map(text);
        let namespace = host.namespace();
        format!("link add dev {interface} address {near} type veth peer name eth0 address {far} netns {namespace}\n")
    }

    /// For the host: its addresses, and the way to all others.
    pub(crate) fn host_side(self) -> String {
        let mut lines = up("eth0", self.number, End::Host);
        for address in &self.plan.addresses {
            // A network is borne as a whole: every address in it is local.
            let _ = if is_single(address) {
                writeln!(lines, "address add {address} dev eth0 nodad")
            } else {
                writeln!(lines, "route add local {address} dev lo")
            };
        }
        for (probe, gateway) in ["0.0.0.0/0", "::/0"].into_iter().zip(transit(self.number, End::Core)) {
            let source = self.plan.addresses.iter().find(|net| is_single(net) && probe.contains(':') == is_ipv6(net));
            let source = source.map_or_else(String::new, |net| format!(" src {}", net.addr()));
            let _ = writeln!(lines, "route add {probe} via {gateway} dev eth0{source}");
        }
        lines
    }

    /// For the core: the way to the host's addresses.
    pub(crate) fn core_side(self) -> String {
        let interface = self.core_interface();
        let mut lines = up(&interface, self.number, End::Core);
        let [ipv4, ipv6] = transit(self.number, End::Host);
        for address in &self.plan.addresses {
            let host = if is_ipv6(address) { &ipv6 } else { &ipv4 };
            let _ = writeln!(lines, "route add {address} via {host} dev {interface}");
        }
        lines
    }

    fn core_interface(self) -> String {
        format!("to-{}", self.plan.name)
    }
}

fn text(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

fn up(interface: &str, number: u8, end: End) -> String {
    let [ipv4, ipv6] = transit(number, end);
    format!(
        "address add {ipv4}/30 dev {interface}\n\
         address add {ipv6}/64 dev {interface} nodad\n\
         link set dev {interface} {UNMERGED} up\n"
    )
}

/// The addresses of one end of a link, IPv4 and IPv6: private ones, which no allowlist names.
fn transit(number: u8, end: End) -> [String; 2] {
    let end = end as u8;
    [format!("172.31.{number}.{end}"), format!("fd00:0:0:{number:x}::{end}")]
}

fn is_single(net: &IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len()
}

fn is_ipv6(net: &IpNet) -> bool {
    matches!(net, IpNet::V6(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_bears_single_addresses_and_whole_networks() {
        let nets = ["198.51.100.0/24", "203.0.113.7/32", "2001:db8::7/128"];
        let plan = Plan::new("caller", nets.map(|net| net.parse().unwrap()));
        let link = Link { number: 10, plan: &plan };
        assert_eq!(
            link.host_side(),
            "address add 172.31.10.2/30 dev eth0\n\
             address add fd00:0:0:a::2/64 dev eth0 nodad\n\
             link set dev eth0 gro_max_size 1 up\n\
             route add local 198.51.100.0/24 dev lo\n\
             address add 203.0.113.7/32 dev eth0 nodad\n\
             address add 2001:db8::7/128 dev eth0 nodad\n\
             route add 0.0.0.0/0 via 172.31.10.1 dev eth0 src 203.0.113.7\n\
             route add ::/0 via fd00:0:0:a::1 dev eth0 src 2001:db8::7\n"
        );
        assert_eq!(
            link.core_side(),
            "address add 172.31.10.1/30 dev to-caller\n\
             address add fd00:0:0:a::1/64 dev to-caller nodad\n\
             link set dev to-caller gro_max_size 1 up\n\
             route add 198.51.100.0/24 via 172.31.10.2 dev to-caller\n\
             route add 203.0.113.7/32 via 172.31.10.2 dev to-caller\n\
             route add 2001:db8::7/128 via fd00:0:0:a::2 dev to-caller\n"
        );
    }
}
