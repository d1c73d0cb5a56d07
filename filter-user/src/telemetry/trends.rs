//! Who sends most of what is dropped, from where and what for, over the last minute, ten minutes and hour.
//!
//! From samples and their weights, so these are estimates; memory is bounded whatever comes.

use std::{
    collections::{BTreeMap, VecDeque},
    hash::Hash,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use filter_common::Reason;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Serialize, Serializer};

use super::{Event, ranking::Ranking};
use crate::replay::{Flow, Sender, Wanted};

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

/// What drops are ranked by.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Their source.
    #[default]
    Source,
    /// Their source's network: /24 in IPv4, /48 in IPv6.
    Network,
    /// The port or protocol that they wanted.
    Wanted,
}

impl By {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Source, Self::Network, Self::Wanted];

    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "sources",
            Self::Network => "networks",
            Self::Wanted => "ports",
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
    /// Why they were dropped, the most frequent reason first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<&'static str>,
    /// For a source or a network: what it wanted, the most frequent first.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "texts")]
    pub wanted: Vec<Wanted>,
}

fn texts<S: Serializer>(wanted: &[Wanted], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(wanted.iter().map(ToString::to_string))
}

/// How many parts a span has: one at a time is forgotten.
const PARTS: u64 = 6;
/// How many flows are told apart: two scanners that try every port of some thousand do not hide what others wanted.
const FLOWS: usize = 8192;
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
    tried: Ranking<(Flow, u32), FLOWS>,
}

impl Trends {
    /// Takes note of an event that stands for so many packets.
    pub fn count(&mut self, event: &Event, weight: u64) {
        let second = event.since_epoch().as_secs();
        for (span, parts) in Span::ALL.into_iter().zip(&mut self.spans) {
            let number = second / (span.seconds() / PARTS);
            forget(parts, number);
            if parts.back().is_none_or(|part| part.number < number) {
                parts.push_back(Part { number, ..Part::default() });
            }
            // A CPU may be read late: what belongs to the part before counts in this one.
            if let Some(part) = parts.back_mut() {
                part.count(event, weight);
            }
        }
    }

    /// What was dropped most in a span that ends at this second since the epoch, and how many there were to choose from; at
    /// least.
    pub fn ranked(&self, by: By, span: Span, second: u64, most: usize) -> (Vec<Ranked>, usize) {
        let spanned = Spanned { trends: self, span, second };
        match by {
            By::Source => spanned.ranked(most, |part| &part.sources, |flow| Some(flow.sender)),
            By::Network => spanned.ranked(most, |part| &part.networks, |flow| network(flow.sender)),
            By::Wanted => {
                let (mut ranked, count) = spanned.ranked(most, |part| &part.wanted, |flow| Some(flow.wanted));
                // A port wanted itself.
                for ranked in &mut ranked {
                    ranked.wanted.clear();
                }
                (ranked, count)
            }
        }
    }

    /// About how many packets were dropped in a span.
    pub fn total(&self, span: Span, second: u64) -> u64 {
        Spanned { trends: self, span, second }.merged(|part| &part.sources).total()
    }
}

/// A span of what was dropped.
#[derive(Clone, Copy)]
struct Spanned<'a> {
    trends: &'a Trends,
    span: Span,
    /// The second since the epoch that it ends at.
    second: u64,
}

