//! `sipwall stats`

use std::process::ExitCode;

use anyhow::Result;

use super::output;
use filter_user::kernel;

/// Show what the filter passed and dropped
///
/// Counters run from the time the filter was attached, across policies.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall stats               # what was passed and dropped, by rule and reason
  sipwall stats eth0 --all    # what counted nothing too")]
pub(crate) struct Stats {
    /// The interface; all that have a filter if none is named
    interface: Option<String>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Show rules and reasons that counted nothing too
    #[arg(long)]
    all: bool,
}

impl Stats {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let interfaces = match &self.interface {
            Some(interface) => vec![interface.clone()],
            None => kernel::attached_interfaces()?,
        };
        if interfaces.is_empty() {
            eprintln!("no filter is attached to any interface");
        }
        for interface in &interfaces {
            let stats = kernel::stats(interface)?;
            if self.json { output::json(&stats)? } else { self.print(&stats)? }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn print(&self, stats: &kernel::Stats) -> Result<()> {
        let mode = match stats.mode {
            Some("monitor") => "MONITOR mode, nothing is dropped",
            Some(mode) => mode,
            None => "no policy",
        };
        output::line(&format!("{}: {mode}, generation {}\n", stats.interface, stats.generation))?;
        let mut rules = output::table(["RULE", "PACKETS", "BYTES"]);
        for count in stats.rules.iter().filter(|count| self.all || count.packets > 0) {
            rules.add_row([count.rule.clone(), count.packets.to_string(), count.bytes.to_string()]);
        }
        output::numbers_from(&mut rules, 1);
        output::line(&format!("{rules}\n"))?;
        let mut reasons = output::table(["ACTION", "REASON", "PACKETS", "BYTES"]);
        for count in stats.reasons.iter().filter(|count| self.all || count.packets > 0) {
            let (packets, bytes) = (count.packets.to_string(), count.bytes.to_string());
            reasons.add_row([count.action.to_owned(), count.reason.to_owned(), packets, bytes]);
        }
        output::numbers_from(&mut reasons, 2);
        output::line(&reasons.to_string())
    }
}
