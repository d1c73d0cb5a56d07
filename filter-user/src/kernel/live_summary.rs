//! What holds beside the policy, in a few numbers.

use anyhow::Result;
use filter_common::{
    Name,
    live::{DenyEntry, Expiry, lists_that_hold},
    tables::lists,
};
use ipnet::IpNet;
use serde::Serialize;

use super::{deny_notes::LISTS, live::remaining_seconds, maps::Maps, pins::Pins, standing};

/// What holds beside the policy.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Live {
    /// How many allows were added.
    pub allow_count: usize,
    /// How many denied prefixes were added.
    pub denied_count: usize,
    /// How many prefixes the loaded lists deny.
    pub listed_count: usize,
    /// The names of those lists.
    pub lists: Vec<String>,
    /// Seconds until the next of all that ends, rounded up.
    pub next_expires_in_seconds: Option<u64>,
}

/// What holds beside the policy on `interface`.
///
/// # Errors
/// If no filter is attached there, or its maps cannot be read.
pub fn live_summary(interface: &str) -> Result<Live> {
    Maps::open(Pins::attached(interface)?.directory())?.live()
}

impl Maps {
    /// What holds beside the policy.
    fn live(&self) -> Result<Live> {
        let (now, lists) = (standing::now(), self.lists()?);
        let holding = lists_that_hold(&lists, now);
        let lists: Vec<_> = lists.iter().filter(|list| list.name != Name::EMPTY && !list.expiry.is_over(now)).collect();
        let allows = self.live_allows()?;
        let mut ends: Vec<Expiry> = allows.iter().map(|allow| allow.expiry).collect();
        ends.extend(lists.iter().map(|list| list.expiry));
        let mut live = Live {
            allow_count: allows.len(),
            lists: lists.iter().filter_map(|list| list.name.as_str().map(str::to_owned)).collect(),
            ..Live::default()
        };
        if self.standing()?.switch.lists & lists::DENY != 0 {
            let of_lists = self.held_by(LISTS)?.into_iter().zip(LISTS);
            let holding = of_lists.filter(|(_, holder)| holding & holder != 0).map(|(prefixes, _)| prefixes);
            live.listed_count = distinct(holding);
            let [added] = self.held_by([DenyEntry::ADDED])?;
            for prefix in added {
                let expiry = self.denied_entry(prefix)?.expiry;
                if !expiry.is_over(now) {
                    live.denied_count += 1;
                    ends.push(expiry);
                }
            }
        }
        live.next_expires_in_seconds = ends.into_iter().filter_map(|end| remaining_seconds(end, now)).min();
        Ok(live)
    }
}

/// How many different prefixes there are in all lists.
fn distinct(lists: impl Iterator<Item = Vec<IpNet>>) -> usize {
    let mut lists: Vec<Vec<IpNet>> = lists.filter(|prefixes| !prefixes.is_empty()).collect();
    match &mut lists[..] {
        [] => 0,
        [only] => only.len(),
        _ => {
            let mut all = lists.concat();
            all.sort_unstable();
            all.dedup();
            all.len()
        }
    }
}
