//! Terms: sources, and what they may send.

use filter_user::policy::Policy;
use ipnet::IpNet;

use super::{Ports, rows};

/// What is let in from some sources, under one rule.
pub struct Term {
    /// `provider/service` or `allow/name`.
    pub rule: String,
    /// The provider's place in the policy; nothing for an own allow.
    pub provider: Option<usize>,
    /// What is let in.
    pub traffic: Traffic,
    /// From where.
    pub sources: Vec<IpNet>,
}

/// What a term lets in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Traffic {
    /// The IP protocol.
    pub protocol: u8,
    /// The source's and the SBC's ports; nothing where a protocol has none.
    pub ports: Option<(Ports, Ports)>,
    /// Whether the source may send first: in TCP, whether it may open connections.
    pub opening: bool,
}

impl Traffic {
    pub(super) const fn udp(source: Ports, destination: Ports) -> Self {
        Self { protocol: 17, ports: Some((source, destination)), opening: true }
    }

    /// What comes back to the SBC, which sent first.
    pub(super) const fn answers(protocol: u8, source: Ports, destination: Ports) -> Self {
        Self { protocol, ports: Some((source, destination)), opening: false }
    }

    pub(super) fn tcp_opened(destination: Ports) -> Self {
        Self { protocol: 6, ports: Some((Ports::all(), destination)), opening: true }
    }

    fn is_nothing(&self) -> bool {
        self.ports.as_ref().is_some_and(|(source, destination)| source.is_empty() || destination.is_empty())
    }
}

/// The terms of a policy as they are met when reading it: providers, then own allows.
#[derive(Default)]
pub(super) struct Terms(pub(super) Vec<Term>);

impl Terms {
    pub(super) fn new(policy: &Policy) -> Self {
        let mut terms = Self::default();
        rows::add_all(&mut terms, policy);
        terms
    }

    /// Adds sources to the term of that rule and traffic, which is one term wherever it is met.
    pub(super) fn add(&mut self, rule: &str, provider: Option<usize>, traffic: Traffic, sources: &[IpNet]) {
        if traffic.is_nothing() || sources.is_empty() {
            return;
        }
        match self.0.iter_mut().find(|term| term.rule == rule && term.traffic == traffic) {
            Some(term) => term.sources.extend_from_slice(sources),
            None => self.0.push(Term { rule: rule.to_owned(), provider, traffic, sources: sources.to_vec() }),
        }
    }
}
