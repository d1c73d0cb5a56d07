//! `sipwall explain`

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use clap::ArgGroup;
use filter_common::{Action, Reason};
use filter_user::{
    kernel::{self, Judgement},
    policy::{CompiledPolicy, Endpoint, Explainer, Explanation, Origin, Policy, Probe, Protocol, TcpFlags},
    refresh, service,
};
use ipnet::IpNet;
use serde::Serialize;

use super::{WRONG_INPUT, allow, check, deny, live, output, refresh::StateDirectory, status::RuntimeDirectory};

/// How many listed neighbours of an unlisted source are named.
const NEIGHBORS: usize = 3;

/// Say what a policy does with a packet, and which line of which document says so
#[derive(clap::Args)]
#[command(group = ArgGroup::new("judge").args(["policy", "live"]).required(true).multiple(true))]
#[command(after_long_help = "Examples:
  sipwall explain --policy policy.toml udp 192.0.2.1:5060 198.51.100.10:5060
  sipwall explain --policy policy.toml tcp 192.0.2.1:40000 198.51.100.10:22 --tcp-flags syn
  sipwall explain --policy policy.toml icmpv6 2001:db8::1 2001:db8::10
  sipwall explain --live eth0 udp 192.0.2.1:5060 198.51.100.10:5060    # by what runs, live entries included")]
pub(crate) struct Explain {
    /// The policy file; with `--live`, the one whose lines are told: by default the one that runs
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Judge by what runs on this interface: policy, deny list, and what was allowed meanwhile
    #[arg(long, visible_alias = "interface", value_name = "INTERFACE")]
    live: Option<String>,
    #[command(flatten)]
    state: StateDirectory,
    #[command(flatten)]
    runtime: RuntimeDirectory,
    #[command(flatten)]
    question: Question,
}

/// The packet that is asked about, and how the answer looks.
#[derive(clap::Args)]
pub(crate) struct Question {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// The flags of a TCP segment, as in `syn,ack`; by default `syn`: would a new connection get in?
    #[arg(long, value_name = "FLAGS")]
    tcp_flags: Option<TcpFlags>,
    /// udp, tcp, icmp, icmpv6 or an IP protocol's number
    #[arg(value_name = "PROTO")]
    protocol: Protocol,
    /// Where it comes from
    #[arg(value_name = "SRC[:PORT]")]
    source: Endpoint,
    /// Where it goes
    #[arg(value_name = "DST[:PORT]")]
    destination: Endpoint,
}

impl Explain {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let Self { policy, live, state, runtime, question } = self;
        let frame = match question.frame() {
            Ok(frame) => frame,
            Err(code) => return Ok(code),
        };
        if let Some(interface) = live {
            let judgement = kernel::judge(&interface, &frame)?;
            note_port(&question.probe());
            let file = policy.or_else(|| file_in_force(&interface, &runtime.runtime));
            let cause = file.and_then(|file| cause(&judgement, &frame, &file, &state));
            if question.json {
                output::json(&Live { judgement: &judgement, cause })?;
            } else {
                show_judgement(&judgement, cause.as_ref())?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        match check::load(&policy.unwrap_or_default(), &state) {
            Ok((policy, compiled)) => question.answer(&frame, &policy, &compiled),
            Err(refusals) => Ok(check::refuse(&refusals)),
        }
    }
}

impl Question {
    fn probe(&self) -> Probe {
        let Self { tcp_flags, protocol, source, destination, .. } = self;
        Probe { protocol: *protocol, source: *source, destination: *destination, tcp_flags: *tcp_flags }
    }

    /// The packet itself, or what is wrong with the question.
    pub(crate) fn frame(&self) -> Result<Vec<u8>, ExitCode> {
        self.probe().frame().map_err(|error| {
            eprintln!("error: {error}");
            ExitCode::from(WRONG_INPUT)
        })
    }

