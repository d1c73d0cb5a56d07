//! `sipwall status`

mod service_lines;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::ValueEnum;
use filter_user::{
    instant,
    kernel::{self, Confirmation},
    service::{self, DEFAULT_RUNTIME, Liveness, Record},
};
use serde::Serialize;

use self::service_lines::ServiceLines;
use super::{live::ends_in, output, target::Interfaces};

/// Show what runs on interfaces
///
/// Exit code 1 where an interface is not filtered that should be: its filter runs no more, or the service cannot attach one.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall status          # every interface that has a filter
  sipwall status eth0 --json
  sipwall status --check=filter    # for probes: exit code 1 if an interface is not filtered")]
pub(crate) struct Status {
    #[command(flatten)]
    interfaces: Interfaces,
    #[command(flatten)]
    runtime: RuntimeDirectory,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Exit with 1 unless the service lives and gets on; with `=filter`, unless every interface runs the filter too
    #[arg(long, value_name = "WHAT", num_args = 0..=1, require_equals = true, default_missing_value = "service")]
    check: Option<Check>,
}

/// What is to be well.
#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum Check {
    /// The service lives and gets on
    Service,
    /// And every interface that it looks after runs the filter, with a policy
    Filter,
}

impl Check {
    /// What is not well, a sentence each.
    fn troubles(self, service: Option<&Record>, filters: &[Filter]) -> Vec<String> {
        let Some(service) = service else { return vec!["no service runs".to_owned()] };
        let mut troubles = match service.liveness {
            Liveness::Running => Vec::new(),
            Liveness::Stalled => vec!["the service does not get on".to_owned()],
            Liveness::Dead => vec!["the service ended without saying so".to_owned()],
        };
        if self == Self::Filter {
            let runs = |name: &str| {
                let mut filters = filters.iter().filter(|filter| filter.status.interface == name);
                filters.any(|filter| filter.status.running && filter.status.mode.is_some())
            };
            let lost = service.snapshot.interfaces.keys().filter(|name| !runs(name));
            troubles.extend(lost.map(|name| format!("`{name}` is not filtered")));
            if service.snapshot.interfaces.is_empty() {
                troubles.push("nothing is filtered".to_owned());
            }
        }
        troubles
    }
}

/// Where the service says how it is.
#[derive(clap::Args)]
pub(crate) struct RuntimeDirectory {
    /// Where the service says how it is
    #[arg(long, value_name = "DIR", default_value = DEFAULT_RUNTIME)]
    pub(crate) runtime: PathBuf,
}

/// What runs on an interface.
#[derive(Serialize)]
struct Filter {
    #[serde(flatten)]
    status: kernel::Status,
    live: kernel::Live,
}

/// What is printed as JSON of an interface that is named.
#[derive(Serialize)]
struct One<'a> {
    #[serde(flatten)]
    filter: &'a Filter,
    service: Option<&'a Record>,
}

/// What is printed as JSON of the whole host: one document, whether there is a filter or not.
#[derive(Serialize)]
struct Host<'a> {
    filters: &'a [Filter],
    other_versions: &'a [kernel::OtherVersion],
    service: Option<&'a Record>,
}

impl Status {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let service = service::read_record(&self.runtime.runtime).unwrap_or_else(|error| {
            eprintln!("note: how the service is cannot be told: {error:#}");
            None
        });
        let service = service.as_ref();
        let interfaces = self.interfaces.or_attached()?;
        let filters: Vec<_> = interfaces.iter().map(|interface| Filter::of(interface)).collect::<Result<_>>()?;
        let other_versions = if self.interfaces.0.is_empty() { kernel::other_versions()? } else { Vec::new() };
        if filters.is_empty() && other_versions.is_empty() {
            eprintln!("no filter is attached to any interface");
        }
        let lines = ServiceLines::of(service);
        match (&self.interfaces.0[..], &filters[..]) {
            ([_], [filter]) if self.json => output::json(&One { filter, service })?,
            _ if self.json => output::json(&Host { filters: &filters, other_versions: &other_versions, service })?,
            _ => show(&filters, &other_versions, &lines)?,
        }
        if let Some(check) = self.check {
            let troubles = check.troubles(service, &filters);
            for trouble in &troubles {
                eprintln!("error: {trouble}");
            }
            return Ok(if troubles.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        let open = filters.iter().any(Filter::is_open) || lines.has_open_interface();
        Ok(if open { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

impl Filter {
    fn of(interface: &str) -> Result<Self> {
        Ok(Self { status: kernel::status(interface)?, live: kernel::live_summary(interface)? })
    }

    /// Whether everything reaches the host by an interface that is there, and has a filter that does not run.
    fn is_open(&self) -> bool {
        !self.status.running && kernel::interface_exists(&self.status.interface)
    }
}

fn show(filters: &[Filter], others: &[kernel::OtherVersion], lines: &ServiceLines<'_>) -> Result<()> {
    for Filter { status, live } in filters {
        output::line(&describe(status, live))?;
    }
    for other in others {
        output::line(&describe_other(other))?;
    }
    output::line(&lines.text())
}

fn describe(status: &kernel::Status, live: &kernel::Live) -> String {
    let running = match (status.running, status.attach_mode) {
        (true, Some(mode)) => format!("running, {mode} XDP"),
        _ => match kernel::renamed(&status.interface) {
            Some(now) => format!("the interface is called `{now}` now, and its filter goes on there"),
            None => "NOT RUNNING: the interface is gone or runs another program".to_owned(),
        },
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
        published = status.published_at.map_or_else(|| "-".to_owned(), instant::text),
        rules = status.rule_count,
        v4 = status.prefixes_v4,
        v6 = status.prefixes_v6,
        denied = status.denied_count,
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
    let kernel::Live {
        allow_count: allows,
        denied_count: denied,
        listed_count: listed,
        lists,
        next_expires_in_seconds,
    } = live;
    if *allows == 0 && *denied == 0 && lists.is_empty() {
        return String::new();
    }
    let lists = if lists.is_empty() { String::new() } else { format!(", {listed} denied by lists") };
    let next = next_expires_in_seconds
        .map_or_else(String::new, |_| format!(", the next ends in {}", ends_in(*next_expires_in_seconds)));
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
        Confirmation::Pending { remaining_seconds, fallback: Some(generation) } => {
            format!("AWAITED: {remaining_seconds} s left, then generation {generation} is in force again")
        }
        Confirmation::Pending { remaining_seconds, fallback: None } => {
            format!("AWAITED: {remaining_seconds} s left, then everything passes")
        }
        Confirmation::RolledBack { generation } => {
            format!("generation {generation} was not confirmed in time and is not in force")
        }
    };
    format!("  confirm     {text}\n")
}
