//! What the filter that runs does with a packet, from its maps alone.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use filter_common::{
    Action, Reason, Stateless, Verdict, decide,
    live::{DenyEntry, NESTED_DENIES, lists_that_hold},
    packet::{self, Content},
    tables::{GENERATIONS, Limits, TERMS, Tables, flags},
};
use ipnet::IpNet;
use serde::{Serialize, Serializer};

use super::{
    deny::DeniedPrefix,
    live::LiveEntry,
    lock::WriteLock,
    maps::Maps,
    pins::Pins,
    standing,
    trie::{self, Denied},
};
use crate::policy::{Cover, HostPolicy, LiveAllow, LiveTables, PortSet, ports_where};

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

/// What is to be changed of what holds beside the policy.
#[derive(Clone, Debug, Default)]
pub struct LiveChange {
    /// What is to be denied.
    pub denied: Cover,
    /// The names of the live allows that are to be removed.
    pub removed: Vec<String>,
}

/// Judges a frame by what runs on `interface`. Rates, and what depends on earlier packets, do not count.
///
/// # Errors
/// If no filter is attached there, or its maps cannot be read.
pub fn judge(interface: &str, frame: &[u8]) -> Result<Judgement> {
    judge_after(interface, frame, &LiveChange::default())
}

/// Judges a frame by what would run on `interface` after a change.
///
/// # Errors
/// If no filter is attached there, or its maps cannot be read.
pub fn judge_after(interface: &str, frame: &[u8], change: &LiveChange) -> Result<Judgement> {
    let maps = Maps::open(Pins::attached(interface)?.directory())?;
    let slot = maps.standing()?.slot();
    let Some(info) = maps.generation_in(slot)? else {
        return Ok(Judgement::new(interface, 0, Verdict::of(Reason::NoPolicy)));
    };
    let now = standing::now();
    let source = source(frame);
    let denied = source.map(|source| maps.denied_prefix(source, slot, now)).transpose()?.flatten();
    let denied = denied.or_else(|| change.denied.around(source?.into()));
    let policy = maps.policy_for(source, slot, denied)?;
    let live = maps.live_tables_without(&change.removed)?;
    let by_policy = decide(frame, &policy, &Stateless);
    let verdict = match &live {
        Some(live) => decide(frame, &policy.with_live(live.clone(), now), &Stateless),
        None => by_policy,
    };
    let rule = verdict.rule().map(|rule| maps.rule_name(rule)).transpose()?;
    let live_allow = (verdict != by_policy).then(|| {
        let allows = live.map(|live| live.allows()).unwrap_or_default();
        allows.iter().find(|allow| rule.as_deref() == Some(&allow.rule())).map(|allow| LiveEntry::new(allow, now))
    });
    Ok(Judgement {
        monitor: info.flags & flags::MONITOR != 0,
        denied: match denied.filter(|_| verdict.reason() == Reason::Denied) {
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
            reason: verdict.reason(),
            monitor: false,
            live_allow: None,
            denied: None,
        }
    }
}

/// A rule that lets in something of what is to be denied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Named {
    /// The rule.
    pub rule: String,
    /// What it lets in.
    pub source: IpNet,
    /// What is to be denied of that.
    pub denied: IpNet,
}

/// The rules on `interface`, of the policy in force and of live allows, that let in something of what is to be denied.
///
/// # Errors
/// If no filter is attached there, or its maps cannot be read.
pub fn rules_naming(interface: &str, denied: &Cover) -> Result<Vec<Named>> {
    let _lock = WriteLock::take()?;
    let maps = Maps::open(Pins::attached(interface)?.directory())?;
    let slot = maps.standing()?.slot();
    let mut named = Vec::new();
    if maps.generation_in(slot)?.is_some() {
        let running = maps.rules_running(slot)?;
        named.extend(running.rules_meeting(denied).into_iter().filter_map(|(rule, source)| {
            Some(Named { rule: rule.to_owned(), source, denied: denied.meeting(source)? })
        }));
    }
    for allow in maps.live_allows()? {
        let met = allow.from.iter().find_map(|source| Some((*source, denied.meeting(*source)?)));
        named.extend(met.map(|(source, denied)| Named { rule: allow.rule(), source, denied }));
    }
    Ok(named)
}