    /// Says what a policy does with it.
    pub(crate) fn answer(&self, frame: &[u8], policy: &Policy, compiled: &CompiledPolicy) -> Result<ExitCode> {
        note_port(&self.probe());
        let explainer = Explainer::new(compiled);
        let explanation = explainer.explain(frame);
        if self.json {
            output::json(&explanation)?;
        } else {
            show(&explanation)?;
            hint(&explanation, &explainer, self.source, policy);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What is printed as JSON of what runs.
#[derive(Serialize)]
struct Live<'a> {
    #[serde(flatten)]
    judgement: &'a Judgement,
    #[serde(flatten)]
    cause: Option<Cause>,
}

/// The prefix that a verdict is owed to, and the line that states it.
#[derive(Serialize)]
struct Cause {
    matched_prefix: Option<IpNet>,
    origin: Option<Origin>,
}

/// The policy file that was put in force; where the filter has only the end of its long path, the service's.
fn file_in_force(interface: &str, runtime: &Path) -> Option<PathBuf> {
    let kept = kernel::status(interface).ok().and_then(|status| status.policy).map(PathBuf::from);
    kept.filter(|file| file.is_file())
        .or_else(|| service::read_record(runtime).ok()?.map(|record| PathBuf::from(record.snapshot.policy)))
}

/// The kernel has no lines: they are those of the policy file, if that is what runs.
fn cause(judgement: &Judgement, frame: &[u8], file: &Path, state: &StateDirectory) -> Option<Cause> {
    if judgement.live_allow.is_some() || judgement.denied.as_ref().is_some_and(|denied| !denied.by_policy) {
        return None;
    }
    let untold = |why: &str| eprintln!("note: no line is told: `{}` {why}", file.display());
    let loaded = refresh::load(file, &state.store()).and_then(|policy| policy.compile());
    let Ok(compiled) = loaded else {
        untold("is refused: see `sipwall check`");
        return None;
    };
    if !kernel::compare(&judgement.interface, &compiled).is_ok_and(|comparison| comparison.same) {
        untold("is not what runs: see `sipwall diff`");
        return None;
    }
    let Explanation { matched_prefix, origin, .. } = Explainer::new(&compiled).explain(frame);
    Some(Cause { matched_prefix, origin })
}

/// Says which source port is taken where none is given.
fn note_port(probe: &Probe) {
    if probe.assumes_port() {
        eprintln!("note: no source port is given: {} is assumed", Probe::ASSUMED_PORT);
    }
}

fn show(explanation: &Explanation) -> Result<()> {
    let Explanation { action, rule, reason, matched_prefix, origin } = explanation;
    output::line(action.name())?;
    output::line(&format!("  reason   {}: {}", reason.name(), reason.description()))?;
    if let Some(rule) = rule {
        output::line(&format!("  rule     {rule}"))?;
    }
    if let Some(prefix) = matched_prefix {
        output::line(&format!("  prefix   {prefix}"))?;
    }
    match origin {
        Some(origin) => output::line(&format!("  origin   {origin}")),
        None => Ok(()),
    }
}

fn show_judgement(judgement: &Judgement, cause: Option<&Cause>) -> Result<()> {
    let Judgement { interface, generation, action, rule, reason, monitor, live_allow, denied } = judgement;
    output::line(action.name())?;
    output::line(&format!("  reason   {}: {}", reason.name(), reason.description()))?;
    if let Some(rule) = rule {
        output::line(&format!("  rule     {rule}"))?;
    }
    let by = match (live_allow, denied) {
        (Some(entry), _) => {
            let (ends, comment) = (live::ends_in(entry.expires_in_seconds), live::remark(entry.comment.as_deref()));
            format!("the live allow `{}`: {}; ends in {ends}; comment {comment}", entry.name, allow::lets_in(entry))
        }
        (None, Some(denied)) => {
            let (ends, comment) = (live::ends_in(denied.expires_in_seconds), live::remark(denied.comment.as_deref()));
            format!("{} of the deny list, by {}; ends in {ends}; comment {comment}", denied.prefix, deny::by(denied))
        }
        (None, None) if *generation == 0 => format!("no policy is in force on {interface}"),
        (None, None) => format!("generation {generation} on {interface}"),
    };
    output::line(&format!("  by       {by}"))?;
    if let Some(prefix) = cause.and_then(|cause| cause.matched_prefix) {
        output::line(&format!("  prefix   {prefix}"))?;
    }
    if let Some(origin) = cause.and_then(|cause| cause.origin.as_ref()) {
        output::line(&format!("  origin   {origin}"))?;
    }
    if *monitor && *action == Action::Drop {
        eprintln!("note: `mode = \"monitor\"`: it is counted as dropped, and passes");
    }
    Ok(())
}

/// What helps on: what the source may send, or who beside it is listed.
fn hint(explanation: &Explanation, explainer: &Explainer<'_>, source: Endpoint, policy: &Policy) {
    if explanation.action == Action::Pass {
        return;
    }
    if policy.file().sbc.monitor {
        eprintln!("note: `mode = \"monitor\"`: it is counted as dropped, and passes");
    }
    let allowed = explainer.allowed_from(source.address);
    match explanation.reason {
        Reason::PortClosed | Reason::SourcePort | Reason::OpeningSegment | Reason::ProtocolUnlisted => {
            eprintln!("hint: {} may send", source.address);
            for line in allowed {
                eprintln!("  {line}");
            }
        }
        Reason::SourceUnlisted => {
            for (prefix, origin) in explainer.neighbors(source.address).iter().take(NEIGHBORS) {
                eprintln!("hint: its neighbour {prefix} is listed: {origin}");
            }
        }
        _ => {}
    }
}
