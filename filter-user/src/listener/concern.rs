//! Whether calls are at risk: what an operator should know at once, worst first.

use std::collections::BTreeMap;

use serde::Serialize;

use super::snapshot::{Fill, InterfaceSnapshot, RuleTraffic, Snapshot, SourceSnapshot};
use crate::{
    kernel::{Confirmation, Status, XdpMode},
    telemetry::{Calls, Risk, SILENCE, provider},
};

/// How much a concern matters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Calls fail, or nothing is filtered.
    Critical,
    /// It should be looked at.
    Warning,
    /// It is good to know.
    Note,
}

/// Something that an operator should know.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Concern {
    /// How much it matters.
    pub level: Level,
    /// The interface that it is about; nothing where it is about all of them.
    pub interface: Option<String>,
    /// In a few words.
    pub title: String,
    /// In a sentence, with what to do.
    pub text: String,
}

/// How full a map may be, in hundredths.
const FULL: u64 = 80;
/// How many times the pause between two requests a source's answer may be old.
const OVERDUE: u64 = 3;
/// How many of the last moments are looked at for drops: a minute.
const LATELY: usize = 60;

/// Everything that there is to say, worst first.
pub(super) fn concerns(snapshot: &Snapshot) -> Vec<Concern> {
    let mut found = Vec::new();
    for unreadable in &snapshot.unreadable {
        let text = format!("{}. `sipwall status` says more.", sentence(&unreadable.why));
        found.push(of(&unreadable.interface, Level::Critical, "Not filtered", text));
    }
    if snapshot.interfaces.is_empty() && snapshot.unreadable.is_empty() {
        let text = "No filter is attached to any interface: everything passes. `sipwall attach` attaches one.";
        found.push(of_all(Level::Critical, "Not filtered", text.to_owned()));
    }
    for interface in &snapshot.interfaces {
        traffic(interface, &mut found);
        state(&interface.status, &mut found);
    }
    found.extend(snapshot.sources.iter().filter_map(overdue));
    for error in &snapshot.service.errors {
        found.push(of_all(Level::Warning, "The service reports an error", error.clone()));
    }
    found.sort_by_key(|concern| concern.level);
    found
}

fn of(interface: &str, level: Level, title: &str, text: String) -> Concern {
    Concern { level, interface: Some(interface.to_owned()), title: title.to_owned(), text }
}

fn of_all(level: Level, title: &str, text: String) -> Concern {
    Concern { level, interface: None, title: title.to_owned(), text }
}

/// A message as the beginning of a sentence.
fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What runs, and whether it stays.
fn state(status: &Status, found: &mut Vec<Concern>) {
    let mut say = |level, title, text: String| found.push(of(&status.interface, level, title, text));
    if !status.running {
        let text = "The interface is gone or runs another program: everything passes. `sipwall attach` puts it back.";
        say(Level::Critical, "Not filtered", text.to_owned());
    }
    match &status.confirmation {
        Confirmation::Confirmed => {}
        Confirmation::Pending { remaining_seconds, fallback } => {
            let then =
                fallback.map_or_else(|| "everything passes".to_owned(), |last| format!("generation {last} is back"));
            let text = format!("In {remaining_seconds} s {then}, unless `sipwall confirm` keeps the policy.");
            say(Level::Warning, "The policy is on trial", text);
        }
        Confirmation::RolledBack { generation } => {
            let text = format!("Generation {generation} was not confirmed in time, and the policy before it is back.");
            say(Level::Warning, "The policy fell back", text);
        }
    }
    match status.mode {
        None => say(Level::Critical, "No policy", "No policy is in force: everything passes.".to_owned()),
        Some("monitor") => {
            let text = "Drops are counted, and nothing is dropped: scanners reach the SBC. \
                        Set `mode = \"enforce\"` and `sipwall apply` the policy.";
            say(Level::Warning, "Monitor mode", text.to_owned());
        }
        Some(_) => {}
    }
    if status.attach_mode == Some(XdpMode::Generic) {
        let text = "The program runs in the stack, not in the driver: a flood costs several times more.";
        say(Level::Note, "Generic XDP", text.to_owned());
    }
}

fn traffic(interface: &InterfaceSnapshot, found: &mut Vec<Concern>) {
    let name = &interface.status.interface;
    found.extend(listed_drops(interface));
    found.extend(unlisted_sip(interface));
    found.extend(silent(name, &interface.rules));
    found.extend(interface.fill.iter().filter_map(|fill| full(name, fill)));
    if interface.drift == Some(true) {
        let text = "The policy file says something else than what runs. `sipwall diff` shows what.".to_owned();
        found.push(of(name, Level::Warning, "Drift", text));
    }
}

