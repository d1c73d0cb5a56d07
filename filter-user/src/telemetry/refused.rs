//! Whose packets were dropped, where counters alone do not say.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    time::{Duration, Instant},
};

use anyhow::Result;
use filter_common::Reason;
use serde::Serialize;

use super::{Event, concerns_listed, provider};
use crate::{
    kernel,
    policy::PortSet,
    replay::{Sender, Wanted},
};

/// Over how long it is told.
const MINUTE: Duration = Duration::from_mins(1);
/// How long the ports of SIP are taken for what they were.
const PORTS_HOLD: Duration = Duration::from_secs(10);

/// What samples say of whose packets were dropped in the past minute, or would have been. Numbers are estimates.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Refused {
    /// On the deny list, though a rule lets calls of their source in.
    pub denied: u64,
    /// Counted as of listed sources, and of hosts that only own allows name, to no port of SIP: no calls.
    pub own: u64,
    /// To the ports of SIP, of sources that no rule names: scanners, or callers whose rule is gone.
    pub unlisted_sip: u64,
}

impl Refused {
    const fn since(self, then: Self) -> Self {
        Self {
            denied: self.denied.saturating_sub(then.denied),
            own: self.own.saturating_sub(then.own),
            unlisted_sip: self.unlisted_sip.saturating_sub(then.unlisted_sip),
        }
    }
}

/// Asks what runs whose packets were dropped.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    ports: Option<(Instant, PortSet)>,
    total: Refused,
    /// What the total was at each reading of the past minute.
    moments: VecDeque<(Instant, Refused)>,
}

impl Refusals {
    /// Takes note of events, each with how many packets it stands for.
    pub(super) fn count(&mut self, interface: &str, events: &[(&Event, u64)]) -> Result<()> {
        let mut by_host: BTreeMap<IpAddr, Vec<(&Event, u64)>> = BTreeMap::new();
        for (event, weight) in events {
            match event.headers.flow.sender {
                Sender::Address(host) if is_asked_about(event.reason) => {
                    by_host.entry(host).or_default().push((event, *weight));
                }
                _ => {}
            }
        }
        if !by_host.is_empty() {
            let hosts: Vec<IpAddr> = by_host.keys().copied().collect();
            let ports = self.sip_ports(interface)?.clone();
            for (rules, events) in kernel::rules_of(interface, &hosts)?.iter().zip(by_host.values()) {
                let is_provider = rules.iter().any(|rule| provider(rule).is_some());
                for (event, weight) in events {
                    let is_sip = is_sip(event.headers.flow.wanted, &ports);
                    let is_call = is_provider || is_sip && !rules.is_empty();
                    match event.reason {
                        Reason::SourceUnlisted if is_sip => self.total.unlisted_sip += weight,
                        Reason::Denied if is_call => self.total.denied += weight,
                        reason if concerns_listed(reason) && !is_call => self.total.own += weight,
                        _ => {}
                    }
                }
            }
        }
        self.moments.push_back((Instant::now(), self.total));
        // The one that a minute began with stays.
        while self.moments.get(1).is_some_and(|(at, _)| at.elapsed() >= MINUTE) {
            self.moments.pop_front();
        }
        Ok(())
    }

    /// What came to light in the past minute.
    pub(super) fn lately(&self) -> Refused {
        self.total.since(self.moments.front().map_or(self.total, |(_, then)| *then))
    }

    fn sip_ports(&mut self, interface: &str) -> Result<&PortSet> {
        let old = self.ports.take().filter(|(at, _)| at.elapsed() < PORTS_HOLD);
        let ports = match old {
            Some(ports) => ports,
            None => (Instant::now(), kernel::sip_ports(interface)?),
        };
        Ok(&self.ports.insert(ports).1)
    }
}

/// Whether it matters who sent what ended so.
fn is_asked_about(reason: Reason) -> bool {
    concerns_listed(reason) || matches!(reason, Reason::Denied | Reason::SourceUnlisted)
}

fn is_sip(wanted: Wanted, ports: &PortSet) -> bool {
    matches!(wanted, Wanted::Udp(port) | Wanted::Tcp(port) if ports.contains(port))
}
