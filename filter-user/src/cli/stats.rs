//! `sipwall stats`

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use comfy_table::Table;
use filter_user::{
    instant,
    telemetry::{Measured, MeasuredReason, MeasuredRule, Meter, Rate},
};

use super::{
    output::{self, quantity},
    pause::Pauses,
    target::Interfaces,
    time::parse_duration,
};

/// Show what the filter passed and dropped, and how fast
///
/// Counters run from the time the filter was attached, across policies; with `--since-policy` from the time the policy in
/// force was published. Rates are over the interval.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall stats                          # by rule and reason, with rates over a second
  sipwall stats --since-policy           # what the policy in force does, not what those before it did
  sipwall stats eth0 --all               # what counted nothing too
  sipwall stats --follow --interval 10s  # again and again
  sipwall stats --json                   # totals, at once")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Stats {
    #[command(flatten)]
    interfaces: Interfaces,
    /// Print one JSON object a line: totals, with `--interval` or `--follow` rates too
    #[arg(long)]
    json: bool,
    /// Count from when the policy in force was published
    #[arg(long)]
    since_policy: bool,
    /// Show rules and reasons that counted nothing too
    #[arg(long)]
    all: bool,
    /// Show them again after each interval, until a signal
    #[arg(long, short)]
    follow: bool,
    /// What rates are over, from `1s` to `3650d` [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    interval: Option<Duration>,
}

impl Stats {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let interfaces = self.interfaces.or_attached()?;
        if interfaces.is_empty() {
            eprintln!("no filter is attached to any interface");
            return Ok(ExitCode::SUCCESS);
        }
        let meter = if self.since_policy { Meter::since_policy } else { Meter::new };
        let mut meters: Vec<_> = interfaces.iter().map(|interface| meter(interface)).collect();
        let measured = read(&mut meters)?;
        if self.json && !self.follow && self.interval.is_none() {
            measured.iter().try_for_each(output::json)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut pauses = Pauses::new()?;
        while pauses.pause(self.interval.unwrap_or(Duration::from_secs(1))) {
            for measured in read(&mut meters)? {
                if self.json { output::json(&measured)? } else { self.print(&measured)? }
            }
            if !self.follow {
                break;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn print(&self, measured: &Measured) -> Result<()> {
        let totals = measured.totals();
        let mode = match measured.mode {
            Some("monitor") => "MONITOR mode, nothing is dropped",
            Some(mode) => mode,
            None => "NO POLICY, everything passes",
        };
        let rate = |rate: Rate| format!("{} packets/s", quantity(rate.packets_per_second));
        let total = |name, (packets, per_second)| format!("{name} {packets} ({})", rate(per_second));
        let mut all = vec![total("passed", totals.passed), total("dropped", totals.dropped)];
        if totals.would_drop.0 > 0 {
            all.push(total("would drop", totals.would_drop));
        }
        let since = measured.since.map_or_else(String::new, |since| format!("since {}: ", instant::text(since)));
        let (interface, generation) = (&measured.interface, measured.generation);
        let text = format!("{interface}: {mode}, generation {generation}\n{since}{}", all.join(", "));
        let (rules, reasons) = (self.rules(measured), self.reasons(measured));
        output::line(&format!("{text}\n\n{rules}\n\n{reasons}\n"))
    }

    fn rules(&self, measured: &Measured) -> Table {
        let all = measured.totals().packets();
        let mut table = output::table(["RULE", "PACKETS/s", "BIT/s", "PACKETS", "BYTES", "SHARE"]);
        for MeasuredRule { count, rate } in &measured.rules {
            if self.all || count.packets > 0 {
                let numbers = numbers(*rate, count.packets, count.bytes, all);
                table.add_row([count.rule.clone()].into_iter().chain(numbers));
            }
        }
        output::numbers_from(&mut table, 1);
        table
    }

    fn reasons(&self, measured: &Measured) -> Table {
        let all = measured.totals().packets();
        let mut table = output::table(["ACTION", "REASON", "PACKETS/s", "BIT/s", "PACKETS", "BYTES", "SHARE"]);
        for MeasuredReason { count, rate } in &measured.reasons {
            if self.all || count.packets > 0 {
                let names = [count.action.to_owned(), count.reason.to_owned()];
                let numbers = numbers(*rate, count.packets, count.bytes, all);
                table.add_row(names.into_iter().chain(numbers));
            }
        }
        output::numbers_from(&mut table, 2);
        table
    }
}

fn read(meters: &mut [Meter]) -> Result<Vec<Measured>> {
    meters.iter_mut().map(Meter::read).collect()
}

fn numbers(rate: Option<Rate>, packets: u64, bytes: u64, all: u64) -> [String; 5] {
    let rate = rate.unwrap_or_default();
    [
        quantity(rate.packets_per_second),
        quantity(rate.bytes_per_second * 8.0),
        packets.to_string(),
        bytes.to_string(),
        output::share(packets, all),
    ]
}
