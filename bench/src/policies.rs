//! Policies to be measured, and sources in and around them.

use std::{
    collections::HashSet,
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, Ipv6Addr},
};

use anyhow::{Context as _, Result};
use filter_user::{
    kernel::{BASES, BenchSources},
    policy::{CompiledPolicy, Policy},
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Serialize;

/// The ports that are open: of signalling, and of media.
pub(crate) const PORTS: [(u16, u16); 2] = [(5060, 5060), (10_000, 20_000)];
/// A port of media.
pub(crate) const OPEN: u16 = 10_000;
/// A port that is closed.
pub(crate) const CLOSED: u16 = 9;

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) enum Family {
    #[serde(rename = "IPv4")]
    V4,
    #[serde(rename = "IPv6")]
    V6,
}

/// How the prefixes of a policy lie.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Layout {
    /// One near another, as those of a cloud do, each with an unlisted neighbour on both sides.
    Clustered,
    /// All over what is unicast.
    Spread,
}

/// Where packets come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sources {
    /// In the prefixes.
    Listed,
    /// In the unlisted prefixes beside them: what who knows the policy spoofs.
    Near,
    /// Anywhere but in the prefixes.
    Uniform,
}

/// Prefixes of the policy: /24 or /48.
pub(crate) fn prefixes(family: Family, layout: Layout, count: u32) -> Vec<IpNet> {
    (0..count).map(|number| prefix(family, layout, number)).collect()
}

fn prefix(family: Family, layout: Layout, number: u32) -> IpNet {
    // Numbers far apart, no two alike: the multiplier is odd (Knuth, The Art of Computer Programming, 6.4).
    let mixed = number.wrapping_mul(0x9e37_79b1);
    match (family, layout) {
        (Family::V4, Layout::Clustered) => v4(0x34_0000 + 2 * number),
        // Above 16.0.0.0, below 112.0.0.0.
        (Family::V4, Layout::Spread) => v4(0x10_0000 + (mixed >> 8) % 0x60_0000),
        (Family::V6, Layout::Clustered) => v6(0x2600_1f00_0000 + 2 * u64::from(number)),
        (Family::V6, Layout::Spread) => v6(0x2000_0000_0000 | u64::from(mixed) << 13),
    }
}

/// The /24 of these 24 bits.
fn v4(bits: u32) -> IpNet {
    IpNet::from(Ipv4Net::new_assert(Ipv4Addr::from(bits << 8), 24))
}

/// The /48 of these 48 bits.
fn v6(bits: u64) -> IpNet {
    IpNet::from(Ipv6Net::new_assert(Ipv6Addr::from(u128::from(bits) << 80), 48))
}

/// So many hosts all over IPv4, a line each.
pub(crate) fn denied(count: u32) -> String {
    let host = |number: u32| format!("{}\n", Ipv4Addr::from(number.wrapping_mul(0x9e37_79b1)));
    (1..=count).map(host).collect()
}

/// The prefix beside this one.
pub(crate) fn neighbor(prefix: &IpNet) -> IpNet {
    match prefix {
        IpNet::V4(net) => v4(u32::from(net.network()) >> 8 ^ 1),
        IpNet::V6(net) => v6((u128::from(net.network()) >> 80) as u64 ^ 1),
    }
}

/// A /24 or /48 anywhere, for each number another one.
fn anywhere(family: Family, number: u64) -> IpNet {
    // As in `prefix`, with another multiplier: no pattern of the prefixes' own.
    let mixed = number.wrapping_mul(0xd134_2543_de82_ef95);
    match family {
        Family::V4 => v4((mixed >> 40) as u32),
        Family::V6 => v6(mixed >> 16),
    }
}

/// Sources of that kind, for a policy of these prefixes.
pub(crate) fn sources(kind: Sources, family: Family, prefixes: &[IpNet]) -> Box<BenchSources> {
    let listed: HashSet<_> = prefixes.iter().copied().collect();
    let unlisted = |prefix: &IpNet| !listed.contains(prefix);
    let places: Vec<IpNet> = match kind {
        Sources::Listed => prefixes.to_vec(),
        Sources::Near => prefixes.iter().map(neighbor).filter(unlisted).collect(),
        Sources::Uniform => (0..).map(|number| anywhere(family, number)).filter(unlisted).take(BASES).collect(),
    };
    let mask = match family {
        Family::V4 => [0xff << 32, 0],
        Family::V6 => [0xffff, u64::MAX],
    };
    let mut sources: Box<BenchSources> = bytemuck::zeroed_box();
    sources.mask = mask;
    let step = (places.len() / BASES).max(1);
    for (base, prefix) in sources.bases.iter_mut().zip(places.iter().step_by(step).cycle()) {
        *base = match prefix {
            IpNet::V4(net) => [u64::from(u32::from(net.network())) << 32, 0],
            IpNet::V6(net) => [(u128::from(net.network()) >> 64) as u64, 0],
        };
    }
    sources
}

/// A UDP datagram; the benchmark puts its source in.
pub(crate) fn datagram(family: Family, port: u16) -> Vec<u8> {
    let [first, second] = port.to_be_bytes();
    let mut octets = vec![2; 12];
    match family {
        Family::V4 => {
            octets.extend([8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0]);
            octets.extend([198, 51, 100, 10]);
        }
        Family::V6 => {
            octets.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 17, 64]);
            octets.extend([0; 16]);
            octets.extend(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets());
        }
    }
    octets.extend([0x27, 0x10, first, second, 0, 8, 0, 0]);
    octets
}

/// A policy that lets signalling and media in from these prefixes, with these settings of `[sbc]` and these sections.
pub(crate) fn text(prefixes: &[IpNet], settings: &str, sections: &str) -> Result<String> {
    let from: Vec<String> = prefixes.iter().map(|prefix| format!("\"{prefix}\"")).collect();
    let from = from.join(", ");
    let mut text = format!("[sbc]\ninterfaces = [\"eth0\"]\n{settings}\n{sections}");
    for (name, (first, last)) in ["sip", "media"].iter().zip(PORTS) {
        write!(text, "\n[[allow]]\nname = \"{name}\"\nfrom = [{from}]\nudp = [\"{first}-{last}\"]\n")?;
    }
    Ok(text)
}

/// The same, compiled.
pub(crate) fn policy(prefixes: &[IpNet]) -> Result<CompiledPolicy> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("policy.toml");
    fs::write(&file, text(prefixes, "", "")?)?;
    let policy = Policy::load(&file).context("the policy does not load")?;
    policy.compile().context("the policy does not compile")
}
