//! The policy that runs, read back from the maps.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use filter_common::{
    live::DenyEntry,
    tables::{TERMS, Tables},
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{mapped::Mapped, maps::Maps, trie};
use crate::policy::{CompiledPolicy, Cover, Outline, TermInfo, outermost};

/// A generation as the maps have it.
pub(super) struct Running {
    pub(super) tables: Box<Tables>,
    /// Ascending.
    sources: Vec<(IpNet, u32)>,
    /// Ascending.
    denied: Vec<IpNet>,
    /// The counter of each rule that ever had one.
    counters: HashMap<String, u16>,
}

impl Maps {
    /// The generation in a slot.
    pub(super) fn running(&self, slot: u32) -> Result<Running> {
        Ok(Running { denied: self.denied_by_policy(slot)?, ..self.rules_running(slot)? })
    }

    /// The generation in a slot without what it denies, which takes long to read where the deny list is large.
    pub(super) fn rules_running(&self, slot: u32) -> Result<Running> {
        let sources = self.read_sources(slot)?;
        Ok(Running { tables: self.tables_in(slot)?, sources, denied: Vec::new(), counters: self.rule_counters()? })
    }

    /// The tables of a slot.
    pub(super) fn tables_in(&self, slot: u32) -> Result<Box<Tables>> {
        let mut tables: Box<Tables> = bytemuck::zeroed_box();
        *tables = self.tables(slot)?.entries()[0];
        Ok(tables)
    }

    /// What the policy in a slot denies, ascending: what is noted, as far as the tries say so too.
    fn denied_by_policy(&self, slot: u32) -> Result<Vec<IpNet>> {
        let holder = DenyEntry::policy(slot);
        let [mut denied] = self.held_by([holder])?;
        let mut holds = Vec::with_capacity(denied.len());
        for prefix in denied.drain(..) {
            if self.denied_entry(prefix)?.holders & holder != 0 {
                holds.push(prefix);
            }
        }
        Ok(holds)
    }

    /// Whether the policy in force is this one.
    pub(super) fn is_in_force(&self, policy: &CompiledPolicy) -> Result<bool> {
        let slot = self.standing()?.slot();
        Ok(self.generation_in(slot)?.is_some() && self.running(slot)?.is(policy))
    }

    /// The counter of each rule that ever had one.
    pub(super) fn rule_counters(&self) -> Result<HashMap<String, u16>> {
        let mut counters = HashMap::new();
        for (slot, name) in (0..).zip(Mapped::new(&self.rule_names)?.entries()) {
            if let Some(name) = name.as_str() {
                counters.insert(name.to_owned(), slot);
            }
        }
        Ok(counters)
    }
}

impl Running {
    /// What it comes to.
    pub(super) fn outline(&self) -> Outline {
        let names: HashMap<u16, &str> = self.counters.iter().map(|(name, counter)| (*counter, name.as_str())).collect();
        let name = |rule| names.get(&rule).map_or_else(String::new, |name| (*name).to_owned());
        Outline::new(&self.tables, &self.sources, &self.denied, name)
    }

    /// The rules that let in something of what is covered, each with the first prefix of it.
    pub(super) fn rules_meeting(&self, cover: &Cover) -> BTreeMap<&str, IpNet> {
        let names: HashMap<u16, &str> = self.counters.iter().map(|(name, counter)| (*counter, name.as_str())).collect();
        let mut met = BTreeMap::new();
        for (source, set) in self.sources.iter().filter(|(source, _)| cover.meeting(*source).is_some()) {
            let Some(set) = self.tables.source_sets.get(*set as usize) else { continue };
            for term in (0..TERMS).filter(|term| set.contains(*term)) {
                met.entry(names.get(&self.tables.term(term).rule()).copied().unwrap_or("?")).or_insert(*source);
            }
        }
        met
    }

    /// Whether it is what this policy would be published as.
    pub(super) fn is(&self, policy: &CompiledPolicy) -> bool {
        if self.sources != policy.sources || self.denied != outermost(&policy.denied) {
            return false;
        }
        let mut expected = policy.tables.clone();
        expected.settings.generation = self.tables.settings.generation;
        let counter = |info: &TermInfo| self.counters.get(&policy.rules[info.rule].name).copied();
        let Some(rules) = policy.terms.iter().map(counter).collect::<Option<Vec<u16>>>() else { return false };
        expected.renumber(rules.into_iter().enumerate());
        bytemuck::bytes_of(&*expected) == bytemuck::bytes_of(&*self.tables)
    }
}

/// The prefix of a key.
pub(super) fn prefix<const N: usize>(key: trie::Key<N>) -> Result<IpNet> {
    let length = u8::try_from(key.prefix_len())?;
    let octets = key.data();
    Ok(match <[u8; 4]>::try_from(octets.as_slice()) {
        Ok(octets) => Ipv4Net::new(octets.into(), length)?.into(),
        Err(_) => Ipv6Net::new(<[u8; 16]>::try_from(octets.as_slice())?.into(), length)?.into(),
    })
}
