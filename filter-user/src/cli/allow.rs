//! `sipwall allow`

use std::{net::IpAddr, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::{ArgGroup, Subcommand};
use filter_common::live::Expiry;
use filter_user::{
    kernel::{self, Allowed, LiveChange, LiveEntry},
    lockout::Cut,
    policy::{LiveAllow, LiveMatch, file},
    ports::PortRange,
};
use ipnet::IpNet;
use serde::Serialize;

use super::{
    WRONG_INPUT,
    change::Guard,
    live::{self, OnInterfaces, SavedChange, Saving, prefix},
    output,
    target::Interfaces,
    time,
};

/// Let something in while the filter runs, beside the policy
///
/// What is added here survives `apply` and ends with `detach`. It is counted and shown as the rule `allow/NAME`. The deny
/// list, and what is malformed or martian, it never overrides.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall allow add 192.0.2.7 --tcp 22 --for 2h --comment vendor
  sipwall allow add 198.51.100.0/24 2001:db8:7::/48 --udp 5060,16384-32767 --name carrier-b
  sipwall allow add 192.0.2.9 --protocol gre --name tunnel --save --policy policy.toml
  sipwall allow list
  sipwall allow remove carrier-b")]
pub(crate) struct Allow {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Let in what these hosts or CIDRs send
    Add(Add),
    /// Let in no more what was added
    Remove {
        /// Names, as they were given or as `allow list` shows them
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        guard: Guard,
        #[command(flatten)]
        saving: Saving,
        #[command(flatten)]
        interfaces: OnInterfaces,
    },
    /// Show what was added
    List {
        #[command(flatten)]
        interfaces: Interfaces,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
}

#[derive(clap::Args)]
#[command(group = ArgGroup::new("what").args(["tcp", "udp", "protocols"]).required(true).multiple(true))]
struct Add {
    /// Hosts or CIDRs, of either family
    #[arg(required = true, value_name = "CIDR", value_parser = prefix)]
    from: Vec<IpNet>,
    /// TCP ports: `22`, `80,443`, `8000-8010`
    #[arg(long, value_name = "PORTS", value_delimiter = ',')]
    tcp: Vec<PortRange>,
    /// UDP ports
    #[arg(long, value_name = "PORTS", value_delimiter = ',')]
    udp: Vec<PortRange>,
    /// Whole IP protocols, by number or name
    #[arg(long = "protocol", value_name = "PROTOCOL", value_delimiter = ',', value_parser = protocol)]
    protocols: Vec<u8>,
    /// The name that it is counted, shown and removed by; the first host or CIDR with hyphens if none is given
    #[arg(long, value_parser = name)]
    name: Option<String>,
    /// For so long (`90s`, `2h`, `7d`), and no longer: the kernel ends it, whatever runs then
    #[arg(long = "for", value_name = "TIME", value_parser = time::parse_duration, conflicts_with = "save")]
    lasting: Option<Duration>,
    /// What it is for, for whoever reads the list
    #[arg(long, value_name = "TEXT", value_parser = live::comment, default_value = "", hide_default_value = true)]
    comment: String,
    #[command(flatten)]
    saving: Saving,
    #[command(flatten)]
    interfaces: OnInterfaces,
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Listed<'a> {
    interface: &'a str,
    #[serde(flatten)]
    entry: &'a LiveEntry,
}

impl Allow {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Add(add) => add.run(),
            Command::Remove { names, guard, saving, interfaces } => {
                remove(&interfaces.names()?, &names, guard, &saving)
            }
            Command::List { interfaces, json } => list(&interfaces.names()?, json),
        }
    }
}

impl Add {
    fn run(self) -> Result<ExitCode> {
        let name = self.name.clone().unwrap_or_else(|| name_of(&self.from[0].to_string()));
        if !file::is_name(&name) {
            eprintln!("error: `{name}` is too long for a name\nhint: give one with `--name`");
            return Ok(ExitCode::from(WRONG_INPUT));
        }
        let allow = LiveAllow {
            name,
            from: self.from.clone(),
            matches: self.matches(),
            expiry: Expiry::NEVER,
            comment: self.comment.clone(),
        };
        let prepared = match self.saving.prepare(|edit| edit.add_allow(&allow)) {
            Ok(prepared) => prepared,
            Err(code) => return Ok(code),
        };
        let interfaces = self.interfaces.names()?;
        // What cannot be saved is not let in either.
        self.saving.finish(prepared, SavedChange::Addition)?;
        for interface in interfaces {
            let done = match kernel::allow_add(&interface, &allow, self.lasting)? {
                Allowed::Added => "added",
                Allowed::Renewed => "renewed",
            };
            let until = self.lasting.map_or_else(String::new, |length| format!(" for {}", time::describe(length)));
            eprintln!("`{interface}`: `{}` {done}{until}", allow.rule());
        }
        Ok(ExitCode::SUCCESS)
    }

