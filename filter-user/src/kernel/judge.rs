//! What the filter that runs does with a packet, from its maps alone.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use filter_common::{
    Action, Reason, Stateless, Verdict, decide,
    live::{DenyEntry, NESTED_DENIES, lists_that_hold},
    packet::{self, Content},
    tables::{Limits, flags},
};
use ipnet::IpNet;
use serde::{Serialize, Serializer};

use super::{
    deny::DeniedPrefix,
    live::LiveEntry,
    maps::Maps,
    pins::Pins,
    standing,
    trie::{self, Denied, Place, Sources},
};
use crate::policy::HostPolicy;

/// What the filter on an interface does with a packet now, and what that is owed to.
#[derive(Clone, Debug, Serialize)]
pub struct Judgement {
    /// The interface.
    pub interface: String,
    /// The number of the policy in force; 0 where none is.
    pub generation: u64,
    /// What becomes of the packet, whatever the mode.
    #[serde(serialize_with = "action")]
    pub action: Action,
    /// The rule that lets it in.
    pub rule: Option<String>,
    /// Why.
    #[serde(serialize_with = "reason")]
    pub reason: Reason,
    /// Whether drops are only counted.
    pub monitor: bool,
    /// The live allow that lets it in, where the policy does not.
    pub live_allow: Option<LiveEntry>,
    /// The denied prefix that it falls under.
    pub denied: Option<DeniedPrefix>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn action<S: Serializer>(action: &Action, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(action.name())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn reason<S: Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reason.name())
}

/// Judges a frame by what runs on `interface`. Rates, and what depends on earlier packets, do not count.
///
/// # Errors
/// If no filter is attached there, or its maps cannot be read.
pub fn judge(interface: &str, frame: &[u8]) -> Result<Judgement> {
    let maps = Maps::open(Pins::attached(interface)?.directory())?;
    let slot = maps.standing()?.slot();
    let Some(info) = maps.generation_in(slot)? else {
        return Ok(Judgement::new(interface, 0, Verdict::of(Reason::NoPolicy)));
    };
    let now = standing::now();
    let source = source(frame);
    let denied = source.map(|source| maps.denied_prefix(source, slot, now)).transpose()?.flatten();
    let policy = maps.policy_for(source, slot, denied)?;
    let live = maps.live_tables()?;
    let by_policy = decide(frame, &policy, &Stateless);
    let verdict = match &live {
        Some(live) => decide(frame, &policy.with_live(live.clone(), now), &Stateless),
        None => by_policy,
    };
    let rule = verdict.rule.map(|rule| maps.rule_name(rule)).transpose()?;
    let live_allow = (verdict != by_policy).then(|| {
        let allows = live.map(|live| live.allows()).unwrap_or_default();
        allows.iter().find(|allow| rule.as_deref() == Some(&allow.rule())).map(|allow| LiveEntry::new(allow, now))
    });
    Ok(Judgement {
        monitor: info.flags & flags::MONITOR != 0,
        denied: match denied.filter(|_| verdict.reason == Reason::Denied) {
            Some(prefix) => maps.describe_denied(prefix)?,
            None => None,
        },
        live_allow: live_allow.flatten(),
        rule,
        ..Judgement::new(interface, info.generation, verdict)
    })
}

impl Judgement {
    fn new(interface: &str, generation: u64, verdict: Verdict) -> Self {
        Self {
            interface: interface.to_owned(),
            generation,
            action: verdict.action(),
            rule: None,
            reason: verdict.reason,
            monitor: false,
            live_allow: None,
            denied: None,
        }
    }
}

impl Maps {
    /// The policy in a slot as far as it is about one source, which is all that a packet asks for.
    fn policy_for(&self, source: Option<IpAddr>, slot: u32, denied: Option<IpNet>) -> Result<HostPolicy> {
        let mut tables = self.tables_in(slot)?;
        tables.settings.limits = Limits::default();
        let host = source.map(IpNet::from);
        let place = Place::sources(slot, self.directory.as_deref());
        let set = match host {
            Some(host @ IpNet::V4(_)) => lookup(trie::in_slot(&self.sources_v4, place)?, host)?,
            Some(host @ IpNet::V6(_)) => lookup(trie::in_slot(&self.sources_v6, place)?, host)?,
            None => None,
        };
        Ok(HostPolicy::of_parts(tables, host.zip(set), denied))
    }

    /// The denied prefix that holds for a source, found as the data plane does.
    fn denied_prefix(&self, source: IpAddr, slot: u32, now: u64) -> Result<Option<IpNet>> {
        let lists = lists_that_hold(&self.lists()?, now);
        let holds = |entry: &DenyEntry| entry.holds(slot, || now, || lists);
        match source {
            IpAddr::V4(_) => denied_prefix(&self.deny_v4, source, holds),
            IpAddr::V6(_) => denied_prefix(&self.deny_v6, source, holds),
        }
    }

    fn rule_name(&self, rule: u16) -> Result<String> {
        let name = self.rule_names.get(&rule.into(), 0).context("cannot read the names of rules")?.0;
        Ok(name.as_str().unwrap_or("?").to_owned())
    }
}

fn lookup<const N: usize>(sources: Option<Sources<N>>, host: IpNet) -> Result<Option<u32>> {
    sources.map_or(Ok(None), |sources| trie::lookup(&sources, host))
}

fn denied_prefix<const N: usize>(
    denied: &Denied<N>,
    source: IpAddr,
    holds: impl Fn(&DenyEntry) -> bool,
) -> Result<Option<IpNet>> {
    let mut around = IpNet::from(source);
    for _ in 0..NESTED_DENIES {
        let Some(entry) = trie::lookup(denied, around)? else { return Ok(None) };
        let length = u8::try_from(entry.prefix_length)?;
        if holds(&entry) {
            return Ok(Some(IpNet::new(source, length)?.trunc()));
        }
        let Some(shorter) = length.checked_sub(1) else { return Ok(None) };
        around = IpNet::new(source, shorter)?.trunc();
    }
    Ok(None)
}

/// Where a frame says that it comes from, if it is a whole IP packet.
fn source(frame: &[u8]) -> Option<IpAddr> {
    match packet::parse(frame) {
        Ok(Content::Ip(packet)) => Some(packet.source.into()),
        _ => None,
    }
}
