//! What stands on a host and drops the flood.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use filter_user::kernel::PathProgram;
use ipnet::IpNet;
use lab::Host;
use serde_json::Value;

use super::{
    network::Network,
    tool::{self, Tool},
};
use crate::policies;

/// Settings and sections of a policy that has all options on.
const ALL_OPTIONS: (&str, &str) = (
    "return_traffic = \"tracked\"\nfragments = \"tracked\"\n",
    "[limits]\nsip = \"200/s burst 400\"\ntcp = \"100/s burst 200\"\nicmp = \"100/s burst 200\"\n\n\
     [inspect]\nsip = \"enforce\"\nmedia = \"enforce\"\n",
);

/// One of those that are compared.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    /// Its host.
    pub(crate) host: &'static str,
    /// Its cost by that of the filter cannot be more, as the filter cannot cost less than an empty program: more than that
    /// means that the measurement is wrong.
    pub(crate) most: Option<f64>,
    /// By how much the filter is meant to be better.
    pub(crate) aim: Option<f64>,
    kind: Kind,
}

enum Kind {
    Own { program: PathProgram, generic: bool },
    Sipwall { all_options: bool },
    Tool(Tool),
}

/// The name of the contestant that all others are compared with.
pub(crate) const EMPTY: &str = "empty XDP_DROP";
/// The name of what does the least that a filter can: it reads the headers, a word by the source and, of what
/// passes, one by the port, and counts.
pub(crate) const LEAST: &str = "least filter";
/// The filter's.
pub(crate) const SIPWALL: &str = "sipwall";
/// The filter's with all options on.
pub(crate) const ALL: &str = "sipwall, all options on";

impl Contestant {
    /// All of them; xdp-filter has so many addresses.
    pub(crate) fn all(prefixes: &[IpNet], addresses: u32) -> Vec<Self> {
        let own = |program, generic| Kind::Own { program, generic };
        let of = |name, host, kind| Self { name, host, most: None, aim: None, kind };
        let capped = |name, host, kind, most, aim| Self { most: Some(most), aim: Some(aim), ..of(name, host, kind) };
        vec![
            of(EMPTY, "empty", own(PathProgram::DropAll, false)),
            of("parser alone", "parser", own(PathProgram::DropParsed, false)),
            of(LEAST, "least", own(PathProgram::DropLeast, false)),
            of(SIPWALL, "sipwall", Kind::Sipwall { all_options: false }),
            of(ALL, "options", Kind::Sipwall { all_options: true }),
            of("LPM trie and port ranges", "trie", own(PathProgram::DropByTrie, false)),
            capped("xdp-filter", "xdpfilter", Kind::Tool(tool::xdp_filter(addresses)), 2.5, 2.0),
            of("empty XDP_DROP, generic", "generic", own(PathProgram::DropAll, true)),
            of("nft ingress, empty drop", "nftdrop", Kind::Tool(tool::nft_drop())),
            of("iptables raw, empty drop", "rawdrop", Kind::Tool(tool::iptables_drop())),
            capped("iptables raw, ipset, multiport", "ipset", Kind::Tool(tool::ipset(prefixes)), 7.8, 7.0),
            capped("nft ingress, concatenated set (pipapo)", "pipapo", Kind::Tool(tool::pipapo(prefixes)), 8.2, 7.0),
            capped(
                "nft ingress, interval set and port set",
                "interval",
                Kind::Tool(tool::interval(prefixes)),
                12.1,
                10.0,
            ),
        ]
    }

    /// Sets it up on its host.
    pub(crate) fn start(&self, network: &mut Network, prefixes: &[IpNet], denied: u32) -> Result<()> {
        match &self.kind {
            Kind::Own { program, generic } => network.attach(self.host, *program, *generic),
            Kind::Sipwall { all_options } => attach(network.host(self.host)?, prefixes, *all_options, denied),
            Kind::Tool(tool) => tool.start(network.host(self.host)?),
        }
        .with_context(|| format!("{} cannot be set up", self.name))
    }

    /// How many packets it has dropped, by its own counter.
    pub(crate) fn dropped(&self, network: &mut Network) -> Result<u64> {
        match &self.kind {
            Kind::Own { .. } => network.bench.dropped(),
            Kind::Sipwall { .. } => dropped(network.host(self.host)?),
            Kind::Tool(tool) => tool.dropped(network.host(self.host)?),
        }
    }
}

/// Attaches the filter as it is shipped.
pub(crate) fn attach(host: &Host, prefixes: &[IpNet], all_options: bool, denied: u32) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let policy = directory.path().join("policy.toml");
    let (settings, sections) = if all_options { ALL_OPTIONS } else { ("", "") };
    fs::write(&policy, policies::text(prefixes, settings, sections)?)?;
    sipwall(host, &["attach", "eth0", "--allow-lockout", "--policy"], Some(&policy))?;
    if all_options {
        let list = directory.path().join("denied");
        fs::write(&list, policies::denied(denied))?;
        sipwall(host, &["deny", "load"], Some(&list))?;
    }
    Ok(())
}

/// Runs the filter's command, and returns what it printed.
pub(crate) fn sipwall(host: &Host, arguments: &[&str], file: Option<&Path>) -> Result<String> {
    lab::run(host.command(binary()?).args(arguments).args(file), "")
}

/// The command as it is shipped, which `cargo xtask bench` has built.
pub(crate) fn binary() -> Result<PathBuf> {
    let path = env::var_os("SIPWALL").context("no `SIPWALL` says where the command is: `cargo xtask bench` does")?;
    Ok(path.into())
}

/// How many packets the filter has dropped.
pub(crate) fn dropped(host: &Host) -> Result<u64> {
    let stats: Value = serde_json::from_str(&sipwall(host, &["stats", "eth0", "--json"], None)?)?;
    let reasons = stats["reasons"].as_array().context("`sipwall stats` shows no reasons")?;
    let dropped = reasons.iter().filter(|reason| reason["action"] == "drop");
    Ok(dropped.filter_map(|reason| reason["packets"].as_u64()).sum())
}
