//! What a policy file says, checked but not yet compiled.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use filter_common::tables::{Limits, Rate, flags};
use ipnet::IpNet;

use super::source::is_url;
use crate::{
    allowlist::Service,
    policy::{Origin, PacketRate, PortSet},
};

/// A policy file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyFile {
    /// The file, as it was named.
    pub name: Arc<str>,
    /// `[sbc]`.
    pub sbc: Sbc,
    /// `[sbc.listen]`.
    pub listen: Listen,
    /// `[classes]`: the set of [`flags`] of the classes that pass.
    pub classes: u32,
    /// `[limits]`.
    pub limits: LimitRates,
    /// `[inspect]`.
    pub inspect: Inspections,
    /// `[[provider]]`.
    pub providers: Vec<Provider>,
    /// `[[allow]]`.
    pub allows: Vec<OwnAllow>,
    /// `[[deny]]`.
    pub denies: Vec<Deny>,
}

/// A value and the line of the policy file that it stands on, from 1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// The line.
    pub line: u32,
}

impl PolicyFile {
    /// The ports of SIP, assigned ones and those that this host or a trunk of it listens on.
    pub fn sip_ports(&self) -> PortSet {
        let trunks = self.providers.iter().filter_map(|provider| provider.trunk.as_ref()?.listen.as_ref());
        let ports = trunks.chain([&self.listen]).flat_map(|listen| &listen.0);
        let sip = ports.filter(|(service, _)| {
            matches!(service, Service::SipUdp | Service::SipTcp | Service::SipTls | Service::SipWss)
        });
        sip.fold(PortSet::between(5060..=5061), |all, (_, ports)| all.union(&ports.value))
    }
}

/// The SBC itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sbc {
    /// The interfaces to filter.
    pub interfaces: Vec<String>,
    /// `mode = "monitor"`: drops are counted, not carried out.
    pub monitor: bool,
    /// `scope = "ports"`: only the SBC's own SIP and media ports are judged.
    pub scope_ports: bool,
    /// `fragments`: what becomes of later fragments.
    pub fragments: Fragments,
    /// `return_traffic = "tracked"`: answers to what this host sends are let in.
    pub return_traffic: bool,
    /// The SBC's own addresses; empty: any.
    pub addresses: Vec<IpAddr>,
    /// Where `addresses` stands; 0 if it does not.
    pub addresses_line: u32,
    /// The ports from which the SBC opens connections.
    pub reply_ports: PortSet,
}

/// What becomes of later fragments.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Fragments {
    /// They pass from listed sources.
    #[default]
    Listed,
    /// They pass if their first one did.
    Tracked,
    /// They are dropped.
    Drop,
}

/// `[limits]`: how much of what each source may send; nothing: no limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LimitRates {
    /// Datagrams of SIP over UDP.
    pub sip: Option<PacketRate>,
    /// New TCP connections.
    pub tcp: Option<PacketRate>,
    /// ICMP errors and echo requests.
    pub icmp: Option<PacketRate>,
}

impl LimitRates {
    /// The limits as the tables have them.
    pub fn table(self) -> Limits {
        let rate = |rate: Option<PacketRate>| rate.map_or_else(Rate::default, PacketRate::table);
        Limits { sip: rate(self.sip), tcp: rate(self.tcp), icmp: rate(self.icmp) }
    }
}

impl Default for LimitRates {
    /// What no provider's signalling reaches: a source that opens 300 calls a second sends about 1,500 SIP datagrams.
    fn default() -> Self {
        let rate = |per_second| Some(PacketRate { per_second, burst: 2 * per_second });
        Self { sip: rate(2000), tcp: rate(200), icmp: rate(100) }
    }
}

/// `[inspect]`: what is looked into, and what comes of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Inspections {
    /// SIP over UDP.
    pub sip: Inspection,
    /// Media.
    pub media: Inspection,
}

/// What comes of a first octet that does not belong there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Inspection {
    /// Nothing is looked at.
    #[default]
    Off,
    /// It is counted.
    Count,
    /// The datagram is dropped.
    Enforce,
}

/// The ports on which the SBC takes what providers open, by service.
///
/// A service that is off has an empty set; one that the file does not mention is absent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Listen(pub BTreeMap<Service, Located<PortSet>>);

