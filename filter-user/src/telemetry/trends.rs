//! Who sends most of what is dropped, from where and what for, over the last minute, ten minutes and hour.
//!
//! From samples and their weights, so these are estimates; memory is bounded whatever comes.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use filter_common::Reason;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Serialize;

use super::{Event, ranking::Ranking};
use crate::replay::{Sender, Wanted};

/// A time that ends now.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// The last minute.
    Minute,
    /// The last ten minutes.
    TenMinutes,
    /// The last hour.
    Hour,
}

impl Span {
    /// Every one, the shortest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::TenMinutes, Self::Hour];

    /// Its length in seconds.
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Minute => 60,
            Self::TenMinutes => 600,
            Self::Hour => 3600,
        }
    }

    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::TenMinutes => "10 minutes",
            Self::Hour => "hour",
        }
    }
}

/// Something and how many packets were dropped of it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Ranked {
    /// An address, a network or a port.
    pub what: String,
    /// About how many packets.
    pub packets: u64,
    /// For a source: why its packets were dropped, the most frequent reason first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<&'static str>,
    /// For a source: what it wanted, the most frequent first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<String>,
}

/// How many parts a span has: one at a time is forgotten.
const PARTS: u64 = 6;
/// How much is told of what a source tried.
const TRIED: usize = 4;

/// What was dropped of late.
#[derive(Debug, Default)]
pub struct Trends {
    spans: [VecDeque<Part>; Span::ALL.len()],
}

/// What was dropped in a part of a span.
#[derive(Clone, Debug, Default)]
struct Part {
    /// Its number, counted from the epoch.
    number: u64,
    sources: Ranking<Sender>,
    networks: Ranking<IpNet>,
    wanted: Ranking<Wanted>,
    /// Reasons by their index.
    tried: Ranking<(Sender, Wanted, u32)>,
}

impl Trends {
    /// Takes note of an event.
    pub fn count(&mut self, event: &Event) {
        let second = event.since_epoch().as_secs();
        for (span, parts) in Span::ALL.into_iter().zip(&mut self.spans) {
            let number = second / (span.seconds() / PARTS);
            forget(parts, number);
            if parts.back().is_none_or(|part| part.number < number) {
                parts.push_back(Part { number, ..Part::default() });
            }
            // A CPU may be read late: what belongs to the part before counts in this one.
            if let Some(part) = parts.back_mut() {
                part.count(event);
            }
        }
    }

    /// The sources of most drops in a span that ends at this second since the epoch, and how many there are.
    pub fn sources(&self, span: Span, second: u64, most: usize) -> (Vec<Ranked>, usize) {
        let sources = self.merged(span, second, |part| &part.sources);
        let mut tried: BTreeMap<Sender, Vec<(Wanted, u32, u64)>> = BTreeMap::new();
        for ((sender, wanted, reason), weight) in self.merged(span, second, |part| &part.tried) {
            tried.entry(sender).or_default().push((wanted, reason, weight));
        }
        let heaviest = sources.heaviest(most).into_iter();
        let ranked = heaviest.map(|(sender, packets)| {
            let tried = tried.remove(&sender).unwrap_or_default();
            let reasons = heaviest_of(tried.iter().map(|(_, reason, weight)| (*reason, *weight)));
            let wanted = heaviest_of(tried.iter().map(|(wanted, _, weight)| (*wanted, *weight)));
            Ranked {
                what: sender.to_string(),
                packets,
                reasons: reasons.into_iter().filter_map(reason_name).collect(),
                wanted: wanted.into_iter().map(|wanted| wanted.to_string()).collect(),
            }
        });
        (ranked.collect(), sources.len())
    }

    /// The networks of most drops: /24 in IPv4, /48 in IPv6.
    pub fn networks(&self, span: Span, second: u64, most: usize) -> Vec<Ranked> {
        named(&self.merged(span, second, |part| &part.networks), most)
    }

    /// The ports and protocols that most of what was dropped wanted.
    pub fn wanted(&self, span: Span, second: u64, most: usize) -> Vec<Ranked> {
        named(&self.merged(span, second, |part| &part.wanted), most)
    }

    /// About how many packets were dropped in a span.
    pub fn total(&self, span: Span, second: u64) -> u64 {
        self.merged(span, second, |part| &part.sources).total()
    }

    fn merged<K: Copy + Eq + std::hash::Hash + Ord>(
        &self,
        span: Span,
        second: u64,
        ranking: impl Fn(&Part) -> &Ranking<K>,
    ) -> Ranking<K> {
        let mut merged = Ranking::default();
        let now = second / (span.seconds() / PARTS);
        let known = Span::ALL.into_iter().zip(&self.spans).filter(|(other, _)| *other == span);
        for part in known.flat_map(|(_, parts)| parts).filter(|part| part.number + PARTS > now) {
            merged.merge(ranking(part));
        }
        merged
    }
}

