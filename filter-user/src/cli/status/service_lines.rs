//! The service, in a line, and what goes wrong with it, a line each.

use std::time::Duration;

use filter_user::{
    instant, kernel,
    service::{
        self, EventsSnapshot, FleetSnapshot, InterfaceSnapshot, InterfaceState, Liveness, Record, Snapshot,
        SourceSnapshot,
    },
};

use crate::cli::time;

/// What the service says of itself, beside what runs now.
pub(super) struct ServiceLines<'a> {
    record: Option<&'a Record>,
    /// What runs on each of its interfaces.
    running: Vec<Running>,
}

/// What runs on an interface of the service.
struct Running {
    filtered: bool,
    generation: Option<u64>,
    /// Whether something holds beside the policy.
    live: bool,
}

impl<'a> ServiceLines<'a> {
    pub(super) fn of(record: Option<&'a Record>) -> Self {
        let interfaces = record.into_iter().flat_map(|record| record.snapshot.interfaces.keys());
        Self { record, running: interfaces.map(|interface| Running::on(interface)).collect() }
    }

    /// Whether an interface that a living service looks after is there, and has no filter.
    pub(super) fn has_open_interface(&self) -> bool {
        let Some(Record { liveness: Liveness::Running | Liveness::Stalled, snapshot, .. }) = self.record else {
            return false;
        };
        let mut interfaces = snapshot.interfaces.values().zip(&self.running);
        interfaces.any(|(interface, running)| interface.state != InterfaceState::Absent && !running.filtered)
    }

    pub(super) fn text(&self) -> String {
        let Some(record @ Record { snapshot, .. }) = self.record else {
            return "service: not running; what is in force stays, sources are not refreshed".to_owned();
        };
        let mut lines = vec![self.head(record)];
        if let Some(refused) = &snapshot.refused {
            let since = instant::text(refused.since);
            let message = indented(&refused.message);
            lines.push(format!("  POLICY REFUSED since {since}, the one before stays\n    {message}"));
        }
        if let Some(failure) = &snapshot.refresh_failure {
            let since = instant::text(failure.since);
            lines.push(format!("  NOT REFRESHED since {since}: {}", indented(&failure.message)));
        }
        if let Some(failure) = &snapshot.renewal_failure {
            let since = instant::text(failure.since);
            lines.push(format!("  LISTENER NOT RENEWED since {since}: {}", indented(&failure.message)));
        }
        lines.extend(snapshot.fleet.iter().flat_map(fleet_lines));
        let interfaces = snapshot.interfaces.iter().zip(&self.running);
        lines.extend(interfaces.filter_map(|((name, interface), running)| interface_line(name, interface, running)));
        lines.extend(snapshot.sources.iter().map(|(provider, source)| source_line(provider, source)));
        lines.join("\n")
    }

    fn head(&self, Record { liveness, snapshot, said_at }: &Record) -> String {
        let process = snapshot.process;
        match liveness {
            Liveness::Running => format!("service: process {process}, {}", self.follows(snapshot)),
            Liveness::Stalled => {
                format!("service: STALLED, process {process} said nothing since {}", instant::text(*said_at))
            }
            Liveness::Dead => format!(
                "service: DEAD, process {process} ended without a word; it last said how it is {}",
                instant::text(*said_at)
            ),
        }
    }

    /// Where its policy is in force.
    fn follows(&self, Snapshot { policy, interfaces, refused, .. }: &Snapshot) -> String {
        let of_policy = interfaces.values().zip(&self.running);
        let of_policy: Vec<_> = of_policy.filter(|(interface, running)| is_in_force(interface, running)).collect();
        let live = of_policy.iter().any(|(_, running)| running.live);
        let beside = if live { ", beside what is allowed and denied live" } else { "" };
        match (of_policy.len(), interfaces.len()) {
            (0, 0) if refused.is_none() => format!("starts with {policy}"),
            (0, 0) => format!("follows {policy}, which is in force nowhere"),
            (in_force, all) if in_force == all => format!("keeps {policy} in force{beside}"),
            (in_force, all) => format!("follows {policy}, which is in force on {in_force} of {all} interfaces{beside}"),
        }
    }
}

impl Running {
    fn on(interface: &str) -> Self {
        let status = kernel::status(interface).ok();
        let live = kernel::live_summary(interface)
            .is_ok_and(|live| live.allow_count + live.denied_count > 0 || !live.lists.is_empty());
        Self {
            filtered: status.as_ref().is_some_and(|status| status.running),
            generation: status.map(|status| status.generation),
            live,
        }
    }
}

/// Whether the service put its policy in force, and nobody another one since it looked.
fn is_in_force(interface: &InterfaceSnapshot, running: &Running) -> bool {
    interface.state == InterfaceState::Enforced && !has_changed(interface, running)
}

/// Whether something else runs than when the service looked last.
fn has_changed(interface: &InterfaceSnapshot, running: &Running) -> bool {
    interface.generation != running.generation || interface.filtered != running.filtered
}

/// An interface where the service's policy is not in force.
fn interface_line(name: &str, interface: &InterfaceSnapshot, running: &Running) -> Option<String> {
    if has_changed(interface, running) {
        return Some(format!("  {name} CHANGED: something else runs than when the service looked last"));
    }
    let title = interface.state.title()?;
    let open = if interface.is_open() { ", NOT FILTERED," } else { "" };
    let message = interface.message.as_deref().map(|message| format!(": {}", indented(message)));
    Some(format!("  {name} {title}{open} since {}{}", instant::text(interface.since), message.unwrap_or_default()))
}

fn source_line(provider: &str, source: &SourceSnapshot) -> String {
    let why = source.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    let next = time::describe(Duration::from_secs(source.next_at.saturating_sub(service::now())));
    format!("  source of {provider} {}, asked again in {next}{why}", source.outcome.name())
}

/// How the node stands with its fleet: a line, and one for each thing that is wrong.
fn fleet_lines(fleet: &FleetSnapshot) -> Vec<String> {
    let runs = match (&fleet.target, fleet.running) {
        (Some(target), Some(revision)) => format!("revision {revision} of {target} is in force"),
        _ => "its own policy is in force".to_owned(),
    };
    let wanted = match fleet.wanted {
        Some(wanted) if fleet.running != Some(wanted) => format!(", revision {wanted} is wanted"),
        _ => String::new(),
    };
    let mut lines = vec![format!("  fleet: node {}, {}: {runs}{wanted}", fleet.node, fleet.phase)];
    if !fleet.connected {
        let why = fleet.why.as_deref().map(|why| format!(": {}", indented(why))).unwrap_or_default();
        lines.push(format!("  BROKER NOT REACHED since {}{why}; what is in force stays", instant::text(fleet.since)));
    }
    if let Some(EventsSnapshot { published, unpublished, why }) = &fleet.events {
        let why = why.as_deref().map(|why| format!(": {}", indented(why))).unwrap_or_default();
        lines.push(format!("  events: {published} samples published, {unpublished} not{why}"));
    }
    if let Some(problem) = &fleet.problem {
        lines.push(format!("  FLEET since {}: {}", instant::text(problem.since), indented(&problem.message)));
    }
    lines
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n    ")
}
