//! A policy that the host judges packets by, with no kernel.

use std::net::IpAddr;

use filter_common::{Address, Policy, tables::Tables};
use ipnet::IpNet;
use prefix_trie::joint::{JointPrefixMap, JointPrefixSet};

use super::CompiledPolicy;

/// The tables and tries of a compiled policy in memory.
#[derive(Clone)]
pub struct HostPolicy {
    tables: Box<Tables>,
    sources: JointPrefixMap<IpNet, u32>,
    denied: JointPrefixSet<IpNet>,
}

impl HostPolicy {
    /// A policy whose verdicts name places in [`CompiledPolicy::rules`].
    pub fn new(compiled: &CompiledPolicy) -> Self {
        Self {
            tables: compiled.tables.clone(),
            sources: compiled.sources.iter().copied().collect(),
            denied: compiled.denied.iter().copied().collect(),
        }
    }

    /// The same policy, but its verdicts name places in [`CompiledPolicy::terms`] where those of others name rules.
    pub(super) fn naming_terms(compiled: &CompiledPolicy) -> Self {
        let mut policy = Self::new(compiled);
        for (place, term) in (0..).zip(policy.tables.term_rules.iter_mut()) {
            *term = place;
        }
        policy
    }
}

impl Policy for HostPolicy {
    fn tables(&self) -> &Tables {
        &self.tables
    }

    fn source_set(&self, source: Address) -> u32 {
        self.sources.get_lpm(&host(source)).map_or(0, |(_, set)| *set)
    }

    fn is_denied(&self, source: Address) -> bool {
        self.denied.get_lpm(&host(source)).is_some()
    }
}

fn host(address: Address) -> IpNet {
    IpNet::from(IpAddr::from(address))
}
