//! A second opinion: the verdict as the documentation words it, by plain loops over the policy as it was written.
//!
//! It shares nothing with the decision that it checks: frames are read by `etherparse`, prefixes compared by `ipnet`,
//! and rules are neither compiled nor indexed. Slow and obvious on purpose. Where the two differ, one of them is wrong
//! or the documentation does not say.
//!
//! A frame with several faults has the first one's reason, from the outside in; within a header in this order:
//! too short, out of place, with a field that lies, with content that no sender makes.

mod extensions;
mod link;
mod network;
mod ports;
mod rows;
mod rules;
mod terms;
mod transport;

use std::net::IpAddr;

use filter_common::Reason;
use filter_user::policy::{
    Policy,
    file::{CLASSES, Fragments},
};
use ipnet::IpNet;

use self::{link::Seen, network::Datagram, rules::Rules, transport::Transport};
pub use self::{
    ports::Ports,
    terms::{Term, Traffic},
};

/// A reason, and the name of the rule that the packet owes it to.
pub type Fate<'p> = (Reason, Option<&'p str>);

/// Judges frames by a policy.
pub struct Oracle {
    rules: Rules,
    own: Vec<IpAddr>,
    denied: Vec<IpNet>,
    martian: Vec<IpNet>,
    multicast: Vec<IpNet>,
    scope_ports: bool,
    fragments_drop: bool,
    /// The names of the classes that pass.
    passing: Vec<&'static str>,
}

impl Oracle {
    /// Judges by this policy, which must be one that compiles.
    pub fn new(policy: &Policy) -> Self {
        let file = policy.file();
        let passing = CLASSES.iter().filter(|(_, flag)| file.classes & flag != 0);
        Self {
            rules: Rules::new(policy),
            own: file.sbc.addresses.clone(),
            denied: file.denies.iter().flat_map(|deny| &deny.from).map(|(prefix, _)| *prefix).collect(),
            martian: prefixes(&[
                "0.0.0.0/8",
                "127.0.0.0/8",
                "224.0.0.0/4",
                "240.0.0.0/4",
                "::/128",
                "::1/128",
                "ff00::/8",
            ]),
            multicast: prefixes(&["224.0.0.0/4", "255.255.255.255/32", "ff00::/8"]),
            scope_ports: file.sbc.scope_ports,
            fragments_drop: file.sbc.fragments == Fragments::Drop,
            passing: passing.map(|(name, _)| *name).collect(),
        }
    }

    /// What becomes of the frame.
    pub fn judge(&self, frame: &[u8]) -> Fate<'_> {
        match link::read(frame) {
            Err(reason) => (reason, None),
            Ok(Seen::Arp) => (Reason::Arp, None),
            Ok(Seen::LinkControl) if self.passes("link_control") => (Reason::LinkControl, None),
            Ok(Seen::LinkControl | Seen::OtherEthertype) if self.scope_ports => (Reason::OutOfScope, None),
            Ok(Seen::LinkControl | Seen::OtherEthertype) => (Reason::Ethertype, None),
            Ok(Seen::Ip(datagram)) => self.judge_datagram(&datagram),
        }
    }

    /// What lets packets in, in the order in which it names them.
    pub fn terms(&self) -> &[Term] {
        self.rules.terms()
    }

    /// The prefixes of the deny list and of every always-deny list.
    pub fn denied(&self) -> impl Iterator<Item = IpNet> {
        self.denied.iter().copied().chain(self.rules.denied())
    }

    /// The SBC's own addresses.
    pub fn own(&self) -> &[IpAddr] {
        &self.own
    }

    /// The order of the verdict, stage by stage.
    fn judge_datagram(&self, datagram: &Datagram) -> Fate<'_> {
        let settled = self
            .martian(datagram)
            .or_else(|| self.link_essential(datagram))
            .or_else(|| covers(&self.denied, datagram.source).then_some(Reason::Denied))
            .or_else(|| self.icmp(datagram))
            .or_else(|| self.destination(datagram));
        match settled {
            Some(reason) => (reason, None),
            None if datagram.transport == Transport::Absent && self.fragments_drop => (Reason::FragmentRefused, None),
            None => self.rules.judge(datagram),
        }
    }

    fn martian(&self, datagram: &Datagram) -> Option<Reason> {
        if covers(&self.martian, datagram.source) && !datagram.is_sent_before_an_address() {
            return Some(Reason::MartianSource);
        }
        self.own.contains(&datagram.source).then_some(Reason::OwnSource)
    }

    fn link_essential(&self, datagram: &Datagram) -> Option<Reason> {
        let dhcp_ports = if datagram.source.is_ipv4() { (67, 68) } else { (547, 546) };
        match (datagram.protocol, &datagram.transport) {
            (_, Transport::Icmpv6(133..=136)) if datagram.hop_limit == 255 => Some(Reason::NeighborDiscovery),
            (_, Transport::Icmpv6(130..=132 | 143)) => Some(Reason::MulticastListener),
            (112, _) if self.passes("vrrp") => Some(Reason::Vrrp),
            (89, _) if self.passes("ospf") => Some(Reason::Ospf),
            (_, Transport::Udp(ports)) if self.passes("dhcp") && *ports == dhcp_ports => Some(Reason::Dhcp),
            (_, Transport::Udp((_, 3784 | 3785 | 4784))) if self.passes("bfd") => Some(Reason::Bfd),
            _ => None,
        }
    }

    /// ICMP whose fate no rule changes; in `scope = "ports"` all that is left of it passes.
    fn icmp(&self, datagram: &Datagram) -> Option<Reason> {
        let unicast = !covers(&self.multicast, datagram.destination);
        let refused = match datagram.transport {
            Transport::Icmpv4(3 | 11 | 12) | Transport::Icmpv6(1..=4) => return Some(Reason::IcmpError),
            Transport::Icmpv4(8) | Transport::Icmpv6(128) if self.passes("ping") && unicast => {
                return Some(Reason::Ping);
            }
            Transport::Icmpv4(4) => Reason::SourceQuench,
            Transport::Icmpv4(5) | Transport::Icmpv6(137) => Reason::Redirect,
            Transport::Icmpv6(133..=136) => Reason::NeighborDiscoveryHopLimit,
            _ => return None,
        };
        Some(if self.scope_ports { Reason::OutOfScope } else { refused })
    }

    fn destination(&self, datagram: &Datagram) -> Option<Reason> {
        let multicast = covers(&self.multicast, datagram.destination);
        let foreign = !self.own.is_empty() && !self.own.contains(&datagram.destination);
        if self.scope_ports {
            let judged = !multicast && !foreign && self.rules.is_own_port(datagram.transport);
            return (!judged).then_some(Reason::OutOfScope);
        }
        match (multicast, foreign) {
            (true, _) => Some(Reason::DestinationMulticast),
            (false, true) => Some(Reason::DestinationForeign),
            (false, false) => None,
        }
    }

    fn passes(&self, class: &str) -> bool {
        self.passing.contains(&class)
    }
}

fn covers(prefixes: &[IpNet], address: IpAddr) -> bool {
    prefixes.iter().any(|prefix| prefix.contains(&address))
}

fn prefixes(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().expect("a prefix")).collect()
}
