//! What the page is told, once for all that watch it.

use filter_common::Reason;
use serde::Serialize;

use super::{
    concern::{self, Concern, Level},
    snapshot::{
        DroppedPacket, Fill, InterfaceSnapshot, Knocking, RuleTraffic, Samples, Snapshot, SourceSnapshot, Traffic,
    },
};
use crate::{kernel::Status, telemetry::concerns_listed};

/// How many of a list the page shows at the most, and is told of.
const SHOWN: usize = 50;

#[derive(Serialize)]
struct View<'a> {
    version: &'static str,
    taken_at: u64,
    verdict: Verdict,
    concerns: &'a [Concern],
    interfaces: Vec<Interface<'a>>,
    sources: &'a [SourceSnapshot],
}

/// The answer to whether calls are at risk.
#[derive(Debug, Eq, PartialEq, Serialize)]
struct Verdict {
    level: &'static str,
    title: String,
}

#[derive(Serialize)]
struct Interface<'a> {
    status: &'a Status,
    traffic: Columns,
    /// How long lately is, in milliseconds.
    recent_milliseconds: u64,
    rules: Vec<&'a RuleTraffic>,
    reasons: Vec<ReasonView>,
    fill: &'a [Fill],
    drift: Option<bool>,
    samples: Option<Samples>,
    knocking: Option<&'a [Knocking]>,
    drops: Option<&'a [DroppedPacket]>,
}

/// Packets a second in the past minutes, oldest first.
#[derive(Serialize)]
struct Columns {
    passed: Vec<u64>,
    dropped: Vec<u64>,
    would_drop: Vec<u64>,
    listed_dropped: Vec<u64>,
}

#[derive(Serialize)]
struct ReasonView {
    reason: &'static str,
    description: &'static str,
    action: &'static str,
    packets: u64,
    bytes: u64,
    recent_packets: u64,
    /// Whether what ends so came from a listed source, and is refused.
    listed: bool,
}

/// A snapshot as the page is told it.
pub(super) fn encode(snapshot: &Snapshot) -> serde_json::Result<Vec<u8>> {
    let concerns = concern::concerns(snapshot);
    serde_json::to_vec(&View {
        version: env!("CARGO_PKG_VERSION"),
        taken_at: snapshot.taken_at,
        verdict: verdict(snapshot, &concerns),
        concerns: &concerns,
        interfaces: snapshot.interfaces.iter().map(interface).collect(),
        sources: &snapshot.sources,
    })
}

fn verdict(snapshot: &Snapshot, concerns: &[Concern]) -> Verdict {
    if let Some(Concern { level: level @ (Level::Critical | Level::Warning), title, interface, .. }) = concerns.first()
    {
        let level = if *level == Level::Critical { "critical" } else { "warning" };
        let place = interface.as_ref().filter(|_| snapshot.interfaces.len() + snapshot.unreadable.len() > 1);
        return Verdict { level, title: place.map_or_else(|| title.clone(), |place| format!("{place}: {title}")) };
    }
    let calls = snapshot.interfaces.iter().any(|interface| interface.rules.iter().any(|rule| rule.recent_packets > 0));
    let (level, title) = if calls {
        ("good", "Nothing of listed sources is refused")
    } else {
        ("quiet", "Quiet: nothing comes from listed sources")
    };
    Verdict { level, title: title.to_owned() }
}

fn interface(interface: &InterfaceSnapshot) -> Interface<'_> {
    let InterfaceSnapshot { status, reasons, rules, traffic, fill, drift, samples, knocking, drops, .. } = interface;
    let reasons = reasons.iter().filter(|count| count.packets > 0).filter_map(|count| {
        let reason = Reason::from_name(count.reason)?;
        Some(ReasonView {
            reason: count.reason,
            description: reason.description(),
            action: count.action,
            packets: count.packets,
            bytes: count.bytes,
            recent_packets: count.recent_packets,
            listed: concerns_listed(reason),
        })
    });
    Interface {
        status,
        traffic: columns(traffic),
        recent_milliseconds: traffic.iter().rev().take(10).map(|span| span.milliseconds).sum(),
        rules: rules.iter().collect(),
        reasons: reasons.collect(),
        fill,
        drift: *drift,
        samples: *samples,
        knocking: knocking.as_deref(),
        drops: drops.as_deref().map(first),
    }
}

fn first<T>(list: &[T]) -> &[T] {
    &list[..list.len().min(SHOWN)]
}

fn columns(traffic: &[Traffic]) -> Columns {
    let rates = |count: fn(&Traffic) -> u64| traffic.iter().map(|span| rate(count(span), span.milliseconds)).collect();
    Columns {
        passed: rates(|span| span.passed),
        dropped: rates(|span| span.dropped),
        would_drop: rates(|span| span.would_drop),
        listed_dropped: rates(|span| span.listed_dropped),
    }
}

/// Packets a second, rounded up: a single one is not none.
fn rate(packets: u64, milliseconds: u64) -> u64 {
    packets.saturating_mul(1000).div_ceil(milliseconds.max(1))
}