impl Spanned<'_> {
    /// The heaviest of a ranking, with the reasons and the wants of the flows that have the same key.
    fn ranked<K: Copy + Eq + Hash + Ord + ToString>(
        self,
        most: usize,
        ranking: impl Fn(&Part) -> &Ranking<K>,
        key: impl Fn(Flow) -> Option<K>,
    ) -> (Vec<Ranked>, usize) {
        let all = self.merged(ranking);
        let mut tried: BTreeMap<K, Vec<(Wanted, u32, u64)>> = BTreeMap::new();
        for ((flow, reason), weight) in self.merged(|part| &part.tried) {
            if let Some(key) = key(flow) {
                tried.entry(key).or_default().push((flow.wanted, reason, weight));
            }
        }
        let ranked = all.heaviest(most).into_iter().map(|(key, packets)| {
            let tried = tried.remove(&key).unwrap_or_default();
            let reasons = heaviest_of(tried.iter().map(|(_, reason, weight)| (*reason, *weight)));
            Ranked {
                what: key.to_string(),
                packets,
                reasons: reasons.into_iter().filter_map(reason_name).collect(),
                wanted: heaviest_of(tried.iter().map(|(wanted, _, weight)| (*wanted, *weight))),
            }
        });
        (ranked.collect(), all.len())
    }

    fn merged<K: Copy + Eq + Hash + Ord, const MOST: usize>(
        self,
        ranking: impl Fn(&Part) -> &Ranking<K, MOST>,
    ) -> Ranking<K, MOST> {
        let mut merged = Ranking::default();
        let now = self.second / (self.span.seconds() / PARTS);
        let known = Span::ALL.into_iter().zip(&self.trends.spans).filter(|(span, _)| *span == self.span);
        for part in known.flat_map(|(_, parts)| parts).filter(|part| part.number + PARTS > now) {
            merged.merge(ranking(part));
        }
        merged
    }
}

impl Part {
    fn count(&mut self, event: &Event, weight: u64) {
        let flow = event.headers.flow;
        self.sources.add(flow.sender, weight);
        self.wanted.add(flow.wanted, weight);
        self.tried.add((flow, event.reason.index()), weight);
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

fn heaviest_of<K: Copy + Eq + Hash + Ord>(weights: impl Iterator<Item = (K, u64)>) -> Vec<K> {
    let mut ranking: Ranking<K> = Ranking::default();
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
            action: crate::telemetry::Fate::Drop,
            reason: Reason::SourceUnlisted,
            weight,
            length_bytes: 60,
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
            trends.count(&event(10_000, source, port, weight), weight);
        }
        let ranked = |by, most| trends.ranked(by, Span::Minute, 10_001, most);
        let (sources, count) = ranked(By::Source, 2);
        assert_eq!(count, 3);
        assert_eq!((sources[0].what.as_str(), sources[0].packets), ("192.0.2.1", 8));
        assert_eq!(
            (&sources[0].reasons, &sources[0].wanted),
            (&vec!["source_unlisted"], &vec![Wanted::Udp(5060), Wanted::Udp(22)])
        );
        assert_eq!((sources[1].what.as_str(), sources[1].packets), ("203.0.113.9", 7));
        let (networks, _) = ranked(By::Network, 9);
        assert_eq!((networks[0].what.as_str(), networks[0].packets), ("192.0.2.0/24", 14));
        assert_eq!(networks[0].wanted, [Wanted::Udp(5061), Wanted::Udp(5060), Wanted::Udp(22)]);
        let (wanted, count) = ranked(By::Wanted, 9);
        assert_eq!((wanted[0].what.as_str(), wanted[0].packets, count), ("udp 5060", 12, 3));
        assert_eq!((&wanted[0].reasons, &wanted[0].wanted), (&vec!["source_unlisted"], &vec![]));
        assert_eq!(trends.total(Span::Hour, 10_001), 21);
    }

    #[test]
    fn a_scan_of_thousands_of_ports_does_not_hide_what_another_wanted() {
        let mut trends = Trends::default();
        trends.count(&event(10_000, [203, 0, 113, 50], 5060, 1), 1);
        for port in 1..5000 {
            trends.count(&event(10_000, [192, 0, 2, 1], port, 2), 2);
        }
        let (sources, _) = trends.ranked(By::Source, Span::Minute, 10_001, 2);
        assert_eq!((sources[1].what.as_str(), &sources[1].wanted), ("203.0.113.50", &vec![Wanted::Udp(5060)]));
        assert_eq!(sources[1].reasons, ["source_unlisted"]);
    }

    #[test]
    fn what_is_long_ago_is_forgotten_by_the_spans_that_end_before() {
        let mut trends = Trends::default();
        for minute in 0..120 {
            trends.count(&event(36_000 + minute * 60, [192, 0, 2, 1], 5060, 1), 1);
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
