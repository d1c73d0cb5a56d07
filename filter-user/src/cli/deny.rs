//! `sipwall deny`

use std::{net::IpAddr, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Subcommand;
use filter_user::kernel::{self, DeniedPrefix};
use ipnet::IpNet;
use serde::Serialize;

use super::{output, time};

/// Deny sources while the filter runs
///
/// What is added here holds over every rule, survives `apply`, and ends with `detach`. What the link itself needs passes
/// even from a denied source.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall deny add 192.0.2.66 --for 2h
  sipwall deny list
  sipwall deny remove 192.0.2.66")]
pub(crate) struct Deny {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Deny hosts or CIDRs
    Add {
        /// Hosts or CIDRs
        #[arg(required = true, value_name = "CIDR", value_parser = prefix)]
        prefixes: Vec<IpNet>,
        /// For so long, and no longer: the kernel ends it, whatever runs then
        #[arg(long = "for", value_name = "TIME", value_parser = time::parse_duration)]
        lasting: Option<Duration>,
        #[command(flatten)]
        interfaces: Interfaces,
    },
    /// Deny no more what was added
    Remove {
        /// Hosts or CIDRs, as they were added
        #[arg(required = true, value_name = "CIDR", value_parser = prefix)]
        prefixes: Vec<IpNet>,
        #[command(flatten)]
        interfaces: Interfaces,
    },
    /// Show what is denied, by the policy and by what was added
    List {
        #[command(flatten)]
        interfaces: Interfaces,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
}

#[derive(clap::Args)]
struct Interfaces {
    /// Only this interface; all that have a filter if none is named
    #[arg(long = "interface", value_name = "INTERFACE")]
    named: Vec<String>,
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Listed<'a> {
    interface: &'a str,
    #[serde(flatten)]
    denied: &'a DeniedPrefix,
}

impl Deny {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Add { prefixes, lasting, interfaces } => add(&interfaces.names()?, &prefixes, lasting)?,
            Command::Remove { prefixes, interfaces } => return remove(&interfaces.names()?, &prefixes),
            Command::List { interfaces, json } => list(&interfaces.names()?, json)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Interfaces {
    fn names(self) -> Result<Vec<String>> {
        let names = if self.named.is_empty() { kernel::attached_interfaces()? } else { self.named };
        anyhow::ensure!(
            !names.is_empty(),
            "no filter is attached to any interface\nhint: `sipwall attach` attaches one"
        );
        Ok(names)
    }
}

fn add(interfaces: &[String], prefixes: &[IpNet], lasting: Option<Duration>) -> Result<()> {
    for interface in interfaces {
        let new = kernel::deny_add(interface, prefixes, lasting, "")?;
        let until = lasting.map_or_else(String::new, |length| format!(" for {}", time::describe(length)));
        eprintln!("`{interface}`: {} denied{until}, {new} of them new", prefixes.len());
    }
    Ok(())
}

fn remove(interfaces: &[String], prefixes: &[IpNet]) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for interface in interfaces {
        let unknown = kernel::deny_remove(interface, prefixes)?;
        eprintln!("`{interface}`: {} removed", prefixes.len() - unknown.len());
        for prefix in unknown {
            eprintln!("error: {prefix} was not added on `{interface}`\nhint: `sipwall deny list` shows what is denied");
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

fn list(interfaces: &[String], json: bool) -> Result<()> {
    let mut table = output::table(["INTERFACE", "PREFIX", "BY", "ENDS IN"]);
    for interface in interfaces {
        for denied in kernel::deny_list(interface)? {
            if json {
                output::json(&Listed { interface, denied: &denied })?;
            } else {
                table.add_row(cells(interface, &denied));
            }
        }
    }
    if json { Ok(()) } else { output::line(&table.to_string()) }
}

fn cells(interface: &str, denied: &DeniedPrefix) -> [String; 4] {
    let DeniedPrefix { prefix, policy, added, expires_in, .. } = denied;
    let by = match (policy, added) {
        (true, true) => "policy, added",
        (true, false) => "policy",
        _ => "added",
    };
    let ends = expires_in.map_or_else(|| "-".to_owned(), |seconds| time::describe(Duration::from_secs(seconds)));
    [interface.to_owned(), prefix.to_string(), by.to_owned(), ends]
}

/// A host or a CIDR without host bits.
fn prefix(text: &str) -> Result<IpNet, String> {
    let prefix = match text.parse::<IpAddr>() {
        Ok(host) => IpNet::from(host),
        Err(_) => text.parse().map_err(|_| "neither an address nor a CIDR".to_owned())?,
    };
    if prefix.trunc() == prefix { Ok(prefix) } else { Err(format!("it has host bits: is {} meant?", prefix.trunc())) }
}
