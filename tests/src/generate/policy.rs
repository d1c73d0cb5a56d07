//! Policy files, as an operator would write them.

use std::{fmt::Write as _, path::Path};

use filter_user::{
    allowlist::{Allowlist, Service},
    policy::{Policy, file::PolicyFile},
};

use super::{
    Choices, address,
    allowlist::{self, REGIONS},
};
use crate::contest::Contest;

/// A policy file and the allowlists that it names.
pub struct WrittenPolicy {
    /// The policy file.
    pub text: String,
    /// The allowlists, named as their providers are.
    pub allowlists: Vec<Allowlist>,
}

impl WrittenPolicy {
    /// Writes a policy whose verdicts depend on nothing that came before.
    pub fn new(choices: &mut Choices) -> Self {
        let mut policy = Self { text: String::new(), allowlists: Vec::new() };
        policy.sbc(choices, &[(20, "scope = \"ports\""), (20, "fragments = \"drop\""), (5, "mode = \"monitor\"")]);
        policy.rest(choices)
    }

    /// Writes a policy whose verdicts depend on what came before, most of the time.
    pub fn with_memory(choices: &mut Choices) -> Self {
        let mut policy = Self { text: String::new(), allowlists: Vec::new() };
        let fragments = (80, "fragments = \"tracked\"");
        policy.sbc(choices, &[(10, "scope = \"ports\""), fragments, (80, "return_traffic = \"tracked\"")]);
        policy.line("[limits]");
        for key in ["sip", "tcp", "icmp"] {
            let burst = choices.between(1, 3);
            let rate = if choices.chance(20) { "off".to_owned() } else { format!("1/s burst {burst}") };
            policy.line(&format!("{key} = \"{rate}\""));
        }
        policy.rest(choices)
    }

    /// Writes what comes behind `[sbc]` and `[limits]`.
    fn rest(self, choices: &mut Choices) -> Self {
        let mut policy = self;
        policy.inspect(choices);
        policy.classes(choices);
        for place in 0..choices.between(0, 3) {
            policy.provider(choices, place);
        }
        // A set of terms has four words: now and then a policy fills them.
        let allows = if choices.chance(5) { choices.between(100, 125) } else { choices.between(0, 3) };
        for place in 0..allows {
            policy.own_allow(choices, place);
        }
        for place in 0..choices.below(2) {
            let from = prefixes(choices, 3);
            policy.line(&format!("[[deny]]\nname = \"deny-{place}\"\nfrom = {from}"));
        }
        policy
    }

    /// The judges of the policy, or nothing if it must be refused: a service without a port, for one.
    pub fn contest(&self) -> Option<Contest> {
        Contest::new(&self.policy()?).ok()
    }

    /// The policy itself, or nothing if it must be refused.
    pub fn policy(&self) -> Option<Policy> {
        let file = PolicyFile::parse(Path::new("policy.toml"), &self.text).ok()?;
        let named = |name: &str| self.allowlists.iter().find(|allowlist| allowlist.provider == name).cloned();
        Policy::new(file, |name| named(name).ok_or("no such allowlist")).ok()
    }

    fn line(&mut self, line: &str) {
        writeln!(self.text, "{line}").expect("a string takes every write");
    }

    fn sbc(&mut self, choices: &mut Choices, settings: &[(u32, &str)]) {
        self.line("[sbc]\ninterfaces = [\"eth0\"]");
        if choices.chance(50) {
            let own = choices.between(1, 4) as usize;
            self.line(&format!("addresses = {:?}", &address::OWN[..own]));
        }
        for (likely, setting) in settings {
            if choices.chance(*likely) {
                self.line(setting);
            }
        }
        if choices.chance(20) {
            let ports = ports(choices);
            self.line(&format!("reply_ports = {ports}"));
        }
        self.line("[sbc.listen]");
        self.listen(choices, &[Service::SipUdp, Service::SipTcp, Service::SipTls, Service::SipWss, Service::Media]);
    }

    fn listen(&mut self, choices: &mut Choices, services: &[Service]) {
        for service in services {
            match choices.below(20) {
                0..=15 => {
                    let ports = ports(choices);
                    self.line(&format!("{service} = {ports}"));
                }
                16..=18 => self.line(&format!("{service} = \"off\"")),
                _ => {}
            }
        }
    }

