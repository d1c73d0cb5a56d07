//! Live allows: what is let in beside the policy, in slots of their own that are switched like a policy's.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use filter_common::{live::Expiry, tables::GENERATIONS};
use ipnet::IpNet;
use serde::Serialize;

use super::{
    lock::WriteLock,
    maps::{Maps, Value},
    pins::Pins,
    slots::Slots,
    standing, upgrade,
};
use crate::{
    fault,
    policy::{LiveAllow, LiveMatch, LiveTables},
};

/// A live allow as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct LiveEntry {
    /// Its name, by which it is removed.
    pub name: String,
    /// The rule that it is counted for.
    pub rule: String,
    /// Its sources.
    pub from: Vec<IpNet>,
    /// TCP ports.
    pub tcp: Vec<String>,
    /// UDP ports.
    pub udp: Vec<String>,
    /// Whole IP protocols.
    pub protocols: Vec<u8>,
    /// Seconds until it ends, rounded up; nothing if it never does.
    pub expires_in_seconds: Option<u64>,
    /// What was remarked of it.
    pub comment: Option<String>,
}

/// What adding a live allow did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Allowed {
    /// It is new.
    Added,
    /// It was there, and its end and its comment are the new ones.
    Renewed,
}

/// Lets something in on `interface` beside the policy, for so long or for ever; its `expiry` is not looked at.
///
/// # Errors
/// If no filter is attached there, something else is let in under that name, or there is no room for it.
pub fn allow_add(interface: &str, allow: &LiveAllow, lasting: Option<Duration>) -> Result<Allowed> {
    let _lock = WriteLock::take()?;
    let mut maps = upgrade::maps_to_change(interface)?;
    let mut allows = maps.live_allows()?;
    let known = allows.iter().position(|known| known.name == allow.name);
    let mut allow = LiveAllow { expiry: until(lasting)?, ..allow.clone() };
    let done = match known.map(|place| allows.remove(place)) {
        None => Allowed::Added,
        Some(known) if known.lets_in_the_same(&allow) => {
            if allow.comment.is_empty() {
                allow.comment = known.comment;
            }
            Allowed::Renewed
        }
        Some(known) => bail!(
            "`{}` lets in something else on `{interface}` already\nhint: give this one another `--name`, or remove that \
             one first: `sipwall allow remove {}`",
            known.name,
            known.name
        ),
    };
    allows.push(allow);
    maps.write_live(&allows)?;
    Ok(done)
}

/// Removes live allows by their names, and returns the names that there are not.
///
/// # Errors
/// If no filter is attached to `interface`, or its maps cannot be written.
pub fn allow_remove(interface: &str, names: &[String]) -> Result<Vec<String>> {
    let _lock = WriteLock::take()?;
    let mut maps = upgrade::maps_to_change(interface)?;
    let (gone, kept): (Vec<_>, Vec<_>) = maps.live_allows()?.into_iter().partition(|allow| names.contains(&allow.name));
    if !gone.is_empty() {
        maps.write_live(&kept)?;
    }
    Ok(names.iter().filter(|name| !gone.iter().any(|allow| allow.name == **name)).cloned().collect())
}

/// What is let in on `interface` beside the policy.
///
/// # Errors
/// If no filter is attached there, or its maps cannot be read.
pub fn allow_list(interface: &str) -> Result<Vec<LiveEntry>> {
    let now = standing::now();
    let allows = Maps::open(Pins::attached(interface)?.directory())?.live_allows()?;
    Ok(allows.iter().map(|allow| LiveEntry::new(allow, now)).collect())
}

impl LiveEntry {
    pub(super) fn new(allow: &LiveAllow, now: u64) -> Self {
        let ports = |of: fn(&LiveMatch) -> Option<String>| allow.matches.iter().filter_map(of).collect();
        Self {
            name: allow.name.clone(),
            rule: allow.rule(),
            from: allow.from.clone(),
            tcp: ports(|matching| if let LiveMatch::Tcp(ports) = matching { Some(ports.to_string()) } else { None }),
            udp: ports(|matching| if let LiveMatch::Udp(ports) = matching { Some(ports.to_string()) } else { None }),
            protocols: allow.matches.iter().copied().filter_map(protocol).collect(),
            expires_in_seconds: remaining_seconds(allow.expiry, now),
            comment: Some(allow.comment.clone()).filter(|comment| !comment.is_empty()),
        }
    }
}

const fn protocol(matching: LiveMatch) -> Option<u8> {
    if let LiveMatch::Protocol(protocol) = matching { Some(protocol) } else { None }
}

impl Maps {
    /// The live allows that last, in the order in which they were added.
    pub(super) fn live_allows(&self) -> Result<Vec<LiveAllow>> {
        let now = standing::now();
        let Some(tables) = self.live_tables()? else { return Ok(Vec::new()) };
        Ok(tables.allows().into_iter().filter(|allow| !allow.expiry.is_over(now)).collect())
    }

    /// The live allows as they are in the maps; nothing if there are none.
    pub(super) fn live_tables(&self) -> Result<Option<LiveTables>> {
        let Some(slot) = self.standing()?.switch.allows() else { return Ok(None) };
        let sources = self.live_sources.read(slot)?;
        let (terms, notes) = (self.live_terms.get(&slot, 0)?.0, self.live_notes.get(&slot, 0)?.0);
        Ok(Some(LiveTables { sources, terms, notes }))
    }

    /// Makes these the live allows, all at once, and returns the counter of each.
    ///
    /// They are written into a slot that no packet looks at.
    pub(super) fn write_live(&mut self, allows: &[LiveAllow]) -> Result<Vec<u16>> {
        let rules: Vec<String> = allows.iter().map(LiveAllow::rule).collect();
        // What there is no room for takes no counter either.
        LiveTables::new(allows, &vec![0; allows.len()])?;
        let counters = self.assign_counters(rules.iter().map(String::as_str))?;
        let tables = LiveTables::new(allows, &counters)?;
        let switch = self.standing()?.switch;
        let slot = (switch.allow_slot() + 1) % GENERATIONS;
        self.await_slot(Slots::LiveAllows, slot)?;
        fault::step();
        self.live_sources.write(slot, &tables.sources)?;
        fault::step();
        self.live_terms.set(slot, Value(tables.terms), 0).context("cannot write the live allows")?;
        fault::step();
        self.live_notes.set(slot, Value(tables.notes), 0).context("cannot write the live allows")?;
        fault::step();
        self.set_switch(switch.with_allows(slot, !allows.is_empty())).context("cannot switch to the live allows")?;
        self.note_slots(Slots::LiveAllows, &[slot])?;
        Ok(counters)
    }
}

/// The time when something ends that lasts so long from now on.
pub(super) fn until(lasting: Option<Duration>) -> Result<Expiry> {
    Ok(match lasting {
        None => Expiry::NEVER,
        Some(length) => Expiry::at(standing::now().saturating_add(u64::try_from(length.as_nanos())?)),
    })
}

/// Seconds until a time, rounded up; nothing if it never comes.
pub(super) fn remaining_seconds(expiry: Expiry, now: u64) -> Option<u64> {
    let left = Duration::from_nanos(expiry.nanoseconds().saturating_sub(now));
    (expiry != Expiry::NEVER).then(|| left.as_secs() + u64::from(left.subsec_nanos() > 0))
}
