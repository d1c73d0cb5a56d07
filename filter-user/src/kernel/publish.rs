//! Publishing: a compiled policy becomes the generation in force, all at once.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail};
use filter_common::{GenerationInfo, Name, RULE_COUNTERS, tables::Switch};
use ipnet::IpNet;

use super::{
    mapped::Mapped,
    maps::{Maps, Value},
    slots::Slots,
};
use crate::{fault, policy::CompiledPolicy};

/// What became of a published policy.
pub(super) struct Published {
    pub(super) generation: u64,
    /// The counter of each rule, in the policy's order.
    pub(super) counters: Vec<u16>,
}

impl Maps {
    /// Makes `policy` the generation in force; with `confirm_within`, until that time is over, unless it is confirmed.
    ///
    /// Everything is written into a slot that no packet looks at; the switch is written last.
    pub(super) fn publish(
        &mut self,
        policy: &CompiledPolicy,
        name: &str,
        confirm_within: Option<Duration>,
    ) -> Result<Published> {
        let generation = self.last_generation()? + 1;
        let slot = self.standing()?.free_slot();
        self.await_slot(Slots::Policies, slot)?;
        fault::step();
        self.write_sources(slot, &policy.sources)?;
        let counters = self.assign_counters(policy.rules.iter().map(|rule| rule.name.as_str()))?;
        self.write_tables(slot, generation, policy, &counters)?;
        fault::step();
        self.generation_info.set(slot, Value(describe(generation, policy, name)?), 0)?;
        self.deny_by_policy(slot, &policy.denied)?;
        // The time to confirm begins when all else is written.
        let standing = self.standing()?;
        fault::step();
        self.trials.set(slot, Value(standing.trial(confirm_within)?), 0)?;
        fault::step();
        let switch = standing.switch.to(slot, confirm_within.is_some());
        self.set_switch(switch).context("cannot switch to the new policy")?;
        let trial = self.standing()?.trial;
        let fallback = if trial.is_pending() { trial.fallback } else { slot };
        self.note_slots(Slots::Policies, &[slot, fallback])?;
        Ok(Published { generation, counters })
    }

    /// Whether packets look at a list: one of [`lists`](filter_common::tables::lists).
    pub(super) fn use_list(&mut self, list: u32, used: bool) -> Result<()> {
        let switch = self.switch()?;
        let lists = if used { switch.lists | list } else { switch.lists & !list };
        if lists != switch.lists {
            fault::step();
            self.set_switch(Switch { lists, ..switch })?;
        }
        Ok(())
    }

    /// The counter of each rule. A rule that was there before keeps its own.
    pub(super) fn assign_counters<'a>(&mut self, rules: impl Iterator<Item = &'a str>) -> Result<Vec<u16>> {
        let mut taken = HashMap::new();
        let mut free = Vec::new();
        for (slot, name) in (0..RULE_COUNTERS).zip(Mapped::new(&self.rule_names)?.entries()).rev() {
            match name.as_str() {
                Some(name) => drop(taken.insert(name.to_owned(), slot)),
                None => free.push(slot),
            }
        }
        let mut counters = Vec::new();
        for rule in rules {
            let slot = match taken.get(rule) {
                Some(slot) => *slot,
                None => self.name_counter(&mut free, rule)?,
            };
            counters.push(u16::try_from(slot)?);
        }
        Ok(counters)
    }

    fn name_counter(&mut self, free: &mut Vec<u32>, rule: &str) -> Result<u32> {
        let Some(slot) = free.pop() else {
            bail!(
                "no counter is left for the rule `{rule}`: {RULE_COUNTERS} rules have had one since the filter was \
                 attached\nhint: `sipwall detach` and `attach` again"
            );
        };
        let name = Name::new(rule).with_context(|| format!("the rule name `{rule}` is longer than 63 octets"))?;
        fault::step();
        self.rule_names.set(slot, Value(name), 0)?;
        Ok(slot)
    }

    fn write_tables(&mut self, slot: u32, generation: u64, policy: &CompiledPolicy, counters: &[u16]) -> Result<()> {
        fault::step();
        let mut written = self.tables(slot)?;
        let tables = &mut written.entries()[0];
        *tables = *policy.tables;
        tables.settings.generation = generation;
        tables.renumber(policy.terms.iter().map(|info| counters[info.rule]).enumerate());
        Ok(())
    }
}

/// What is recorded of a generation.
fn describe(generation: u64, policy: &CompiledPolicy, name: &str) -> Result<GenerationInfo> {
    let v4 = policy.sources.iter().filter(|(prefix, _)| matches!(prefix, IpNet::V4(_))).count();
    Ok(GenerationInfo {
        generation,
        flags: policy.tables.settings.knobs.0,
        rules: u32::try_from(policy.rules.len())?,
        published_at: SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
        prefixes_v4: u32::try_from(v4)?,
        prefixes_v6: u32::try_from(policy.sources.len() - v4)?,
        denied: u32::try_from(policy.denied.len())?,
        reserved: 0,
        policy: Name::new(name).with_context(|| format!("the name `{name}` is longer than 63 octets"))?,
    })
}
