//! `sipwall fleet deny`

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Subcommand;
use filter_user::{
    fleet::{DenyItem, Target},
    instant,
    service::now,
};
use ipnet::IpNet;
use serde::Serialize;

use super::{
    super::{live, output, time},
    Access, Many, nobody,
};

/// Deny sources on every node, or on those of a group
///
/// Beside the policies: what is denied here holds at once, without a trial, and over every rule.
#[derive(clap::Args)]
pub(super) struct Deny {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Deny hosts or CIDRs
    Add {
        /// Hosts or CIDRs
        #[arg(required = true, value_name = "CIDR", value_parser = live::prefix)]
        prefixes: Vec<IpNet>,
        #[command(flatten)]
        many: Many,
        /// For so long, by the nodes' clocks; for ever, if nothing is said
        #[arg(long = "for", value_name = "TIME", value_parser = time::parse_duration)]
        lasting: Option<Duration>,
        /// What it is for, for whoever reads the list
        #[arg(long, value_name = "TEXT", value_parser = live::comment, default_value = "", hide_default_value = true)]
        comment: String,
        #[command(flatten)]
        access: Access,
    },
    /// Deny no more what was added
    Remove {
        /// Hosts or CIDRs, as they were added
        #[arg(required = true, value_name = "CIDR", value_parser = live::prefix)]
        prefixes: Vec<IpNet>,
        #[command(flatten)]
        many: Many,
        #[command(flatten)]
        access: Access,
    },
    /// Show what is denied
    List {
        #[command(flatten)]
        many: Many,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        access: Access,
    },
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Listed<'a> {
    target: &'a Target,
    #[serde(flatten)]
    item: &'a DenyItem,
}

impl Deny {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Add { prefixes, many, lasting, comment, access } => access.with_operator(async |operator| {
                let until = lasting.map(|lasting| now().saturating_add(lasting.as_secs()));
                let item = |prefix| DenyItem { prefix, until, comment: comment.clone() };
                let target = many.target();
                let revision =
                    operator.deny_add(&target, &prefixes.iter().copied().map(item).collect::<Vec<_>>()).await?;
                eprintln!("revision {revision} of the deny list of `{target}` is published");
                if let Some(nobody) = nobody(&operator.nodes().await?, &target) {
                    eprintln!("warning: {nobody}");
                }
                Ok(ExitCode::SUCCESS)
            }),
            Command::Remove { prefixes, many, access } => access.with_operator(async |operator| {
                let target = many.target();
                let revision = operator.deny_remove(&target, &prefixes).await?;
                eprintln!("revision {revision} of the deny list of `{target}` is published");
                Ok(ExitCode::SUCCESS)
            }),
            Command::List { many, json, access } => access.with_operator(async |operator| {
                let target = many.target();
                show(&target, &operator.denied(&target).await?, json)?;
                Ok(ExitCode::SUCCESS)
            }),
        }
    }
}

fn show(target: &Target, items: &[DenyItem], json: bool) -> Result<()> {
    if json {
        return items.iter().try_for_each(|item| output::json(&Listed { target, item }));
    }
    if items.is_empty() {
        eprintln!("`{target}` denies nothing beside its policy");
        return Ok(());
    }
    let mut table = output::table(["PREFIX", "UNTIL", "COMMENT"]);
    for DenyItem { prefix, until, comment } in items {
        let until = until.map_or_else(|| "for ever".to_owned(), instant::text);
        table.add_row([prefix.to_string(), until, comment.clone()]);
    }
    output::line(&table.to_string())
}