/// A provider.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Provider {
    /// Its name, the first part of its rules' names.
    pub name: Located<String>,
    /// A built-in allowlist or a path relative to the policy file; with `source`, what stands there.
    pub allowlist: Option<Located<String>>,
    /// How `allowlist` is refreshed, if it is a `source`.
    pub source: Option<Source>,
    /// The regions to take from the allowlist; empty: all.
    pub regions: Vec<Located<String>>,
    /// What runs at the addresses of entries that do not say.
    pub services: Vec<Service>,
    /// `media_source_ports = "any"`: media may come from other ports than the provider publishes.
    pub media_from_any_port: bool,
    /// `t38 = true`: its media can be T.38, which begins with any octet and is not inspected.
    pub t38: bool,
    /// The trunk's SIP access control.
    pub trunk: Option<Trunk>,
}

/// How the document at a URL or path is refreshed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Source {
    /// How long an answer holds.
    pub refresh: Duration,
    /// How many of a hundred prefixes may be gone from a new document.
    pub max_shrink: u8,
    /// How long what is gone from the document stays allowed.
    pub grace: Duration,
    /// Whether the document's host names are resolved.
    pub resolve: bool,
}

/// A trunk's SIP access control.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trunk {
    /// The SIP ports that stand in place of `[sbc.listen]` for this provider.
    pub listen: Option<Listen>,
    /// Who may call.
    pub allow: Vec<Located<IpNet>>,
    /// Who may not, whatever else allows it.
    pub always_deny: Vec<Located<IpNet>>,
    /// The provider's SIP servers and proxies, which may call too.
    pub outbound_proxies: Vec<Located<Proxy>>,
    /// `use_source_address`: the packet's source decides, not the Via header.
    pub use_source_address: Located<bool>,
}

/// A SIP server or proxy of a provider.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Proxy {
    /// Its address.
    pub address: IpAddr,
    /// The port that it answers from; none: the usual ones.
    pub port: Option<u16>,
}

/// Something else that this host needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OwnAllow {
    /// Its name, the second part of its rule's name.
    pub name: Located<String>,
    /// The sources.
    pub from: Vec<Located<IpNet>>,
    /// The TCP ports of this host that they may open.
    pub tcp: PortSet,
    /// The UDP ports of this host.
    pub udp: PortSet,
    /// IP protocols.
    pub protocols: Vec<u8>,
}

/// Sources from which nothing is let in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deny {
    /// Its name.
    pub name: Located<String>,
    /// The sources, each with where it stands.
    pub from: Vec<(IpNet, Origin)>,
    /// The file that some of them stand in.
    pub file: Option<PathBuf>,
}

impl PolicyFile {
    /// The directory that its paths are relative to.
    pub fn folder(&self) -> &Path {
        Path::new(&*self.name).parent().unwrap_or_else(|| Path::new(""))
    }

    /// Every file that the policy is made from, itself the first; the name of a built-in allowlist stands for none.
    pub fn files(&self) -> Vec<PathBuf> {
        let named = self.providers.iter().filter_map(|provider| provider.allowlist.as_ref());
        let named = named.filter(|name| !is_url(&name.value)).map(|name| self.folder().join(&name.value));
        let denied = self.denies.iter().filter_map(|deny| deny.file.clone());
        std::iter::once(PathBuf::from(&*self.name)).chain(named).chain(denied).collect()
    }
}

impl Listen {
    /// The services that have listening ports of their own.
    pub const SIP: [Service; 4] = [Service::SipUdp, Service::SipTcp, Service::SipTls, Service::SipWss];

    /// The ports of a service; nothing if the file does not mention it.
    pub fn ports(&self, service: Service) -> Option<&PortSet> {
        self.0.get(&service).map(|ports| &ports.value)
    }
}

impl Default for Sbc {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            monitor: false,
            scope_ports: false,
            fragments: Fragments::default(),
            return_traffic: false,
            addresses: Vec::new(),
            addresses_line: 0,
            // Everything above the well-known ports (RFC 6335, section 6).
            reply_ports: PortSet::between(1024..=65535),
        }
    }
}

impl Sbc {
    /// The mode's name in the policy file.
    pub const fn mode(&self) -> &'static str {
        if self.monitor { "monitor" } else { "enforce" }
    }

    /// The scope's name in the policy file.
    pub const fn scope(&self) -> &'static str {
        if self.scope_ports { "ports" } else { "interface" }
    }
}

/// The keys of `[classes]` with the flag of each.
pub const CLASSES: [(&str, u32); 6] = [
    ("link_control", flags::LINK_CONTROL),
    ("dhcp", flags::DHCP),
    ("vrrp", flags::VRRP),
    ("ospf", flags::OSPF),
    ("bfd", flags::BFD),
    ("ping", flags::PING),
];

/// The classes that pass unless the policy says otherwise.
pub const DEFAULT_CLASSES: u32 = flags::LINK_CONTROL;
