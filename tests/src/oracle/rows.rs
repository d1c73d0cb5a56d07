//! From rows of a provider's document, trunks and own allows to terms: the table of the ingress match per kind of row.

use filter_user::{
    allowlist::{Allowlist, Entry, Protocol, Service},
    policy::{
        Policy,
        file::{Listen, OwnAllow, PolicyFile, Provider, Trunk},
    },
};
use ipnet::IpNet;

use super::{
    Ports,
    terms::{Terms, Traffic},
};

const SIP: [Service; 4] = [Service::SipUdp, Service::SipTcp, Service::SipTls, Service::SipWss];

pub(super) fn add_all(terms: &mut Terms, policy: &Policy) {
    let file = policy.file();
    let replies = Replies { udp: reply_ports(file, true), tcp: reply_ports(file, false) };
    for (place, (provider, allowlist)) in policy.providers().enumerate() {
        let view = View { place, provider, file, replies: &replies };
        if let Some(allowlist) = allowlist {
            view.add_rows(terms, allowlist);
        }
        if let Some(trunk) = &provider.trunk {
            view.add_trunk(terms, trunk);
        }
    }
    for allow in &file.allows {
        add_own_allow(terms, allow);
    }
}

/// Where answers come back to.
struct Replies {
    udp: Ports,
    tcp: Ports,
}

/// SIP over UDP and media listen on UDP, the other services on TCP.
const fn is_udp(service: Service) -> bool {
    matches!(service, Service::SipUdp | Service::Media)
}

/// The SBC's own SIP and media ports of UDP or TCP, those of the trunks too.
pub(super) fn service_ports(file: &PolicyFile, udp: bool) -> Ports {
    let trunks = file.providers.iter().filter_map(|provider| provider.trunk.as_ref()?.listen.as_ref());
    let listening = trunks.chain([&file.listen]).flat_map(|Listen(services)| services);
    let listening = listening.filter(|(service, _)| is_udp(**service) == udp);
    listening.fold(Ports::default(), |all, (_, ports)| all.and(&(&ports.value).into()))
}

/// `reply_ports` less every listening port of that protocol: `[sbc.listen]`, trunks, own allows.
fn reply_ports(file: &PolicyFile, udp: bool) -> Ports {
    let allows = file.allows.iter().map(|allow| if udp { &allow.udp } else { &allow.tcp });
    let listening = allows.fold(service_ports(file, udp), |all, ports| all.and(&ports.into()));
    Ports::from(&file.sbc.reply_ports).without(&listening)
}

/// A provider, and the policy as it concerns it.
struct View<'p> {
    place: usize,
    provider: &'p Provider,
    file: &'p PolicyFile,
    replies: &'p Replies,
}

