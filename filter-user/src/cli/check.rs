//! `sipwall check`

use std::{path::Path, process::ExitCode};

use anyhow::Result;
use filter_user::{
    kernel,
    policy::{Advice, CompiledPolicy, Policy, PortSet, ProviderSummary, Refusal, Refusals, RuleSummary, Summary},
    refresh,
};
use serde_json::{Value, json};

use super::{WRONG_INPUT, output, policy::PolicyArgument, refresh::StateDirectory};

/// Read a policy without putting it in force: what it lets in, and what is likely not meant
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall check policy.toml           # what it lets in, and what is likely not meant
  sipwall check policy.toml --json")]
pub(crate) struct Check {
    #[command(flatten)]
    policy: PolicyArgument,
    #[command(flatten)]
    state: StateDirectory,
    /// Print one JSON object, with what the policy is refused for under `errors`
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let (policy, compiled) = match load(self.policy.path(), &self.state) {
            Ok(loaded) => loaded,
            Err(refusals) => {
                if self.json {
                    output::json(&json!({ "errors": refusals.iter().map(refusal_json).collect::<Vec<_>>() }))?;
                }
                return Ok(refuse(&refusals));
            }
        };
        let (summary, advice) = (policy.summary(&compiled), policy.lint(&compiled));
        if self.json {
            let mut data = serde_json::to_value(summary)?;
            data["lints"] = advice.iter().map(advice_json).collect();
            output::json(&data)?;
        } else {
            show(&summary)?;
            note_missing(&summary.interfaces);
            show_advice(&summary.policy, &advice)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Loads and compiles a policy, with what was last accepted of its sources.
pub(crate) fn load(path: &Path, state: &StateDirectory) -> Result<(Policy, CompiledPolicy), Refusals> {
    let policy = refresh::load(path, &state.store())?;
    let compiled = policy.compile()?;
    Ok((policy, compiled))
}

/// Says what a policy is refused for, and which exit code that is.
pub(crate) fn refuse(refusals: &Refusals) -> ExitCode {
    eprintln!("error: the policy is refused\n{refusals}");
    ExitCode::from(WRONG_INPUT)
}

fn refusal_json(refusal: &Refusal) -> Value {
    let Refusal { code, file, line, message, hint } = refusal;
    json!({ "code": code.code(), "file": file, "line": line, "message": message, "hint": hint })
}

fn advice_json(advice: &Advice) -> Value {
    let Advice { lint, line, message, hint } = advice;
    json!({ "code": lint.code(), "level": lint.level().name(), "line": line, "message": message, "hint": hint })
}

fn show(summary: &Summary) -> Result<()> {
    let Summary { policy, mode, scope, interfaces, addresses, settings, providers, allows, denied, terms, prefixes } =
        summary;
    output::line(&format!("{policy}: {}, {}", mode_text(mode), scope_text(scope)))?;
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let settings: Vec<String> = settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
    for (name, values) in [("interfaces", interfaces), ("addresses", &addresses), ("settings", &settings)] {
        if !values.is_empty() {
            output::line(&format!("{name}: {}", values.join(", ")))?;
        }
    }
    let mut table = output::table(["RULE", "PREFIXES", "PROTOCOL", "THEIR PORTS", "YOUR PORTS"]);
    for rule in providers.iter().flat_map(|provider| &provider.rules).chain(allows) {
        table.add_row(cells(rule));
    }
    if table.row_count() > 0 {
        output::line(&format!("\n{table}\n"))?;
    }
    if providers.iter().flat_map(|provider| &provider.rules).any(|rule| rule.answers) {
        output::line("answers: to what this host opens or asks, on its reply ports\n")?;
    }
    for provider in providers {
        output::line(&provider_text(provider))?;
    }
    output::line(&format!("deny list: {}", number_of_prefixes(*denied)))?;
    output::line(&format!("in the data plane: {terms} terms, {}", number_of_prefixes(*prefixes)))
}

/// Says which interfaces there are none of here, where the policy may be for.
fn note_missing(interfaces: &[String]) {
    for interface in interfaces.iter().filter(|interface| !kernel::interface_exists(interface)) {
        eprintln!("note: this host has no interface `{interface}`");
    }
}

fn number_of_prefixes(prefixes: usize) -> String {
    output::count(prefixes, "prefix", "prefixes")
}

fn mode_text(mode: &str) -> &'static str {
    match mode {
        "monitor" => "MONITOR mode (nothing is dropped)",
        _ => "enforce mode",
    }
}

fn scope_text(scope: &str) -> &'static str {
    match scope {
        "ports" => "scope PORTS (only SIP and media ports are judged, all else passes)",
        _ => "scope interface (what is not listed is dropped)",
    }
}

fn cells(rule: &RuleSummary) -> [String; 5] {
    let RuleSummary { rule, protocol, prefixes, remote_ports, your_ports, answers } = rule;
    let yours = if *answers { "answers".to_owned() } else { your_ports.to_string() };
    [rule.clone(), prefixes.to_string(), protocol.clone(), their_ports(remote_ports), yours]
}

fn their_ports(ports: &PortSet) -> String {
    if ports.is_empty() { "any".to_owned() } else { ports.to_string() }
}

fn provider_text(provider: &ProviderSummary) -> String {
    let ProviderSummary { name, allowlist, regions, rules: _, always_denied } = provider;
    let source = allowlist.as_ref().map_or_else(|| "a trunk".to_owned(), |name| format!("allowlist `{name}`"));
    let regions = if regions.is_empty() { "all regions".to_owned() } else { format!("only {}", regions.join(", ")) };
    let denied = if *always_denied == 0 {
        String::new()
    } else {
        format!(", {} always denied", number_of_prefixes(*always_denied))
    };
    match allowlist {
        Some(_) => format!("{name}: {source}, {regions}{denied}"),
        None => format!("{name}: {source}{denied}"),
    }
}

fn show_advice(policy: &str, advice: &[Advice]) -> Result<()> {
    for Advice { lint, line, message, hint } in advice {
        let place = if *line == 0 { policy.to_owned() } else { format!("{policy}:{line}") };
        output::line(&format!("\n{}[{}]: {place}: {message}\nhint: {hint}", lint.level().name(), lint.code()))?;
    }
    Ok(())
}