/// Packets of listed sources that were dropped in the past minute, or would have been.
fn listed_drops(interface: &InterfaceSnapshot) -> Option<Concern> {
    let calls = calls(interface);
    let (level, title) = match (calls.risk(), is_monitored(interface)) {
        (Risk::Nothing, _) => return None,
        (Risk::Little, true) => (Level::Warning, "Enforcing would refuse some packets of listed sources"),
        (Risk::Calls, true) => (Level::Warning, "Enforcing would put calls at risk"),
        (Risk::Little, false) => (Level::Warning, "Some packets of listed sources are refused"),
        (Risk::Calls, false) => (Level::Critical, "Calls at risk"),
    };
    let (Calls { dropped, passed }, fate) = (calls, fate(interface));
    let why = match interface.refused.denied {
        0 => "The reasons that are marked as listed say why.".to_owned(),
        denied => format!("About {denied} of them are of sources on the deny list: `sipwall deny list` has it."),
    };
    let text = format!(
        "In the past minute {dropped} packets from listed sources {fate}, and {passed} were let in by a provider's \
         rule. {why}"
    );
    Some(of(&interface.status.interface, level, title, text))
}

/// What became of calls in the past minute.
fn calls(interface: &InterfaceSnapshot) -> Calls {
    let minute = || interface.traffic.iter().rev().take(LATELY);
    let listed = minute().map(|span| span.listed_dropped).sum();
    Calls::new(listed, interface.refused, minute().map(|span| span.by_rule).sum())
}

/// Whether calls are at risk now.
pub(super) fn is_at_risk(interface: &InterfaceSnapshot) -> bool {
    calls(interface).risk() == Risk::Calls && !is_monitored(interface)
}

fn is_monitored(interface: &InterfaceSnapshot) -> bool {
    interface.status.mode == Some("monitor")
}

fn fate(interface: &InterfaceSnapshot) -> &'static str {
    if is_monitored(interface) { "would have been refused" } else { "were refused" }
}

/// SIP of sources that no rule names. Whether they could call before is not kept.
fn unlisted_sip(interface: &InterfaceSnapshot) -> Option<Concern> {
    let packets = interface.refused.unlisted_sip;
    let text = format!(
        "In the past minute about {packets} packets from unlisted sources to the ports of SIP {}. Whether these are \
         scanners, or callers whose rule is gone, is not known: look at who is knocking.",
        fate(interface)
    );
    (packets > 0).then(|| of(&interface.status.interface, Level::Note, "SIP of unlisted sources", text))
}

/// Providers of which nothing has come for minutes, and something before.
fn silent(interface: &str, rules: &[RuleTraffic]) -> Vec<Concern> {
    let mut providers: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for rule in rules {
        if let Some(provider) = provider(&rule.rule) {
            let (packets, quiet_for) = providers.entry(provider).or_insert((0, u64::MAX));
            *packets += rule.packets;
            *quiet_for = rule.quiet_for.min(*quiet_for);
        }
    }
    let silent = providers.into_iter().filter(|(_, (packets, quiet))| *packets > 0 && *quiet >= SILENCE.as_secs());
    silent
        .map(|(provider, (_, quiet_for))| {
            let text = format!("Nothing has come from it for {} minutes, and something before.", quiet_for / 60);
            of(interface, Level::Warning, &format!("{provider} is silent"), text)
        })
        .collect()
}

fn full(interface: &str, fill: &Fill) -> Option<Concern> {
    let Fill { map, entries, capacity } = fill;
    let text = format!("{entries} of {capacity} entries of `{map}` are taken.");
    (entries * 100 > capacity * FULL).then(|| of(interface, Level::Warning, "A map is nearly full", text))
}

fn overdue(source: &SourceSnapshot) -> Option<Concern> {
    let SourceSnapshot { provider, age, every, failures: _ } = source;
    let text = match age {
        None => format!("No document of {provider} was fetched and accepted yet. `sipwall refresh` says why."),
        Some(age) if *age > every.saturating_mul(OVERDUE) => {
            format!(
                "The document of {provider} was last accepted {} minutes ago. `sipwall refresh` says why.",
                age / 60
            )
        }
        Some(_) => return None,
    };
    Some(of_all(Level::Warning, "A source is not refreshed", text))
}
