//! `sipwall deny`

mod caution;
mod load;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Result;
use clap::Subcommand;
use filter_user::{
    kernel::{self, DeniedPrefix},
    policy::file::PolicyFile,
};
use ipnet::IpNet;
use serde::Serialize;

use self::caution::Caution;
use super::{
    live::{self, OnInterfaces, SavedChange, Saving, prefix},
    output,
    target::Interfaces,
    time,
};

/// Deny sources while the filter runs
///
/// What is added or loaded here holds over every rule, survives `apply`, and ends with `detach`. What the link itself needs
/// passes even from a denied source.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall deny add 192.0.2.66 --for 2h --comment scanner
  sipwall deny add 192.0.2.67 --save --policy policy.toml
  sipwall deny list
  sipwall deny remove 192.0.2.66
  sipwall deny load blocklist.txt --name blocklist
  sipwall deny unload blocklist")]
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
        /// For so long (`90s`, `2h`, `7d`), and no longer: the kernel ends it, whatever runs then
        #[arg(long = "for", value_name = "TIME", value_parser = time::parse_duration, conflicts_with = "save")]
        lasting: Option<Duration>,
        /// What it is for, for whoever reads the list
        #[arg(long, value_name = "TEXT", value_parser = live::comment, default_value = "", hide_default_value = true)]
        comment: String,
        #[command(flatten)]
        caution: Caution,
        #[command(flatten)]
        saving: Saving,
        #[command(flatten)]
        interfaces: OnInterfaces,
    },
    /// Deny no more what was added
    Remove {
        /// Hosts or CIDRs, as they were added
        #[arg(required = true, value_name = "CIDR", value_parser = prefix)]
        prefixes: Vec<IpNet>,
        #[command(flatten)]
        saving: Saving,
        #[command(flatten)]
        interfaces: OnInterfaces,
    },
    /// Show what is denied, by the policy, by lists and by what was added
    List {
        /// Show the loaded lists, and not what is in them
        #[arg(long)]
        lists: bool,
        #[command(flatten)]
        interfaces: Interfaces,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Deny what a file lists, in the place of what was loaded under its name before
    Load {
        /// A file with a host or CIDR a line; `#` begins a comment
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The name of the list; the file's name without its extension if none is given
        #[arg(long)]
        name: Option<String>,
        /// For so long (`90s`, `2h`, `7d`), and no longer: the kernel ends it, whatever runs then
        #[arg(long = "for", value_name = "TIME", value_parser = time::parse_duration)]
        lasting: Option<Duration>,
        /// What it is for, for whoever reads the list
        #[arg(long, value_name = "TEXT", value_parser = live::comment, default_value = "", hide_default_value = true)]
        comment: String,
        #[command(flatten)]
        caution: Caution,
        #[command(flatten)]
        interfaces: OnInterfaces,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Deny no more what a list was loaded with
    Unload {
        /// The name of the list
        name: String,
        #[command(flatten)]
        interfaces: OnInterfaces,
    },
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
            Command::Add { prefixes, lasting, comment, caution, saving, interfaces } => {
                let interfaces = interfaces.names()?;
                match caution.refuses(&interfaces, &prefixes)? {
                    Some(code) => Ok(code),
                    None => add(&interfaces, &prefixes, lasting, &comment, &saving),
                }
            }
            Command::Remove { prefixes, saving, interfaces } => remove(&interfaces.names()?, &prefixes, &saving),
            Command::List { lists: true, interfaces, json } => load::list(&interfaces.names()?, json),
            Command::List { lists: false, interfaces, json } => list(&interfaces.names()?, json),
            Command::Load { file, name, lasting, comment, caution, interfaces, json } => {
                load::Loading { file: &file, name, lasting, comment: &comment, caution, json }.run(interfaces)
            }
            Command::Unload { name, interfaces } => load::unload(&interfaces.names()?, &name),
        }
    }
}

