//! What was sent, what arrived, and whether the filter counted the same.

use std::collections::BTreeMap;

use lab::Frame;

use super::{
    counters::Counters,
    flow::{Fate, Flow, Headers},
};

/// Packets as the taps saw them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Packets {
    /// Before the NIC.
    pub(super) sent: u64,
    /// Behind it.
    pub(super) arrived: u64,
}

/// All that came to the SBC.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) flows: Vec<(Flow, Packets)>,
    /// What is in no flow: address resolution and other upkeep of the link.
    pub(super) upkeep: Packets,
}

impl Ledger {
    /// Books the frames of the tap before the NIC and of the one behind it.
    pub(super) fn new(flows: Vec<Flow>, before: &[Frame], behind: &[Frame]) -> Self {
        let flows = flows.into_iter().map(|flow| (flow, Packets::default())).collect();
        let mut ledger = Self { flows, upkeep: Packets::default() };
        for frame in before {
            ledger.packets_of(frame).sent += 1;
        }
        for frame in behind {
            ledger.packets_of(frame).arrived += 1;
        }
        ledger
    }

    /// What is wrong, a sentence each: packets lost or let in, and counters that say otherwise.
    pub(super) fn faults(&self, counters: &Counters) -> Vec<String> {
        let fates = self.flows.iter().filter_map(|(flow, packets)| fault(flow, *packets));
        let upkeep = (self.upkeep.arrived < self.upkeep.sent).then(|| {
            let Packets { sent, arrived } = self.upkeep;
            format!("of {sent} packets of link upkeep {arrived} arrived")
        });
        fates.chain(upkeep).chain(self.disagreements(counters)).collect()
    }

    /// Packets of each fate as the taps saw them: those that arrived, or those that did not.
    pub(super) fn seen(&self) -> BTreeMap<Fate, u64> {
        let mut seen = BTreeMap::new();
        for (flow, packets) in self.flows.iter().filter(|(_, packets)| packets.sent > 0) {
            let dropped = packets.sent.saturating_sub(packets.arrived);
            *seen.entry(flow.fate).or_default() += if flow.fate.arrives() { packets.arrived } else { dropped };
        }
        seen
    }

    /// Where the filter's counters and the taps differ.
    fn disagreements(&self, counters: &Counters) -> Vec<String> {
        let seen = self.seen();
        let differing = seen.iter().filter(|(fate, packets)| counters.of(**fate) != **packets);
        let differing = differing
            .map(|(fate, packets)| format!("`{fate}` counted {} packets, the taps saw {packets}", counters.of(*fate)));
        let unexpected = counters.unexpected(&seen);
        let unexpected = unexpected.map(|(name, packets)| format!("`{name}` counted {packets} packets of no flow"));
        differing.chain(unexpected).collect()
    }

    fn packets_of(&mut self, frame: &Frame) -> &mut Packets {
        let headers = Headers::of(frame);
        let flow = self.flows.iter_mut().find(|(flow, _)| headers.is_some_and(|headers| flow.takes(&headers)));
        flow.map_or(&mut self.upkeep, |(_, packets)| packets)
    }
}

/// What is wrong with the fate of a flow.
fn fault(flow: &Flow, packets: Packets) -> Option<String> {
    let Packets { sent, arrived } = packets;
    let title = flow.title;
    match flow.fate {
        // An error is the answer to something that went amiss: often there is none.
        Fate::Listed(_) | Fate::Dropped(_) if sent == 0 => Some(format!("{title}: nothing was sent")),
        Fate::Listed(_) | Fate::Passed(_) if arrived != sent => {
            Some(format!("{title}: of {sent} packets that are to arrive {arrived} did"))
        }
        Fate::Dropped(_) if arrived != 0 => Some(format!("{title}: {arrived} packets arrived that must not")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::flow::{ANY, Protocol};

    fn flow(title: &'static str, source: &str, fate: Fate) -> Flow {
        let source = source.parse().unwrap();
        Flow { title, source, protocol: Protocol::Udp, source_ports: ANY, ports: ANY, fate }
    }

    /// A datagram from a carrier (1) or a scanner (2).
    fn frame(from: u8) -> Frame {
        let mut start = Vec::new();
        let builder =
            etherparse::PacketBuilder::ethernet2([0; 6], [0; 6]).ipv4([192, 0, 2, from], [198, 51, 100, 10], 64);
        builder.udp(5060, 5060).write(&mut start, b"").unwrap();
        Frame { length: start.len(), start }
    }

    fn check(before: &[u8], behind: &[u8], rule: u64, dropped: u64, expected: &[&str]) {
        let flows = vec![
            flow("carrier", "192.0.2.1/32", Fate::Listed("carrier/sip-udp")),
            flow("scan", "192.0.2.2/32", Fate::Dropped("source_unlisted")),
        ];
        let frames = |sources: &[u8]| sources.iter().map(|source| frame(*source)).collect::<Vec<_>>();
        let counters = Counters::read(&format!(
            r#"{{"rules": [{{"rule": "carrier/sip-udp", "packets": {rule}}}],
                "reasons": [{{"reason": "source_unlisted", "action": "drop", "packets": {dropped}}}]}}"#
        ));
        let ledger = Ledger::new(flows, &frames(before), &frames(behind));
        assert_eq!(ledger.faults(&counters.unwrap()), expected);
    }

    #[test]
    fn all_is_well_where_the_listed_arrive_the_rest_does_not_and_the_counters_say_so() {
        check(&[1, 1, 2], &[1, 1], 2, 1, &[]);
        check(&[1, 2, 9], &[1, 9], 1, 1, &[]);
    }

    #[test]
    fn a_lost_listed_packet_is_a_fault() {
        check(&[1, 1, 2], &[1], 1, 1, &["carrier: of 2 packets that are to arrive 1 did"]);
    }

    #[test]
    fn an_unlisted_packet_that_arrives_is_a_fault() {
        let faults = ["scan: 1 packets arrived that must not"];
        check(&[1, 2, 2], &[1, 2], 1, 1, &faults);
    }

    #[test]
    fn a_counter_that_differs_is_a_fault() {
        check(&[1, 2], &[1], 1, 3, &["`source_unlisted` counted 3 packets, the taps saw 1"]);
        check(&[1, 2], &[1], 0, 1, &["`carrier/sip-udp` counted 0 packets, the taps saw 1"]);
    }

    #[test]
    fn a_flow_that_sent_nothing_is_a_fault() {
        check(&[1], &[1], 1, 0, &["scan: nothing was sent"]);
    }
}
