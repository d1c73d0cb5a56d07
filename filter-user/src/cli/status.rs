//! `sipwall status`

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Result;

use filter_user::{
    kernel::{self, Confirmation},
    service::{self, DEFAULT_RUNTIME, FleetSnapshot, Liveness, Record},
};
use serde::Serialize;

use super::{live::ends_in, output, time};

/// Show what runs on interfaces
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall status          # every interface that has a filter
  sipwall status eth0 --json")]
pub(crate) struct Status {
    /// The interface; all that have a filter if none is named
    interface: Option<String>,
    #[command(flatten)]
    runtime: RuntimeDirectory,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Where the service says how it is.
#[derive(clap::Args)]
pub(crate) struct RuntimeDirectory {
    /// Where the service says how it is
    #[arg(long, value_name = "DIR", default_value = DEFAULT_RUNTIME)]
    pub(crate) runtime: PathBuf,
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    status: &'a kernel::Status,
    live: &'a kernel::Live,
    service: Option<&'a Record>,
}

/// What is printed as JSON of a filter that another version attached.
#[derive(Serialize)]
struct Other<'a> {
    other_version: bool,
    #[serde(flatten)]
    other: &'a kernel::OtherVersion,
}

impl Status {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let service = service::read_record(&self.runtime.runtime).unwrap_or_else(|error| {
            eprintln!("note: how the service is cannot be told: {error:#}");
            None
        });
        let (interfaces, others) = match self.interface {
            Some(interface) => (vec![interface], Vec::new()),
            None => (kernel::attached_interfaces()?, kernel::other_versions()?),
        };
        if interfaces.is_empty() && others.is_empty() {
            eprintln!("no filter is attached to any interface");
        }
        for interface in &interfaces {
            let (status, live) = (kernel::status(interface)?, kernel::live_summary(interface)?);
            if self.json {
                output::json(&Report { status: &status, live: &live, service: service.as_ref() })?;
            } else {
                output::line(&describe(&status, &live))?;
            }
        }
        for other in &others {
            if self.json {
                output::json(&Other { other_version: true, other })?;
            } else {
                output::line(&describe_other(other))?;
            }
        }
        if !self.json {
            output::line(&service_text(service.as_ref()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn describe(status: &kernel::Status, live: &kernel::Live) -> String {
    let running = match (status.running, status.xdp_mode) {
        (true, Some(mode)) => format!("running, {mode} XDP"),
        _ => "NOT RUNNING: the interface is gone or runs another program".to_owned(),
    };
    let mode = match status.mode {
        Some("monitor") => "MONITOR: drops are counted, nothing is dropped",
        Some(mode) => mode,
        None => "NO POLICY: everything passes",
    };
    let policy = status.policy.as_deref().unwrap_or("-");
    format!(
        "{interface}: {running}\n\
         \x20 mode        {mode}\n\
         {confirmation}\
         \x20 scope       {scope}\n\
         \x20 policy      {policy}, generation {generation}, published {published}\n\
         \x20 rules       {rules}\n\
         \x20 prefixes    {v4} IPv4, {v6} IPv6, {denied} denied\n\
         {live}\
         \x20 program     id {program}, {build}",
        interface = status.interface,
        confirmation = confirmation(&status.confirmation),
        scope = status.scope.unwrap_or("-"),
        generation = status.generation,
        published = status.published_at.map_or_else(|| "-".to_owned(), output::time),
        rules = status.rules,
        v4 = status.prefixes_v4,
        v6 = status.prefixes_v6,
        denied = status.denied,
        live = beside(live),
        program = status.program_id,
        build = build(status),
    )
}

/// A filter whose maps only another version can read.
fn describe_other(kernel::OtherVersion { interface, pins }: &kernel::OtherVersion) -> String {
    format!(
        "{interface}: a filter of ANOTHER VERSION of sipwall, in `{}`: its policy is in force, and this version cannot read \
         it\n  hint: `sipwall attach {interface} --policy FILE` puts this version's in its place, `sipwall detach \
         {interface}` removes it",
        pins.display()
    )
}

/// A line of its own, where anything holds beside the policy.
fn beside(live: &kernel::Live) -> String {
    let kernel::Live { allows, denied, listed, lists, next_expiry } = live;
    if *allows == 0 && *denied == 0 && lists.is_empty() {
        return String::new();
    }
    let lists = if lists.is_empty() { String::new() } else { format!(", {listed} denied by lists") };
    let next = next_expiry.map_or_else(String::new, |_| format!(", the next ends in {}", ends_in(*next_expiry)));
    format!("  live        {allows} allows, {denied} denied{lists}{next}\n")
}

/// Which build of the program runs.
fn build(status: &kernel::Status) -> String {
    let noted = status.build.as_deref().unwrap_or("of an unknown build");
    if status.is_this_build {
        return noted.to_owned();
    }
    format!("{noted}: NOT THIS BINARY'S; `sipwall attach {} --policy FILE` swaps it", status.interface)
}

/// A line of its own, where there is something to say.
fn confirmation(confirmation: &Confirmation) -> String {
    let text = match confirmation {
        Confirmation::Confirmed => return String::new(),
        Confirmation::Pending { seconds_left, fallback: Some(generation) } => {
            format!("AWAITED: {seconds_left} s left, then generation {generation} is in force again")
        }
        Confirmation::Pending { seconds_left, fallback: None } => {
            format!("AWAITED: {seconds_left} s left, then everything passes")
        }
        Confirmation::RolledBack { generation } => {
            format!("generation {generation} was not confirmed in time and is not in force")
        }
    };
    format!("  confirm     {text}\n")
}

/// The service, in a line, and what goes wrong with it, a line each.
fn service_text(record: Option<&Record>) -> String {
    let Some(Record { liveness, snapshot, said_at }) = record else {
        return "service: not running; what is in force stays, sources are not refreshed".to_owned();
    };
    let process = snapshot.process;
    let mut lines = vec![match liveness {
        Liveness::Running => format!("service: process {process}, keeps {} in force", snapshot.policy),
        Liveness::Stalled => {
            format!("service: STALLED, process {process} said nothing since {}", output::time(*said_at))
        }
        Liveness::Dead => format!(
            "service: DEAD, process {process} ended without a word; it last said how it is {}",
            output::time(*said_at)
        ),
    }];
    if let Some(refused) = &snapshot.refused {
        let since = output::time(refused.since);
        lines.push(format!("  POLICY REFUSED since {since}, the one before stays\n    {}", indented(&refused.message)));
    }
    if let Some(failure) = &snapshot.refresh_failure {
        lines.push(format!("  NOT REFRESHED since {}: {}", output::time(failure.since), indented(&failure.message)));
    }
    if let Some(failure) = &snapshot.renewal_failure {
        let since = output::time(failure.since);
        lines.push(format!("  LISTENER NOT RENEWED since {since}: {}", indented(&failure.message)));
    }
    lines.extend(snapshot.fleet.iter().flat_map(fleet_lines));
    for (name, interface) in &snapshot.interfaces {
        let state = match interface.state {
            service::InterfaceState::Enforced => continue,
            service::InterfaceState::Held | service::InterfaceState::Guarded => "WAITS",
            service::InterfaceState::Absent => "ABSENT",
            service::InterfaceState::Failed => "FAILED",
        };
        let message = interface.message.as_deref().map(|message| format!(": {}", indented(message)));
        lines.push(format!("  {name} {state} since {}{}", output::time(interface.since), message.unwrap_or_default()));
    }
    for (provider, source) in &snapshot.sources {
        let why = source.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        let next = time::describe(Duration::from_secs(source.next_at.saturating_sub(now())));
        lines.push(format!("  source of {provider} {}, asked again in {next}{why}", source.outcome.name()));
    }
    lines.join("\n")
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
        lines.push(format!("  BROKER NOT REACHED since {}{why}; what is in force stays", output::time(fleet.since)));
    }
    if let Some(problem) = &fleet.problem {
        lines.push(format!("  FLEET since {}: {}", output::time(problem.since), indented(&problem.message)));
    }
    lines
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n    ")
}

/// Seconds since the epoch.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