    fn inspect(&mut self, choices: &mut Choices) {
        if choices.chance(40) {
            self.line("[inspect]");
            for key in ["sip", "media"] {
                let depth = choices.one_of(&["off", "enforce", "enforce"]);
                self.line(&format!("{key} = \"{depth}\""));
            }
        }
    }

    fn classes(&mut self, choices: &mut Choices) {
        if choices.chance(50) {
            self.line("[classes]");
            for class in ["ping", "dhcp", "vrrp", "ospf", "bfd", "link_control"] {
                if choices.chance(50) {
                    let fate = if class == "link_control" { "drop" } else { "pass" };
                    self.line(&format!("{class} = \"{fate}\""));
                }
            }
        }
    }

    fn provider(&mut self, choices: &mut Choices, place: u32) {
        let name = format!("provider-{place}");
        self.line(&format!("[[provider]]\nname = \"{name}\""));
        let trunk = choices.chance(40);
        if !(trunk && choices.chance(50)) {
            self.allowlist(choices, &name);
        }
        if trunk {
            self.trunk(choices);
        }
    }

    fn allowlist(&mut self, choices: &mut Choices, name: &str) {
        let allowlist = allowlist::allowlist(choices, name);
        self.line(&format!("allowlist = \"{name}\""));
        if allowlist.entries.iter().any(|entry| entry.service == Service::Unspecified) {
            let services = choices.many(1, 2, |choices| choices.one_of(&Service::ALL[..8]).name());
            self.line(&format!("services = {services:?}"));
        }
        let known =
            |region: &&&str| allowlist.entries.iter().any(|entry| entry.regions.contains(&(**region).to_owned()));
        if let Some(region) = REGIONS.iter().find(known)
            && choices.chance(50)
        {
            self.line(&format!("regions = [\"{}\"]", region.to_uppercase()));
        }
        if choices.chance(20) {
            self.line("media_source_ports = \"any\"");
        }
        if choices.chance(20) {
            self.line("t38 = true");
        }
        self.allowlists.push(allowlist);
    }

    fn trunk(&mut self, choices: &mut Choices) {
        self.line("[provider.trunk]");
        let allow = prefixes(choices, 3);
        self.line(&format!("allow = {allow}"));
        if choices.chance(50) {
            let deny = prefixes(choices, 2);
            self.line(&format!("always_deny = {deny}"));
        }
        if choices.chance(50) {
            let proxies = choices.many(1, 2, proxy);
            self.line(&format!("outbound_proxies = {proxies:?}"));
        }
        if choices.chance(50) {
            self.line("[provider.trunk.listen]");
            self.listen(choices, &[Service::SipUdp, Service::SipTcp, Service::SipTls, Service::SipWss]);
        }
    }

    fn own_allow(&mut self, choices: &mut Choices, place: u32) {
        let from = prefixes(choices, 3);
        self.line(&format!("[[allow]]\nname = \"allow-{place}\"\nfrom = {from}"));
        let named = choices.between(1, 7);
        for (bit, key) in ["tcp", "udp"].iter().enumerate() {
            if named >> bit & 1 == 1 {
                let ports = ports(choices);
                self.line(&format!("{key} = {ports}"));
            }
        }
        if named & 4 == 4 {
            let protocols = choices.many(1, 2, |choices| choices.one_of(&[47, 1, 58, 112, 132, 89, 6, 17, 0, 51, 255]));
            self.line(&format!("protocols = {protocols:?}"));
        }
    }
}

fn prefixes(choices: &mut Choices, most: u32) -> String {
    let prefixes = choices.many(1, most, |choices| address::prefix(choices).to_string());
    format!("{prefixes:?}")
}

fn ports(choices: &mut Choices) -> String {
    let ports = choices.many(1, 2, |choices| allowlist::port_range(choices).to_string());
    format!("{ports:?}")
}

fn proxy(choices: &mut Choices) -> String {
    let host = address::prefix(choices).addr();
    match (choices.below(3), host.is_ipv6()) {
        (0, _) => host.to_string(),
        (_, false) => format!("{host}:5062"),
        (_, true) => format!("[{host}]:5062"),
    }
}
