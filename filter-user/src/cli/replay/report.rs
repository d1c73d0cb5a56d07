//! A replay's summary for people.

use std::io::{self, Write};

use filter_common::Reason;
use filter_user::replay::{Summary, Talker, Tally};

use crate::cli::output;

/// How many senders are shown for each reason.
const SENDERS: usize = 5;
/// How many things that a sender wanted are shown.
const WANTED: usize = 4;

/// Says what would become of the packets: what is dropped, why, from whom and what it wanted, and what rules let in.
pub(super) fn write(output: &mut impl Write, tally: &Tally, summary: &Summary, monitor: bool) -> io::Result<()> {
    write_totals(output, summary, monitor)?;
    for (reason, packets) in tally.drops() {
        write_reason(output, tally, reason, packets)?;
    }
    let forgotten = tally.talkers().forgotten();
    if forgotten > 0 {
        writeln!(output, "\n{forgotten} dropped packets of too many senders to tell apart are not among these")?;
    }
    write_counts(output, "LET IN BY RULE", summary.by_rule.iter())?;
    let passing = summary.by_reason.iter().filter(|(name, _)| passes_without_rule(name));
    write_counts(output, "LET IN WITHOUT A RULE", passing)
}

fn write_totals(output: &mut impl Write, summary: &Summary, monitor: bool) -> io::Result<()> {
    let Summary { packets, passed, dropped, unknown, skipped, by_rule: _, by_reason: _, not_applied: _ } = summary;
    writeln!(output, "{packets} packets: {passed} would pass, {dropped} would be dropped, {unknown} unknown")?;
    if *unknown > 0 {
        writeln!(
            output,
            "unknown: the decision needs octets that the capture cut off; capture with a longer snapshot"
        )?;
    }
    if *skipped > 0 {
        writeln!(output, "{skipped} packets that the host itself sent were left out")?;
    }
    if monitor {
        writeln!(output, "the policy is in monitor mode: attached, it would drop nothing")?;
    }
    writeln!(output, "rate limits and return traffic do not apply in a replay")
}

fn write_reason(output: &mut impl Write, tally: &Tally, reason: Reason, packets: u64) -> io::Result<()> {
    let (talkers, more) = tally.talkers().top(reason, SENDERS);
    writeln!(output, "\nDROPPED FOR {}: {packets}\n{}", reason.name(), reason.description())?;
    let mut table = output::table(["SENDER", "PACKETS", "WANTED"]);
    for talker in &talkers {
        table.add_row([talker.sender.to_string(), talker.packets.to_string(), wanted(talker)]);
    }
    output::numbers_in(&mut table, 1);
    writeln!(output, "{}", table.trim_fmt())?;
    if more > 0 { writeln!(output, " and {more} more senders") } else { Ok(()) }
}

fn wanted(talker: &Talker) -> String {
    let shown = talker.wanted.iter().take(WANTED);
    let mut shown: Vec<_> = shown.map(|(wanted, packets)| format!("{wanted} ({packets})")).collect();
    match talker.wanted.len() - shown.len() {
        0 => {}
        more => shown.push(format!("and {more} more")),
    }
    shown.join(", ")
}

fn passes_without_rule(reason: &str) -> bool {
    Reason::from_name(reason)
        .is_some_and(|reason| reason.action() == filter_common::Action::Pass && !matches!(reason, Reason::Listed))
}

fn write_counts<'a>(
    output: &mut impl Write,
    heading: &str,
    counts: impl Iterator<Item = (&'a String, &'a serde_json::Value)>,
) -> io::Result<()> {
    let mut table = output::table([heading, "PACKETS"]);
    for (name, packets) in counts {
        table.add_row([name.clone(), packets.to_string()]);
    }
    if table.is_empty() {
        return Ok(());
    }
    output::numbers_in(&mut table, 1);
    writeln!(output, "\n{}", table.trim_fmt())
}
