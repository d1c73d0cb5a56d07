//! The SBC's own ports: where it listens, and where answers come back to.

use filter_common::packet::ip;

use crate::{
    allowlist::Service,
    policy::{
        PortSet,
        file::{Listen, PolicyFile, Provider},
    },
};

/// Ports of UDP and TCP.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Ports {
    pub(in crate::policy) udp: PortSet,
    pub(in crate::policy) tcp: PortSet,
}

impl Ports {
    /// The transport that a listening service uses.
    fn of_service(&mut self, service: Service) -> &mut PortSet {
        match service {
            Service::SipUdp | Service::Media => &mut self.udp,
            _ => &mut self.tcp,
        }
    }

    /// The ports of the protocol, if it is one that has ports.
    pub(in crate::policy) const fn of_protocol(&self, protocol: u8) -> Option<&PortSet> {
        match protocol {
            ip::UDP => Some(&self.udp),
            ip::TCP => Some(&self.tcp),
            _ => None,
        }
    }
}

/// The SBC's ports over the whole policy.
pub(in crate::policy) struct OwnPorts<'p> {
    listen: &'p Listen,
    none: PortSet,
    /// SIP and media ports, those of the trunks too.
    pub(in crate::policy) service: Ports,
    /// Where answers come back to: the reply ports less every listening port of the protocol.
    pub(in crate::policy) replies: Ports,
}

impl<'p> OwnPorts<'p> {
    pub(in crate::policy) fn new(file: &'p PolicyFile) -> Self {
        let trunks = file.providers.iter().filter_map(|provider| provider.trunk.as_ref()?.listen.as_ref());
        let mut service = Ports::default();
        for (kind, ports) in trunks.chain([&file.listen]).flat_map(|listen| &listen.0) {
            let all = service.of_service(*kind);
            *all = all.union(&ports.value);
        }
        let mut listening = service.clone();
        for allow in &file.allows {
            listening.udp = listening.udp.union(&allow.udp);
            listening.tcp = listening.tcp.union(&allow.tcp);
        }
        let reply_ports = &file.sbc.reply_ports;
        let replies = Ports { udp: reply_ports.without(&listening.udp), tcp: reply_ports.without(&listening.tcp) };
        Self { listen: &file.listen, none: PortSet::default(), service, replies }
    }

    /// The ports as this provider sees them.
    pub(in crate::policy) fn of_provider<'a>(&'a self, provider: &'a Provider) -> ProviderPorts<'a> {
        ProviderPorts {
            listen: self.listen,
            none: &self.none,
            trunk_listen: provider.trunk.as_ref().and_then(|trunk| trunk.listen.as_ref()),
            replies: &self.replies,
            media_from_any_port: provider.media_from_any_port,
        }
    }
}

/// The SBC's ports as one provider sees them.
pub(in crate::policy) struct ProviderPorts<'p> {
    listen: &'p Listen,
    none: &'p PortSet,
    trunk_listen: Option<&'p Listen>,
    pub(super) replies: &'p Ports,
    pub(super) media_from_any_port: bool,
}

impl ProviderPorts<'_> {
    /// The ports on which the provider's `service` is taken; nothing if the policy does not say.
    ///
    /// A trunk's `listen` replaces the SIP keys of `[sbc.listen]` as a whole.
    pub(in crate::policy) fn listening(&self, service: Service) -> Option<&PortSet> {
        match self.trunk_listen {
            Some(listen) if Listen::SIP.contains(&service) => Some(listen.ports(service).unwrap_or(self.none)),
            _ => self.listen.ports(service),
        }
    }
}