impl Part {
    fn count(&mut self, event: &Event) {
        let (flow, weight) = (event.headers.flow, event.weight);
        self.sources.add(flow.sender, weight);
        self.wanted.add(flow.wanted, weight);
        self.tried.add((flow.sender, flow.wanted, event.reason.index()), weight);
        if let Some(network) = network(flow.sender) {
            self.networks.add(network, weight);
        }
    }
}

/// Forgets the parts that no span which ends in this part has.
fn forget(parts: &mut VecDeque<Part>, now: u64) {
    while parts.front().is_some_and(|part| part.number + PARTS <= now) {
        parts.pop_front();
    }
}

fn network(sender: Sender) -> Option<IpNet> {
    match sender {
        Sender::Address(IpAddr::V4(address)) => {
            let [a, b, c, _] = address.octets();
            Ipv4Net::new(Ipv4Addr::new(a, b, c, 0), 24).ok().map(IpNet::V4)
        }
        Sender::Address(IpAddr::V6(address)) => {
            let [a, b, c, ..] = address.segments();
            Ipv6Net::new(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), 48).ok().map(IpNet::V6)
        }
        Sender::Station(_) | Sender::Unreadable => None,
    }
}

fn named<K: Copy + Eq + std::hash::Hash + Ord + ToString>(ranking: &Ranking<K>, most: usize) -> Vec<Ranked> {
    let heaviest = ranking.heaviest(most).into_iter();
    let ranked = heaviest.map(|(key, packets)| Ranked {
        what: key.to_string(),
        packets,
        reasons: Vec::new(),
        wanted: Vec::new(),
    });
    ranked.collect()
}

fn heaviest_of<K: Copy + Eq + std::hash::Hash + Ord>(weights: impl Iterator<Item = (K, u64)>) -> Vec<K> {
    let mut ranking = Ranking::default();
    weights.for_each(|(key, weight)| ranking.add(key, weight));
    ranking.heaviest(TRIED).into_iter().map(|(key, _)| key).collect()
}

fn reason_name(index: u32) -> Option<&'static str> {
    Reason::ALL.iter().find(|reason| reason.index() == index).map(|reason| reason.name())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use etherparse::PacketBuilder;

    use super::*;
    use crate::telemetry::Headers;

    fn event(second: u64, source: [u8; 4], port: u16, weight: u64) -> Event {
        let mut frame = Vec::new();
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(source, [198, 51, 100, 10], 64).udp(5060, port);
        builder.write(&mut frame, b"x").unwrap();
        Event {
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(second),
            interface: "eth0".to_owned(),
            action: "drop",
            reason: Reason::SourceUnlisted,
            weight,
            length: 60,
            headers: Headers::of(&frame),
            octets: frame,
        }
    }

    #[test]
    fn weights_rank_sources_networks_and_what_they_wanted() {
        let mut trends = Trends::default();
        for (source, port, weight) in
            [([192, 0, 2, 1], 5060, 5), ([192, 0, 2, 2], 5061, 6), ([203, 0, 113, 9], 5060, 7), ([192, 0, 2, 1], 22, 3)]
        {
            trends.count(&event(10_000, source, port, weight));
        }
        let (sources, count) = trends.sources(Span::Minute, 10_001, 2);
        assert_eq!(count, 3);
        assert_eq!((sources[0].what.as_str(), sources[0].packets), ("192.0.2.1", 8));
        assert_eq!(
            (&sources[0].reasons, &sources[0].wanted),
            (&vec!["source_unlisted"], &vec!["udp 5060".to_owned(), "udp 22".to_owned()])
        );
        assert_eq!((sources[1].what.as_str(), sources[1].packets), ("203.0.113.9", 7));
        let networks = trends.networks(Span::Minute, 10_001, 9);
        assert_eq!((networks[0].what.as_str(), networks[0].packets), ("192.0.2.0/24", 14));
        let wanted = trends.wanted(Span::Minute, 10_001, 9);
        assert_eq!((wanted[0].what.as_str(), wanted[0].packets), ("udp 5060", 12));
        assert_eq!(trends.total(Span::Hour, 10_001), 21);
    }

    #[test]
    fn what_is_long_ago_is_forgotten_by_the_spans_that_end_before() {
        let mut trends = Trends::default();
        for minute in 0..120 {
            trends.count(&event(36_000 + minute * 60, [192, 0, 2, 1], 5060, 1));
        }
        let now = 36_000 + 119 * 60 + 1;
        let total = |span, at| trends.total(span, at);
        assert_eq!(total(Span::Minute, now), 1);
        assert!((9..=10).contains(&total(Span::TenMinutes, now)));
        assert!((50..=60).contains(&total(Span::Hour, now)));
        assert_eq!(total(Span::Minute, now + 61), 0);
        assert_eq!(total(Span::Hour, now + 3601), 0);
        assert!(trends.spans.iter().all(|parts| parts.len() <= 6));
    }
}
