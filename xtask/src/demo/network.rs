//! Who takes part: the SBC, a provider per built-in allowlist, an unlisted caller and a scanner.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use anyhow::{Context as _, Result};
use ipnet::IpNet;
use lab::Plan;
use serde::Deserialize;

use crate::workspace;

pub(super) const SBC: IpAddr = ipv4(198, 51, 100, 10);
pub(super) const SBC_IPV6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x5bc, 0, 0, 0, 0, 0x10));
pub(super) const CALLER: IpAddr = ipv4(203, 0, 113, 50);
pub(super) const SCANNER: IpAddr = ipv4(192, 0, 2, 200);
pub(super) const SCANNER_IPV6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, 0x66));

/// A provider and the file of its built-in allowlist.
struct Provider {
    name: &'static str,
    allowlist: &'static str,
}

/// In the order of the policy: what both publish is the first one's.
const PROVIDERS: [Provider; 2] =
    [Provider { name: "twilio", allowlist: "twilio-interconnect" }, Provider { name: "kore", allowlist: "kore-us" }];

/// The address of these octets.
pub(super) const fn ipv4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

/// The policy that the SBC is attached with.
pub(crate) fn policy() -> String {
    let providers = PROVIDERS.map(|Provider { name, allowlist }| {
        format!("\n[[provider]]\nname = \"{name}\"\nallowlist = \"{allowlist}\"\n")
    });
    format!(
        "[sbc]\ninterfaces = [\"eth0\"]\n\n\
         [sbc.listen]\nsip-udp = [5060]\nsip-tcp = [5060]\nsip-tls = [5061]\nsip-wss = [8443]\n\
         media = [\"16384-32767\"]\n{}",
        providers.concat()
    )
}

/// The hosts of the lab.
pub(crate) fn plans() -> Result<Vec<Plan>> {
    let host = |name, addresses: &[IpAddr]| Plan::new(name, addresses.iter().copied().map(IpNet::from));
    let mut plans =
        vec![host("sbc", &[SBC, SBC_IPV6]), host("caller", &[CALLER]), host("scanner", &[SCANNER, SCANNER_IPV6])];
    let mut borne = BTreeSet::new();
    for provider in PROVIDERS {
        let published = published(provider.allowlist)?;
        plans.push(Plan::new(provider.name, published.difference(&borne).copied()));
        borne.extend(published);
    }
    Ok(plans)
}

#[derive(Deserialize)]
struct Allowlist {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    remote: Vec<IpNet>,
}

/// The networks that an allowlist names.
fn published(allowlist: &str) -> Result<BTreeSet<IpNet>> {
    let path = workspace::root().join("filter-user/allowlists").join(allowlist).with_extension("toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let allowlist: Allowlist = toml::from_str(&text).with_context(|| format!("in `{}`", path.display()))?;
    Ok(allowlist.entries.into_iter().flat_map(|entry| entry.remote).collect())
}