/// The rules on `interface`, of the policy in force and of live allows, that name each of these hosts, denied or not.
///
/// # Errors
/// If no filter is attached there, or its maps cannot be read.
pub fn rules_of(interface: &str, hosts: &[IpAddr]) -> Result<Vec<Vec<String>>> {
    let maps = Maps::open(Pins::attached(interface)?.directory())?;
    let slot = maps.standing()?.slot();
    let tables = maps.tables_in(slot)?;
    let allows = maps.live_allows()?;
    let rules = |host: IpAddr| {
        let set = maps.sources.find(slot, host)?.and_then(|set| tables.source_sets.get(set as usize));
        let terms = set.into_iter().flat_map(|set| (0..TERMS).filter(|term| set.contains(*term)));
        let mut rules = terms.map(|term| maps.rule_name(tables.term(term).rule())).collect::<Result<Vec<_>>>()?;
        let naming = allows.iter().filter(|allow| allow.from.iter().any(|from| from.contains(&host)));
        rules.extend(naming.map(LiveAllow::rule));
        Ok(rules)
    };
    hosts.iter().map(|host| rules(*host)).collect()
}

/// The ports of SIP on `interface`: the assigned ones, and what the policy in force takes TCP connections on, which is not
/// media.
///
/// # Errors
/// If no filter is attached there, or its maps cannot be read.
pub fn sip_ports(interface: &str) -> Result<PortSet> {
    let maps = Maps::open(Pins::attached(interface)?.directory())?;
    let tables = maps.tables_in(maps.standing()?.slot())?;
    Ok(PortSet::between(5060..=5061).union(&ports_where(|port| tables.ports[Tables::TCP].owns(port))))
}

impl Maps {
    /// The live allows but those of these names, in tables; nothing if there are none.
    fn live_tables_without(&self, names: &[String]) -> Result<Option<LiveTables>> {
        let Some(live) = self.live_tables()? else { return Ok(None) };
        if names.is_empty() {
            return Ok(Some(live));
        }
        let mut allows = live.allows();
        allows.retain(|allow| !names.contains(&allow.name));
        let rules = self.rule_counters()?;
        let rules: Vec<u16> =
            allows.iter().map(|allow| rules.get(&allow.rule()).copied().unwrap_or_default()).collect();
        Ok(Some(LiveTables::new(&allows, &rules)?))
    }

    /// The policy in a slot as far as it is about one source, which is all that a packet asks for.
    fn policy_for(&self, source: Option<IpAddr>, slot: u32, denied: Option<IpNet>) -> Result<HostPolicy> {
        let mut tables = self.tables_in(slot)?;
        tables.settings.limits = Limits::default();
        let set = source.map(|source| self.sources.find(slot, source)).transpose()?.flatten();
        Ok(HostPolicy::of_parts(tables, source.map(IpNet::from).zip(set).into_iter().collect(), denied))
    }

    /// The denied prefix that holds for a source, found as the data plane does.
    fn denied_prefix(&self, source: IpAddr, slot: u32, now: u64) -> Result<Option<IpNet>> {
        let lists = lists_that_hold(&self.lists()?, now);
        self.denied_where(source, |entry| entry.holds(slot, || now, || lists))
    }

    /// Whether one of these holders denies a source now: those beside the policies.
    pub(super) fn denied_by(&self, source: IpAddr, holders: u32) -> Result<bool> {
        let now = standing::now();
        let lists = lists_that_hold(&self.lists()?, now);
        // No policy is in a slot behind the last, so none of theirs is asked.
        let beside = |entry: &DenyEntry| {
            let entry = DenyEntry { holders: entry.holders & holders, ..*entry };
            entry.holds(GENERATIONS, || now, || lists)
        };
        Ok(self.denied_where(source, beside)?.is_some())
    }

    /// The longest prefix around a source in the deny list whose entry is one of these.
    fn denied_where(&self, source: IpAddr, holds: impl Fn(&DenyEntry) -> bool) -> Result<Option<IpNet>> {
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
pub(super) fn source(frame: &[u8]) -> Option<IpAddr> {
    match packet::parse(frame) {
        Ok(Content::Ip(packet)) => Some(packet.source.into()),
        _ => None,
    }
}
