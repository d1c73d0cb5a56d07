//! `sipwall diff`

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use filter_user::{
    kernel::{self, Comparison, Lately},
    policy::{OutlineDiff, PrefixDiff, RuleDiff, SettingDiff},
};

use super::{check, output, refresh::StateDirectory, target::Target, time};

/// How many prefixes are shown of a rule.
const SHOWN: usize = 8;

/// Compare a policy file with what runs
///
/// Shows what `apply` would change, and for what it would remove how much that passed lately. Exit code 0 if nothing would
/// change, 1 if something would, 2 if they cannot be compared.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall diff policy.toml
  sipwall diff eth0 policy.toml --json")]
pub(crate) struct Diff {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    state: StateDirectory,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl Diff {
    pub(crate) fn run(self) -> Result<ExitCode> {
        // As of diff(1): 1 says that they differ, and nothing else.
        self.compare().or_else(|error| {
            eprintln!("error: {}", super::described(&error));
            Ok(ExitCode::from(super::WRONG_INPUT))
        })
    }

    fn compare(self) -> Result<ExitCode> {
        let (policy, compiled) = match check::load(&self.target.policy, &self.state) {
            Ok(loaded) => loaded,
            Err(refusals) => return Ok(check::refuse(&refusals)),
        };
        let interfaces = match &self.target.interfaces[..] {
            [] => &policy.file().sbc.interfaces,
            _ => &self.target.interfaces,
        };
        if interfaces.is_empty() {
            eprintln!("error: no interface is named\nhint: name one, or set `interfaces` in the policy's `[sbc]`");
            return Ok(ExitCode::from(super::WRONG_INPUT));
        }
        let mut same = true;
        for interface in interfaces {
            let comparison = kernel::compare(interface, &compiled)?;
            same &= comparison.same;
            if self.json { output::json(&comparison)? } else { show(&comparison)? }
        }
        Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Shows a comparison as a patch does.
pub(crate) fn show(comparison: &Comparison) -> Result<()> {
    let Comparison { interface, same, generation, diff, lately } = comparison;
    if *same {
        return output::line(&format!("{interface}: generation {generation} is what the file says"));
    }
    output::line(&format!("{interface}: generation {generation} would change"))?;
    show_changes(diff, lately.as_ref())
}

/// Shows what changes, for what is removed with what it passed lately.
pub(crate) fn show_changes(diff: &OutlineDiff, lately: Option<&Lately>) -> Result<()> {
    for SettingDiff { setting, from, to } in &diff.settings {
        output::line(&format!("  {setting}: {from} → {to}"))?;
    }
    for RuleDiff { grant, prefixes } in &diff.rules {
        output::line(&format!("  {}: {}{}", grant.rule, grant.what, passed(&grant.rule, prefixes, lately)))?;
        show_prefixes(prefixes)?;
    }
    if !diff.denied.is_empty() {
        output::line("  deny list")?;
        show_prefixes(&diff.denied)?;
    }
    if diff.is_empty() {
        output::line("  nothing that a rule, a port or a setting shows")?;
    }
    Ok(())
}

/// What a rule that loses prefixes let in lately.
fn passed(rule: &str, prefixes: &PrefixDiff, lately: Option<&Lately>) -> String {
    match lately {
        Some(lately) if !prefixes.removed.is_empty() => {
            let span = time::describe(Duration::from_secs(lately.interval_seconds));
            format!(" (the rule passed {} packets in the last {span})", lately.packets_by_rule.get(rule).unwrap_or(&0))
        }
        _ => String::new(),
    }
}

fn show_prefixes(prefixes: &PrefixDiff) -> Result<()> {
    for (sign, changed) in [('-', &prefixes.removed), ('+', &prefixes.added)] {
        for prefix in changed.iter().take(SHOWN) {
            output::line(&format!("    {sign} {prefix}"))?;
        }
        if let Some(more) = changed.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            output::line(&format!("    {sign} {more} more"))?;
        }
    }
    Ok(())
}
