//! `--top`: who sends most of what is dropped.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use filter_user::telemetry::{By, Event, Fate, Ranked, Span, Trends};
use serde::{Serialize, Serializer};

use crate::cli::output;

/// How much of each kind is shown.
const MOST: usize = 20;

/// What is printed as JSON.
#[derive(Serialize)]
struct Top {
    /// Seconds between the first event and now.
    interval_seconds: u64,
    packets: u64,
    sources: Ranking,
    networks: Ranking,
    ports: Ranking,
}

/// What is ranked, and by what.
struct Ranking {
    by: By,
    rows: Vec<Ranked>,
}

impl Serialize for Ranking {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.rows.iter().map(|ranked| Row::of(self.by, ranked)))
    }
}

/// A row of a ranking: named by what it ranks.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<&'a str>,
    packets: u64,
    reasons: &'a [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    ports: Option<Vec<String>>,
}

impl<'a> Row<'a> {
    fn of(by: By, ranked: &'a Ranked) -> Self {
        let Ranked { what, packets, reasons, wanted } = ranked;
        let named = |wanted| (by == wanted).then_some(what.as_str());
        Self {
            source: named(By::Source),
            network: named(By::Network),
            port: named(By::Wanted),
            packets: *packets,
            reasons,
            ports: (by != By::Wanted).then(|| wanted.iter().map(ToString::to_string).collect()),
        }
    }
}

/// Prints what the events come to.
pub(super) fn print(events: &[Event], json: bool) -> Result<()> {
    let top = Top::of(events)?;
    if json {
        return output::json(&top);
    }
    let would_drop: u64 = events.iter().filter(|event| event.action == Fate::WouldDrop).map(|event| event.weight).sum();
    output::line(&format!(
        "about {} in the last {}\n",
        super::dropped_text(top.packets - would_drop.min(top.packets), would_drop.min(top.packets)),
        crate::cli::time::describe(std::time::Duration::from_secs(top.interval_seconds.max(1)))
    ))?;
    for (heading, ranked) in [("SOURCE", &top.sources.rows), ("NETWORK", &top.networks.rows)] {
        let mut table = output::table([heading, "PACKETS", "REASONS", "WANTED"]);
        for Ranked { what, packets, reasons, wanted } in ranked {
            let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
            table.add_row([what.clone(), packets.to_string(), reasons.join(", "), wanted.join(", ")]);
        }
        output::numbers_in(&mut table, 1);
        output::line(&format!("{table}\n"))?;
    }
    let mut table = output::table(["WANTED", "PACKETS", "REASONS"]);
    for Ranked { what, packets, reasons, wanted: _ } in &top.ports.rows {
        table.add_row([what.clone(), packets.to_string(), reasons.join(", ")]);
    }
    output::numbers_in(&mut table, 1);
    output::line(&table.to_string())
}

impl Top {
    /// Of what is kept, at most an hour old.
    fn of(events: &[Event]) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut trends = Trends::default();
        let recent = events.iter().filter(|event| event.since_epoch().as_secs() + Span::Hour.seconds() > now);
        let first = recent.clone().map(|event| event.since_epoch().as_secs()).min().unwrap_or(now);
        recent.for_each(|event| trends.count(event, event.weight));
        let ranked = |by| Ranking { by, rows: trends.ranked(by, Span::Hour, now, MOST).0 };
        Ok(Self {
            interval_seconds: now - first.min(now),
            packets: trends.total(Span::Hour, now),
            sources: ranked(By::Source),
            networks: ranked(By::Network),
            ports: ranked(By::Wanted),
        })
    }
}