    fn matches(&self) -> Vec<LiveMatch> {
        let tcp = self.tcp.iter().map(|ports| LiveMatch::Tcp(*ports));
        let udp = self.udp.iter().map(|ports| LiveMatch::Udp(*ports));
        tcp.chain(udp).chain(self.protocols.iter().map(|protocol| LiveMatch::Protocol(*protocol))).collect()
    }
}

fn remove(interfaces: &[String], names: &[String], guard: Guard, saving: &Saving) -> Result<ExitCode> {
    // A host or CIDR stands for the name that it gave.
    let names: Vec<String> = names
        .iter()
        .map(|text| prefix(text).map_or_else(|_| text.clone(), |prefix| name_of(&prefix.to_string())))
        .collect();
    let take_out = |edit: &mut filter_user::policy::PolicyEdit| {
        names
            .iter()
            .filter_map(|name| edit.remove_allow(name).map(|was| was.then(|| name.clone())).transpose())
            .collect()
    };
    let prepared = match saving.prepare::<Vec<String>>(take_out) {
        Ok(prepared) => prepared,
        Err(code) => return Ok(code),
    };
    if !guard.lets("this", &cuts(interfaces, &names)?) {
        return Ok(ExitCode::FAILURE);
    }
    let mut code = ExitCode::SUCCESS;
    let in_file = prepared.as_ref().map_or(&[][..], |(_, names)| names);
    for interface in interfaces {
        let unknown = kernel::allow_remove(interface, &names)?;
        eprintln!("`{interface}`: {} removed", names.len() - unknown.len());
        for name in unknown.iter().filter(|name| !in_file.contains(name)) {
            let name = name.escape_debug();
            eprintln!("error: `{name}` was not added on `{interface}`\nhint: `sipwall allow list` shows what was");
            code = ExitCode::FAILURE;
        }
    }
    saving.finish(prepared, SavedChange::Removal)?;
    Ok(code)
}

/// The sessions that go with live allows of these names.
fn cuts<'i>(interfaces: &'i [String], names: &[String]) -> Result<Vec<(&'i str, Cut)>> {
    let change = LiveChange { removed: names.to_vec(), ..LiveChange::default() };
    let mut cuts = Vec::new();
    for interface in interfaces {
        let removed: Vec<LiveEntry> =
            kernel::allow_list(interface)?.into_iter().filter(|entry| names.contains(&entry.name)).collect();
        let concerns = |source: IpAddr| removed.iter().flat_map(|entry| &entry.from).any(|from| from.contains(&source));
        cuts.extend(live::cuts(interface, &change, concerns)?.into_iter().map(|cut| (interface.as_str(), cut)));
    }
    Ok(cuts)
}

fn list(interfaces: &[String], json: bool) -> Result<ExitCode> {
    let mut table = output::table(["INTERFACE", "NAME", "FROM", "LETS IN", "ENDS IN", "COMMENT"]);
    for interface in interfaces {
        for entry in kernel::allow_list(interface)? {
            if json {
                output::json(&Listed { interface, entry: &entry })?;
            } else {
                let from: Vec<String> = entry.from.iter().map(ToString::to_string).collect();
                let ends = live::ends_in(entry.expires_in_seconds);
                let comment = live::remark(entry.comment.as_deref());
                table.add_row([interface.clone(), entry.name.clone(), from.join(", "), lets_in(&entry), ends, comment]);
            }
        }
    }
    if !json {
        output::line(&table.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What an entry lets in, in words.
pub(crate) fn lets_in(entry: &LiveEntry) -> String {
    let ports = |kind: &str, ports: &[String]| (!ports.is_empty()).then(|| format!("{kind} {}", ports.join(",")));
    let protocols: Vec<String> = entry.protocols.iter().map(ToString::to_string).collect();
    let parts = [ports("TCP", &entry.tcp), ports("UDP", &entry.udp), ports("protocol", &protocols)];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// The name that a host or CIDR gives: `192-0-2-7`, `198-51-100-0-24`.
pub(crate) fn name_of(prefix: &str) -> String {
    let host = prefix.strip_suffix("/32").filter(|host| !host.contains(':')).or_else(|| prefix.strip_suffix("/128"));
    host.unwrap_or(prefix).replace(['.', ':', '/'], "-")
}

fn name(text: &str) -> Result<String, String> {
    if file::is_name(text) { Ok(text.to_owned()) } else { Err("use 1 to 31 of `a-z`, `0-9` and `-`".to_owned()) }
}

/// An IP protocol by its number, or by the name that `/etc/protocols` gives it.
fn protocol(text: &str) -> Result<u8, String> {
    const NAMES: [(&str, u8); 12] = [
        ("icmp", 1),
        ("igmp", 2),
        ("tcp", 6),
        ("udp", 17),
        ("gre", 47),
        ("esp", 50),
        ("ah", 51),
        ("icmpv6", 58),
        ("ipv6-icmp", 58),
        ("ospf", 89),
        ("vrrp", 112),
        ("sctp", 132),
    ];
    let known = NAMES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map(|(_, number)| *number);
    known.or_else(|| text.parse().ok()).ok_or_else(|| "neither a number from 0 to 255 nor a known protocol".to_owned())
}