fn add(
    interfaces: &[String],
    prefixes: &[IpNet],
    lasting: Option<Duration>,
    comment: &str,
    saving: &Saving,
) -> Result<ExitCode> {
    let prepared = match saving.prepare(|edit| edit.add_denies(prefixes, comment)) {
        Ok(prepared) => prepared,
        Err(code) => return Ok(code),
    };
    // What cannot be saved is not denied either.
    saving.finish(prepared, SavedChange::Addition)?;
    for interface in interfaces {
        let new = kernel::deny_add(interface, prefixes, lasting, comment)?;
        let until = lasting.map_or_else(String::new, |length| format!(" for {}", time::describe(length)));
        eprintln!("`{interface}`: {} denied{until}, {new} of them new", prefixes.len());
    }
    Ok(ExitCode::SUCCESS)
}

fn remove(interfaces: &[String], prefixes: &[IpNet], saving: &Saving) -> Result<ExitCode> {
    let prepared = match saving.prepare(|edit| edit.remove_denies(prefixes)) {
        Ok(prepared) => prepared,
        Err(code) => return Ok(code),
    };
    let in_file = prepared.as_ref().map_or(&[][..], |(_, prefixes)| prefixes);
    let mut code = ExitCode::SUCCESS;
    for interface in interfaces {
        let unknown = kernel::deny_remove(interface, prefixes)?;
        eprintln!("`{interface}`: {} removed", prefixes.len() - unknown.len());
        for prefix in unknown.iter().filter(|prefix| !in_file.contains(prefix)) {
            eprintln!("error: {prefix} {}", not_added(interface, *prefix)?);
            code = ExitCode::FAILURE;
        }
    }
    saving.finish(prepared, SavedChange::Removal)?;
    Ok(code)
}

/// Why a prefix cannot be removed: whose it is instead.
fn not_added(interface: &str, prefix: IpNet) -> Result<String> {
    let denied = kernel::denied(interface, prefix)?;
    let by_list = denied.as_ref().and_then(|denied| denied.lists.first());
    Ok(match (&denied, by_list) {
        (Some(DeniedPrefix { by_policy: true, .. }), _) => {
            let place = place_in_policy(&kernel::status(interface)?.policy.unwrap_or_default(), prefix);
            format!(
                "was not added on `{interface}`: the policy denies it ({place})\nhint: take it out there, by hand or with \
                 `--save --policy FILE`, and `sipwall apply` the policy"
            )
        }
        (_, Some(list)) => {
            let list = output::harmless(list);
            format!(
                "was not added on `{interface}`: the list `{list}` has it\nhint: load the list without it, or forget it: \
                 `sipwall deny unload {list}`"
            )
        }
        _ => format!("was not added on `{interface}`\nhint: `sipwall deny list` shows what is denied"),
    })
}

/// Where a policy that is in force denies a prefix, as far as its file still says so.
fn place_in_policy(path: &str, prefix: IpNet) -> String {
    let file = PolicyFile::read(Path::new(path)).ok();
    let mut denied = file.iter().flat_map(|file| &file.denies).flat_map(|deny| &deny.from);
    let stated = denied.find(|(stated, _)| *stated == prefix);
    stated.map_or_else(|| path.to_owned(), |(_, origin)| origin.to_string())
}

fn list(interfaces: &[String], json: bool) -> Result<ExitCode> {
    let mut table = output::table(["INTERFACE", "PREFIX", "BY", "ENDS IN", "COMMENT"]);
    for interface in interfaces {
        for denied in kernel::deny_list(interface)? {
            if json {
                output::json(&Listed { interface, denied: &denied })?;
            } else {
                table.add_row(cells(interface, &denied));
            }
        }
    }
    if !json {
        output::line(&table.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn cells(interface: &str, denied: &DeniedPrefix) -> [String; 5] {
    let ends = live::ends_in(denied.expires_in_seconds);
    [interface.to_owned(), denied.prefix.to_string(), by(denied), ends, live::remark(denied.comment.as_deref())]
}

/// What a prefix is denied by, in words.
pub(crate) fn by(denied: &DeniedPrefix) -> String {
    let lists = denied.lists.iter().map(|name| format!("list {}", output::harmless(name)));
    let by = [(denied.by_policy, "policy"), (denied.by_hand, "added")].into_iter().filter(|(holds, _)| *holds);
    by.map(|(_, by)| by.to_owned()).chain(lists).collect::<Vec<_>>().join(", ")
}
