//! Who sends most of what is dropped, and what they want.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use filter_common::Reason;

use super::{Flow, Sender, Wanted};

/// Counts dropped frames by reason and flow, in bounded memory.
#[derive(Debug, Default)]
pub struct Talkers {
    counts: HashMap<(u32, Flow), u64>,
    forgotten: u64,
}

/// A sender, over all that it wanted and was dropped for one reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Talker {
    /// The sender.
    pub sender: Sender,
    /// How many of its frames were dropped.
    pub packets: u64,
    /// What they wanted, most frequent first, with how many frames wanted it.
    pub wanted: Vec<(Wanted, u64)>,
}

impl Talkers {
    /// How many flows are told apart, in some 60 MB. A flood from invented sources has more.
    const MOST: usize = 1_000_000;

    /// Counts a frame that was dropped for `reason`.
    pub fn count(&mut self, reason: Reason, flow: Flow) {
        *self.counts.entry((reason.index(), flow)).or_default() += 1;
        if self.counts.len() > Self::MOST {
            self.forget_rare();
        }
    }

    /// How many frames had to be forgotten; they are of flows with few frames each.
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The `most` senders with most frames dropped for `reason`, and how many more senders there were.
    pub fn top(&self, reason: Reason, most: usize) -> (Vec<Talker>, usize) {
        let mut senders: BTreeMap<Sender, Vec<(Wanted, u64)>> = BTreeMap::new();
        for ((index, flow), packets) in &self.counts {
            if *index == reason.index() {
                senders.entry(flow.sender).or_default().push((flow.wanted, *packets));
            }
        }
        let mut talkers: Vec<_> = senders.into_iter().map(Talker::new).collect();
        talkers.sort_by_key(|talker| Reverse(talker.packets));
        let more = talkers.len().saturating_sub(most);
        talkers.truncate(most);
        (talkers, more)
    }

    /// Forgets at least half of the flows, those with fewest frames.
    fn forget_rare(&mut self) {
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        let middle = counts.len() / 2;
        let (_, median, _) = counts.select_nth_unstable(middle);
        let median = *median;
        self.forgotten += self.counts.values().filter(|packets| **packets <= median).sum::<u64>();
        self.counts.retain(|_, packets| *packets > median);
    }
}

impl Talker {
    fn new((sender, mut wanted): (Sender, Vec<(Wanted, u64)>)) -> Self {
        wanted.sort_by_key(|(wanted, packets)| (Reverse(*packets), *wanted));
        Self { sender, packets: wanted.iter().map(|(_, packets)| packets).sum(), wanted }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn flow(address: u32, port: u16) -> Flow {
        let sender = Sender::Address(IpAddr::V4(Ipv4Addr::from_bits(address)));
        Flow { sender, wanted: Wanted::Udp(port) }
    }

    #[test]
    fn senders_are_ranked_with_what_they_wanted() {
        let mut talkers = Talkers::default();
        for (address, port, packets) in [(1, 5060, 2), (1, 5061, 3), (2, 5060, 4), (3, 5060, 1)] {
            for _ in 0..packets {
                talkers.count(Reason::SourceUnlisted, flow(address, port));
            }
        }
        talkers.count(Reason::Denied, flow(9, 5060));
        let (top, more) = talkers.top(Reason::SourceUnlisted, 2);
        let first = Talker {
            sender: flow(1, 0).sender,
            packets: 5,
            wanted: vec![(Wanted::Udp(5061), 3), (Wanted::Udp(5060), 2)],
        };
        let second = Talker { sender: flow(2, 0).sender, packets: 4, wanted: vec![(Wanted::Udp(5060), 4)] };
        assert_eq!((top, more), (vec![first, second], 1));
        assert_eq!(talkers.forgotten(), 0);
    }

    #[test]
    fn a_flood_from_invented_sources_does_not_hide_a_steady_one() {
        let mut talkers = Talkers::default();
        let flood = 3 * u32::try_from(Talkers::MOST).unwrap() / 2;
        for address in 0..flood {
            talkers.count(Reason::SourceUnlisted, flow(address, 1));
            if address % 1000 == 0 {
                talkers.count(Reason::SourceUnlisted, flow(u32::MAX, 5060));
            }
        }
        let (top, more) = talkers.top(Reason::SourceUnlisted, 1);
        assert_eq!((top[0].sender, top[0].packets), (flow(u32::MAX, 0).sender, u64::from(flood / 1000)));
        let left = u64::try_from(more).unwrap();
        assert!(talkers.counts.len() <= Talkers::MOST);
        assert_eq!(talkers.forgotten() + left, u64::from(flood));
    }
}