impl View<'_> {
    fn add(&self, terms: &mut Terms, service: &str, traffic: Traffic, sources: &[IpNet]) {
        terms.add(&format!("{}/{service}", self.provider.name.value), Some(self.place), traffic, sources);
    }

    /// The SBC's ports of a service: a trunk's `listen` stands in place of the SIP keys of `[sbc.listen]`.
    fn listening(&self, service: Service) -> Ports {
        let trunk = self.provider.trunk.as_ref().and_then(|trunk| trunk.listen.as_ref());
        let listen = trunk.filter(|_| SIP.contains(&service)).unwrap_or(&self.file.listen);
        listen.0.get(&service).map_or_else(Ports::default, |ports| (&ports.value).into())
    }

    fn add_rows(&self, terms: &mut Terms, allowlist: &Allowlist) {
        for entry in allowlist.entries.iter().filter(|entry| self.is_chosen(entry)) {
            let stated = [entry.service];
            let services = if entry.service == Service::Unspecified { &*self.provider.services } else { &stated };
            for service in services {
                for traffic in self.row(*service, entry) {
                    self.add(terms, service.name(), traffic, &entry.remote);
                }
            }
        }
    }

    fn is_chosen(&self, entry: &Entry) -> bool {
        let wanted: Vec<_> = self.provider.regions.iter().map(|region| region.value.to_lowercase()).collect();
        let chosen = entry.regions.iter().any(|region| wanted.contains(&region.to_lowercase()));
        wanted.is_empty() || entry.regions.is_empty() || chosen
    }

    /// What a row lets in.
    fn row(&self, service: Service, entry: &Entry) -> Vec<Traffic> {
        let published = entry.remote_ports.iter().map(|range| (range.first().into(), range.last().into())).collect();
        let published = if entry.remote_ports.is_empty() { Ports::all() } else { Ports::new(published) };
        let (udp, tcp) = (entry.protocol != Protocol::Tcp, entry.protocol != Protocol::Udp);
        match service {
            Service::SipUdp => vec![Traffic::udp(Ports::all(), self.listening(service))],
            Service::SipTcp | Service::SipTls | Service::SipWss => vec![
                Traffic::tcp_opened(self.listening(service)),
                Traffic::answers(6, published, self.replies.tcp.clone()),
            ],
            Service::Media if udp => {
                let lifted = self.provider.media_from_any_port;
                vec![Traffic::udp(if lifted { Ports::all() } else { published }, self.listening(service))]
            }
            Service::Turn => {
                let media = self.listening(Service::Media);
                let relayed = Traffic::udp(Ports::of(1024..=65535), media.clone());
                self.answers(&published, udp, tcp, &media).into_iter().chain([relayed]).collect()
            }
            // A row of HTTPS that does not say which protocol means TCP.
            Service::Https if tcp => self.answers(&published, false, true, &Ports::default()),
            _ => self.answers(&published, udp, tcp, &Ports::default()),
        }
    }

    /// Answers from these ports to the reply ports, of UDP also to `more`; never an opening segment.
    fn answers(&self, from: &Ports, udp: bool, tcp: bool, more: &Ports) -> Vec<Traffic> {
        let udp = udp.then(|| Traffic::answers(17, from.clone(), self.replies.udp.and(more)));
        let tcp = tcp.then(|| Traffic::answers(6, from.clone(), self.replies.tcp.clone()));
        udp.into_iter().chain(tcp).collect()
    }

    fn add_trunk(&self, terms: &mut Terms, trunk: &Trunk) {
        let allowed: Vec<_> = trunk.allow.iter().map(|prefix| prefix.value).collect();
        let proxies: Vec<_> = trunk.outbound_proxies.iter().map(|proxy| IpNet::from(proxy.value.address)).collect();
        let callers = [allowed.clone(), proxies].concat();
        for service in SIP {
            let own = self.listening(service);
            let udp = is_udp(service);
            let traffic = if udp { Traffic::udp(Ports::all(), own) } else { Traffic::tcp_opened(own) };
            self.add(terms, service.name(), traffic, &callers);
        }
        let mut replies = |from: Ports, sources: &[IpNet]| {
            self.add(terms, "sip-reply", Traffic::answers(6, from, self.replies.tcp.clone()), sources);
        };
        replies(Ports::of(5060..=5061), &allowed);
        for proxy in &trunk.outbound_proxies {
            let from = proxy.value.port.map_or(5060..=5061, |port| port..=port);
            replies(Ports::of(from), &[proxy.value.address.into()]);
        }
    }
}

fn add_own_allow(terms: &mut Terms, allow: &OwnAllow) {
    let sources: Vec<_> = allow.from.iter().map(|prefix| prefix.value).collect();
    let name = format!("allow/{}", allow.name.value);
    let mut add = |traffic| terms.add(&name, None, traffic, &sources);
    add(Traffic::tcp_opened((&allow.tcp).into()));
    add(Traffic::udp(Ports::all(), (&allow.udp).into()));
    for protocol in &allow.protocols {
        add(match protocol {
            6 => Traffic::tcp_opened(Ports::all()),
            17 => Traffic::udp(Ports::all(), Ports::all()),
            _ => Traffic { protocol: *protocol, ports: None, opening: false },
        });
    }
}
