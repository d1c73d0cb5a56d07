//! `sipwall status`

use std::process::ExitCode;

use anyhow::Result;

use super::{live::ends_in, output};
use filter_user::kernel::{self, Confirmation};

/// Show what runs on interfaces
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall status          # every interface that has a filter
  sipwall status eth0 --json")]
pub(crate) struct Status {
    /// The interface; all that have a filter if none is named
    interface: Option<String>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let interfaces = match self.interface {
            Some(interface) => vec![interface],
            None => kernel::attached_interfaces()?,
        };
        if interfaces.is_empty() {
            eprintln!("no filter is attached to any interface");
        }
        for interface in &interfaces {
            let status = kernel::status(interface)?;
            if self.json { output::json(&status)? } else { output::line(&describe(&status))? }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn describe(status: &kernel::Status) -> String {
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
         \x20 program     id {program}",
        interface = status.interface,
        confirmation = confirmation(&status.confirmation),
        scope = status.scope.unwrap_or("-"),
        generation = status.generation,
        published = output::time(status.published_at),
        rules = status.rules,
        v4 = status.prefixes_v4,
        v6 = status.prefixes_v6,
        denied = status.denied,
        live = live(&status.live),
        program = status.program_id,
    )
}

/// A line of its own, where anything holds beside the policy.
fn live(live: &kernel::Live) -> String {
    let kernel::Live { allows, denied, listed, lists, next_expiry } = live;
    if *allows == 0 && *denied == 0 && lists.is_empty() {
        return String::new();
    }
    let lists = if lists.is_empty() { String::new() } else { format!(", {listed} denied by lists") };
    let next = next_expiry.map_or_else(String::new, |_| format!(", the next ends in {}", ends_in(*next_expiry)));
    format!("  live        {allows} allows, {denied} denied{lists}{next}\n")
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
