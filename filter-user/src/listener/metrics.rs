//! `/metrics`: a snapshot for Prometheus. No label is ever a source's address, and every set of labels is bounded.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, prometheus_text, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use super::{
    concern,
    snapshot::{FleetStanding, InterfaceSnapshot, Snapshot},
};
use crate::kernel::{Confirmation, XdpMode};

/// The labels of a metric.
type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

/// How a scraper wants its metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Format {
    /// `OpenMetrics` 1.0, as Prometheus asks for it.
    OpenMetrics,
    /// The older text format, for all others.
    Text,
}

impl Format {
    /// What a request's `Accept` asks for.
    pub(super) fn accepted(accept: Option<&str>) -> Self {
        if accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => prometheus_text::CONTENT_TYPE,
        }
    }
}

/// The snapshot as metrics.
pub(super) fn encode(snapshot: Arc<Snapshot>, format: Format) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("sipwall");
    registry.register_collector(Box::new(Metrics(snapshot)));
    let mut page = String::new();
    match format {
        Format::OpenMetrics => text::encode(&mut page, &registry)?,
        Format::Text => prometheus_text::encode(&mut page, &registry)?,
    }
    Ok(page)
}

#[derive(Debug)]
struct Metrics(Arc<Snapshot>);

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families { encoder };
        let snapshot = &*self.0;
        families.info(
            "build",
            "The version of sipwall that serves this",
            [[("version", env!("CARGO_PKG_VERSION"))]],
        )?;
        let taken_at = snapshot.taken_at / 1000;
        families.gauge("snapshot_timestamp_seconds", "When the filters were last read", [([], taken_at)])?;
        state(&mut families, snapshot)?;
        policy(&mut families, snapshot)?;
        traffic(&mut families, snapshot)?;
        maps(&mut families, snapshot)?;
        samples(&mut families, snapshot)?;
        sources(&mut families, snapshot)?;
        service(&mut families, snapshot)?;
        snapshot.fleet.as_ref().map_or(Ok(()), |standing| fleet(&mut families, standing))
    }
}

/// A value for each interface that can be read.
fn each<'a, T>(
    snapshot: &'a Snapshot,
    value: impl Fn(&'a InterfaceSnapshot) -> T + 'a,
) -> impl Iterator<Item = (Labels<'a, 1>, T)> {
    snapshot.interfaces.iter().map(move |interface| ([("interface", name(interface))], value(interface)))
}

/// A value for each interface that has one.
fn some<'a, T>(
    snapshot: &'a Snapshot,
    value: impl Fn(&'a InterfaceSnapshot) -> Option<T> + 'a,
) -> impl Iterator<Item = (Labels<'a, 1>, T)> {
    each(snapshot, value).filter_map(|(labels, value)| Some((labels, value?)))
}

