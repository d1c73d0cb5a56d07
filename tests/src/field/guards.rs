//! Ways to keep strangers out, side by side: none, iptables, a limit for each source, fail2ban, and sipwall.

use std::{fmt, fs, iter, process::Command};

use ipnet::IpNet;
use lab::{Process, run};
use serde_json::Value;

use super::{
    network::{Field, GENESYS, comes_about, text},
    programs,
};
use crate::sipwall::sipwall;

/// A way to keep strangers out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Guard {
    /// Nothing does.
    Nothing,
    /// iptables: connection tracking, an ipset of all prefixes that are published, and the end for the rest.
    AcceptList,
    /// iptables: who sends more than twenty requests a second is banned for ten minutes.
    Limit,
    /// fail2ban: whom Kamailio's log complains of is banned, at the first complaint.
    Fail2ban,
    /// The filter.
    Sipwall,
}

/// What a guard runs meanwhile, until it is dropped.
#[derive(Debug)]
pub struct Guarding {
    _process: Option<Process>,
}

impl Guard {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Nothing, Self::AcceptList, Self::Limit, Self::Fail2ban, Self::Sipwall];

    /// Puts it up on the SBC, where Kamailio runs already.
    pub fn put_up(self, field: &Field) -> Guarding {
        let mut process = None;
        match self {
            Self::Nothing => {}
            Self::AcceptList => {
                ipset(field, "listed", "hash:net", &listed());
                iptables(field, include_str!("guards/accept-list.rules"));
            }
            Self::Limit => iptables(field, include_str!("guards/limit.rules")),
            Self::Fail2ban => process = Some(fail2ban(field)),
            Self::Sipwall => field.attach(""),
        }
        Guarding { _process: process }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::AcceptList => "iptables, an accept list",
            Self::Limit => "iptables, a limit for each source",
            Self::Fail2ban => "fail2ban",
            Self::Sipwall => "sipwall",
        })
    }
}

/// The prefixes of the providers of this suite.
fn listed() -> Vec<IpNet> {
    let mut prefixes = vec![format!("{}/25", GENESYS.media), format!("{}/26", GENESYS.signalling)];
    for allowlist in ["twilio-interconnect", "kore-us"] {
        let shown = sipwall(&["allowlists", "show", allowlist, "--json"]).json();
        let entries = shown["entries"].as_array().expect("an array").iter();
        let remotes = entries.filter_map(|entry| entry["remote"].as_array()).flatten();
        prefixes.extend(remotes.filter_map(Value::as_str).map(str::to_owned));
    }
    let mut prefixes: Vec<IpNet> =
        prefixes.iter().map(|prefix| prefix.parse::<IpNet>().expect("a prefix").trunc()).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    assert!(prefixes.len() > 30, "{prefixes:?} are not all");
    prefixes
}

fn ipset(field: &Field, name: &str, kind: &str, members: &[IpNet]) {
    let members = members.iter().map(|member| format!("add {name} {member}\n"));
    let lines: String = iter::once(format!("create {name} {kind}\n")).chain(members).collect();
    let mut ipset = programs::command(field.host("sbc"), "usr/sbin/ipset");
    run(ipset.arg("restore"), &lines).expect("a set");
}

fn iptables(field: &Field, rules: &str) {
    let mut restore = programs::command(field.host("sbc"), "usr/sbin/iptables-nft-restore");
    run(with_extensions(&mut restore), rules).expect("rules");
}

fn with_extensions(command: &mut Command) -> &mut Command {
    command.env("XTABLES_LIBDIR", programs::file("usr/lib/x86_64-linux-gnu/xtables"))
}

/// Starts fail2ban on Kamailio's log.
fn fail2ban(field: &Field) -> Process {
    ipset(field, "banned", "hash:ip", &[]);
    iptables(field, include_str!("guards/fail2ban.rules"));
    for directory in ["fail2ban/filter.d", "fail2ban/action.d"] {
        fs::create_dir_all(field.path(directory)).expect("a directory");
    }
    let (directory, complaints) = (field.path("fail2ban"), field.path("sbc.log"));
    let ipset = programs::file("usr/sbin/ipset");
    let words = [("DIRECTORY", text(&directory)), ("LOG", text(&complaints)), ("IPSET", text(&ipset))];
    for (name, template) in [
        ("fail2ban.conf", include_str!("guards/fail2ban.conf")),
        ("jail.conf", include_str!("guards/jail.conf")),
        ("filter.d/strangers.conf", include_str!("guards/filter.conf")),
        ("action.d/ban.conf", include_str!("guards/action.conf")),
    ] {
        field.write(&format!("fail2ban/{name}"), template, &words);
    }
    let mut server = programs::command(field.host("sbc"), "usr/bin/fail2ban-server");
    server.args(["-c", text(&directory), "-s", text(&directory.join("socket")), "-p", text(&directory.join("pid"))]);
    let process = programs::start(server.args(["-xf", "start"]), &field.path("fail2ban.log"));
    let is_up = comes_about(|| field.said(&["fail2ban/log"]).contains("Jail 'strangers' started"));
    assert!(is_up, "fail2ban does not start: {}", field.said(&["fail2ban.log", "fail2ban/log"]));
    process
}
