//! A policy that the host judges packets by, with no kernel.

use std::net::IpAddr;

use filter_common::{
    Address, Policy,
    live::{Allowance, LiveQuery, LiveSet},
    source_index::source_set,
    tables::{TERMS, Tables},
};
use ipnet::IpNet;
use prefix_trie::joint::{JointPrefixMap, JointPrefixSet};

use super::{CompiledPolicy, HostIndex, IndexRoom, LiveTables};

/// The tables and tries of a compiled policy in memory.
#[derive(Clone)]
pub struct HostPolicy {
    tables: Box<Tables>,
    sources: JointPrefixMap<IpNet, u32>,
    /// In front of `sources`, as in the kernel.
    index: HostIndex,
    denied: JointPrefixSet<IpNet>,
    live: Option<HostLive>,
}

/// The live allows in memory.
#[derive(Clone)]
struct HostLive {
    sources: JointPrefixMap<IpNet, LiveSet>,
    tables: Box<LiveTables>,
    now: u64,
}

impl HostPolicy {
    /// A policy whose verdicts name places in [`CompiledPolicy::rules`].
    pub fn new(compiled: &CompiledPolicy) -> Self {
        Self::of_parts(compiled.tables.clone(), compiled.sources.clone(), compiled.denied.iter().copied())
    }

    /// A policy of these parts: tables, the source trie, whose prefixes ascend, and what is denied.
    pub(crate) fn of_parts(
        tables: Box<Tables>,
        sources: Vec<(IpNet, u32)>,
        denied: impl IntoIterator<Item = IpNet>,
    ) -> Self {
        let index = HostIndex::new(&sources, IndexRoom::MOST);
        Self { tables, sources: sources.into_iter().collect(), index, denied: denied.into_iter().collect(), live: None }
    }

    /// The policy with these live allows beside it. `now`: the monotonic clock in nanoseconds, by which they end.
    #[must_use]
    pub fn with_live(self, tables: LiveTables, now: u64) -> Self {
        let sources = tables.sources.iter().copied().collect();
        Self { live: Some(HostLive { sources, tables: Box::new(tables), now }), ..self }
    }

    /// The same policy, but its verdicts name places in [`CompiledPolicy::terms`] where those of others name rules.
    pub(super) fn naming_terms(compiled: &CompiledPolicy) -> Self {
        let mut policy = Self::new(compiled);
        policy.tables.renumber((0..TERMS).zip(0..));
        policy
    }
}

impl Policy for HostPolicy {
    fn tables(&self) -> &Tables {
        &self.tables
    }

    fn source_set(&self, source: Address) -> u32 {
        source_set(&self.index, source, || self.sources.get_lpm(&host(source)).map_or(0, |(_, set)| *set))
    }

    fn is_denied(&self, source: Address) -> bool {
        self.denied.get_lpm(&host(source)).is_some()
    }

    fn live_allow(&self, source: Address, query: LiveQuery) -> Allowance {
        let Some(live) = &self.live else { return Allowance::None };
        let set = live.sources.get_lpm(&host(source)).map_or_else(LiveSet::default, |(_, set)| *set);
        live.tables.terms.judge(set, query, live.now)
    }

    fn has_live_entries(&self) -> bool {
        self.live.is_some() || self.denied.iter().next().is_some()
    }
}

fn host(address: Address) -> IpNet {
    IpNet::from(IpAddr::from(address))
}