/// One of several states for each interface: 1 for the one that it is in, 0 for the others.
fn one_of<'a, const N: usize>(
    snapshot: &'a Snapshot,
    label: &'static str,
    states: [&'static str; N],
    current: impl Fn(&'a InterfaceSnapshot) -> &'static str + 'a,
) -> impl Iterator<Item = (Labels<'a, 2>, u64)> {
    snapshot.interfaces.iter().flat_map(move |interface| {
        let current = current(interface);
        states.map(|state| ([("interface", name(interface)), (label, state)], u64::from(state == current)))
    })
}

fn name(interface: &InterfaceSnapshot) -> &str {
    &interface.status.interface
}

fn state(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    let attached = each(snapshot, |interface| u64::from(interface.status.running));
    let missing = snapshot.unreadable.iter().map(|missing| ([("interface", missing.interface.as_str())], 0));
    families.gauge("attached", "Whether the interface runs the filter (1) or not (0)", attached.chain(missing))?;
    let [native, generic, offloaded] = XdpMode::ALL.map(XdpMode::name);
    let attach_mode = one_of(snapshot, "attach_mode", [native, generic, offloaded, "none"], |interface| {
        interface.status.attach_mode.map_or("none", XdpMode::name)
    });
    families.gauge(
        "attach_mode",
        "Where on the way of a packet the filter runs: 1 for the one that holds",
        attach_mode,
    )?;
    let mode =
        one_of(snapshot, "mode", ["enforce", "monitor", "none"], |interface| interface.status.mode.unwrap_or("none"));
    families.gauge("mode", "Whether drops are carried out (enforce) or only counted (monitor)", mode)
}

fn policy(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    let info = snapshot.interfaces.iter().map(|interface| {
        let status = &interface.status;
        let (policy, scope) = (status.policy.as_deref().unwrap_or(""), status.scope.unwrap_or("none"));
        [("interface", name(interface)), ("policy", policy), ("scope", scope)]
    });
    families.info("policy", "The policy in force", info)?;
    let generation = each(snapshot, |interface| interface.status.generation);
    families.gauge("policy_generation", "The number of the policy in force, 0 where none is", generation)?;
    let published = some(snapshot, |interface| interface.status.published_at);
    families.gauge("policy_published_timestamp_seconds", "When the policy in force was published", published)?;
    let rules = each(snapshot, |interface| interface.status.rule_count.into());
    families.gauge("policy_rules", "How many rules the policy in force has", rules)?;
    let pending = each(snapshot, |interface| u64::from(remaining(interface).is_some()));
    families.gauge("confirm_pending", "Whether the policy goes back unless it is confirmed in time", pending)?;
    let left = each(snapshot, |interface| remaining(interface).unwrap_or(0));
    families.gauge("confirm_remaining_seconds", "The time left to confirm the policy, 0 if none is awaited", left)?;
    let rolled_back =
        each(snapshot, |interface| matches!(interface.status.confirmation, Confirmation::RolledBack { .. }).into());
    families.gauge("policy_rolled_back", "Whether the last policy was not confirmed in time", rolled_back)?;
    let drift = some(snapshot, |interface| interface.drift.map(u64::from));
    families.gauge("policy_drift", "Whether the policy file says something else than what runs", drift)
}

fn remaining(interface: &InterfaceSnapshot) -> Option<u64> {
    match interface.status.confirmation {
        Confirmation::Pending { remaining_seconds, .. } => Some(remaining_seconds),
        Confirmation::Confirmed | Confirmation::RolledBack { .. } => None,
    }
}

fn traffic(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    let reasons = || {
        snapshot.interfaces.iter().flat_map(|interface| {
            let labels = |action, reason| [("interface", name(interface)), ("action", action), ("reason", reason)];
            interface.reasons.iter().map(move |count| (labels(count.action, count.reason), count))
        })
    };
    let packets = reasons().map(|(labels, count)| (labels, count.packets));
    families.counter("packets", "Packets by what became of them and why", packets)?;
    let bytes = reasons().map(|(labels, count)| (labels, count.bytes));
    families.counter("bytes", "Octets by what became of them and why, Ethernet header included", bytes)?;
    let rules = || {
        snapshot.interfaces.iter().flat_map(|interface| {
            interface.rules.iter().filter_map(move |count| {
                let (provider, service) = count.rule.split_once('/')?;
                Some(([("interface", name(interface)), ("provider", provider), ("service", service)], count))
            })
        })
    };
    let packets = rules().map(|(labels, count)| (labels, count.packets));
    families.counter(
        "rule_packets",
        "Packets that a rule let in; the provider `allow` is the host's own allows",
        packets,
    )?;
    let bytes = rules().map(|(labels, count)| (labels, count.bytes));
    families.counter("rule_bytes", "Octets that a rule let in, Ethernet header included", bytes)?;
    let at_risk = each(snapshot, |interface| u64::from(concern::is_at_risk(interface)));
    families.gauge(
        "calls_at_risk",
        "Whether 1 % or more of what listed sources sent in the past minute was dropped",
        at_risk,
    )?;
    let denied = each(snapshot, |interface| interface.refused.denied);
    families.gauge(
        "listed_denied_packets",
        "Packets of listed sources on the deny list that were dropped in the past minute, from samples",
        denied,
    )?;
    let unlisted = each(snapshot, |interface| interface.refused.unlisted_sip);
    families.gauge(
        "unlisted_sip_packets",
        "SIP of unlisted sources that was dropped in the past minute, from samples",
        unlisted,
    )
}

fn maps(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    let fill = || {
        snapshot.interfaces.iter().flat_map(|interface| {
            interface.fill.iter().map(move |fill| ([("interface", name(interface)), ("map", fill.map)], fill))
        })
    };
    families.gauge(
        "map_entries",
        "Entries of a map of the filter",
        fill().map(|(labels, fill)| (labels, fill.entries)),
    )?;
    let capacity = fill().map(|(labels, fill)| (labels, fill.capacity));
    families.gauge("map_capacity", "How many entries the map has room for", capacity)
}

fn samples(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    let taken = some(snapshot, |interface| Some(interface.samples?.taken));
    families.counter("samples", "Dropped packets that were sampled", taken)?;
    let lost = some(snapshot, |interface| Some(interface.samples?.lost));
    families.counter("samples_lost", "Dropped packets that were not sampled", lost)
}

fn sources(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    let sources = || snapshot.sources.iter().map(|source| ([("provider", source.provider.as_str())], source));
    let age = sources().filter_map(|(labels, source)| Some((labels, source.age?)));
    families.gauge("refresh_age_seconds", "The age of the source's last accepted answer", age)?;
    let accepted = sources().map(|(labels, source)| (labels, u64::from(source.age.is_some())));
    families.gauge("refresh_accepted", "Whether any answer of the source was ever accepted", accepted)?;
    let every = sources().map(|(labels, source)| (labels, source.every));
    families.gauge("refresh_interval_seconds", "How often the source is asked", every)?;
    let failures = sources().filter_map(|(labels, source)| Some((labels, source.failures?)));
    families.counter("refresh_failures", "Requests to the source that failed or were refused", failures)
}

fn service(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    let lasting = u64::try_from(snapshot.service.errors.len()).unwrap_or(u64::MAX);
    families.gauge("service_errors", "How many things are wrong with the service now", [([], lasting)])?;
    let states = snapshot
        .service
        .states
        .iter()
        .map(|of| ([("interface", of.interface.as_str()), ("state", of.state)], u64::from(of.holds)));
    families.gauge(
        "service_interface_state",
        "How the policy of the service stands on the interface: 1 for the one that holds",
        states,
    )
}

/// Its labels are not those that service discovery gives the node as a target.
fn fleet(families: &mut Families<'_>, standing: &FleetStanding) -> fmt::Result {
    let FleetStanding { node, group, connected, wanted, running, events } = standing;
    let names = [("fleet_node", node.as_str()), ("fleet_group", group.as_deref().unwrap_or_default())];
    families.info("fleet", "The node and its group", [names])?;
    families.gauge(
        "fleet_connected",
        "Whether the fleet's broker is reached (1) or not (0)",
        [([], u64::from(*connected))],
    )?;
    families.gauge(
        "fleet_revision_wanted",
        "The revision of the policy that the fleet wants",
        wanted.map(|wanted| ([], wanted)),
    )?;
    let running = running.unwrap_or_default();
    families.gauge(
        "fleet_revision_running",
        "The revision that is in force; 0 for the node's own policy",
        [([], running)],
    )?;
    let each = |count: usize| events.map(|events| ([], events[count]));
    families.counter("fleet_events_published", "Samples of drops that the fleet's broker took", each(0))?;
    let help = "Samples of drops that were not published: too many at once, or the broker did not take them";
    families.counter("fleet_events_unpublished", help, each(1))
}

/// Writes families of metrics, and none without a value.
struct Families<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Families<'_> {
    fn gauge<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'a, N>, u64)>,
    ) -> fmt::Result {
        self.family(name, help, values, &ConstGauge::new)
    }

    /// A counter; the encoders append `_total`.
    fn counter<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'a, N>, u64)>,
    ) -> fmt::Result {
        self.family(name, help, values, &ConstCounter::new)
    }

    /// A metric that tells by its labels; the encoders append `_info`.
    fn info<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = Labels<'a, N>>,
    ) -> fmt::Result {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let mut encoder = self.encoder.encode_descriptor(name, help, None, MetricType::Info)?;
        values.try_for_each(|labels| encoder.encode_info(&labels))
    }

    fn family<'a, const N: usize, M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'a, N>, u64)>,
        metric: &dyn Fn(u64) -> M,
    ) -> fmt::Result {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let (name, unit) = unit(name);
        let mut encoder = self.encoder.encode_descriptor(name, help, unit.as_ref(), metric(0).metric_type())?;
        values.try_for_each(|(labels, value)| metric(value).encode(encoder.encode_family(&labels)?))
    }
}

/// A metric's name without its unit, and the unit.
fn unit(name: &str) -> (&str, Option<Unit>) {
    match name.rsplit_once('_') {
        Some((name, "seconds")) => (name, Some(Unit::Seconds)),
        Some((name, "bytes")) => (name, Some(Unit::Bytes)),
        _ => (name, None),
    }
}
