//! What a refresh prints.

use std::time::Duration;

use anyhow::Result;
use filter_user::{
    allowlist::diff::Rule,
    instant,
    refresh::{Departing, Outcome, Report, Step},
};

use crate::cli::{output, time};

/// Prints what became of each provider.
pub(super) fn steps(steps: &[Step], as_json: bool) -> Result<()> {
    for Step { report, after, .. } in steps {
        complain(report, after.is_some());
        if as_json {
            output::json(report)?;
        } else {
            show(report)?;
        }
    }
    Ok(())
}

fn complain(report: &Report, is_known: bool) {
    let Report { provider, outcome, why, notes, .. } = report;
    for note in notes {
        eprintln!("note: {provider}: {note}");
    }
    let stays = if is_known { "the last accepted document stays in force" } else { "nothing was accepted before" };
    if let (Outcome::Refused | Outcome::Failed, Some(why)) = (outcome, why) {
        // A hint has a line of its own, behind the sentence.
        let (message, hint) = why.find('\n').map_or((why.as_str(), ""), |end| why.split_at(end));
        eprintln!("error: {provider}: {message}; {stays}{hint}");
    }
}

fn show(report: &Report) -> Result<()> {
    let Report { provider, source, outcome, due_in_seconds, why: _, notes: _, added, removed, departing } = report;
    let due = due_in_seconds.map_or_else(String::new, |seconds| {
        format!(" (next in {}, `--now` asks at once)", time::describe(Duration::from_secs(seconds)))
    });
    output::line(&format!(
        "{provider}: {}{due}, {} added, {} removed, {} in grace ({source})",
        outcome.name(),
        added.len(),
        removed.len(),
        departing.len()
    ))?;
    for (sign, rules) in [('+', added), ('-', removed)] {
        for rule in rules {
            output::line(&format!("  {sign} {}", rule_text(rule)))?;
        }
    }
    for Departing { rule, line, until } in departing {
        output::line(&format!("  ~ {}, once line {line}, until {}", rule_text(rule), instant::text(*until)))?;
    }
    Ok(())
}

fn rule_text(rule: &Rule) -> String {
    let Rule { remote, service, protocol, remote_ports } = rule;
    format!("{remote} {service} {protocol} {remote_ports}").trim_end().to_owned()
}
