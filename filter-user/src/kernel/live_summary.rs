//! What holds beside the policy, in a few numbers.

use anyhow::Result;
use filter_common::{
    Name,
    live::{DenyEntry, Expiry, lists_that_hold},
    tables::lists,
};
use serde::Serialize;

use super::{live::seconds_left, maps::Maps, pins::Pins, standing, trie};

/// What holds beside the policy.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Live {
    /// How many allows were added.
    pub allows: usize,
    /// How many denied prefixes were added.
    pub denied: usize,
    /// How many prefixes the loaded lists deny.
    pub listed: usize,
    /// The names of those lists.
    pub lists: Vec<String>,
    /// Seconds until the next of all that ends, rounded up.
    pub next_expiry: Option<u64>,
}

/// What holds beside the policy on `interface`. It takes as long as the deny list is.
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
            allows: allows.len(),
            lists: lists.iter().filter_map(|list| list.name.as_str().map(str::to_owned)).collect(),
            ..Live::default()
        };
        if self.standing()?.switch.lists & lists::DENY != 0 {
            let mut count = |entry: DenyEntry| {
                if entry.holders & DenyEntry::ADDED != 0 && !entry.expiry.is_over(now) {
                    live.denied += 1;
                    ends.push(entry.expiry);
                }
                live.listed += usize::from(entry.holders & holding != 0);
            };
            trie::entries(&self.deny_v4)?.into_iter().for_each(|(_, entry)| count(entry));
            trie::entries(&self.deny_v6)?.into_iter().for_each(|(_, entry)| count(entry));
        }
        live.next_expiry = ends.into_iter().filter_map(|end| seconds_left(end, now)).min();
        Ok(live)
    }
}
