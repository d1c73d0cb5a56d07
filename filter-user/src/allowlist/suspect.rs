//! Prefixes that no provider should publish: private, reserved, for documentation, or very wide.

use std::{collections::HashSet, sync::LazyLock};

use ipnet::IpNet;

use super::{
    model::{Allowlist, Finding},
    problem::{Fault, Oddity, Remark},
};

/// Networks that do not stand for hosts on the internet, from the IANA special-purpose address registries.
const SPECIAL: [(&str, &str); 24] = [
    ("0.0.0.0/8", "reserved"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "private"),
    ("127.0.0.0/8", "reserved"),
    ("169.254.0.0/16", "reserved"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "for documentation"),
    ("192.88.99.0/24", "reserved"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "reserved"),
    ("198.51.100.0/24", "for documentation"),
    ("203.0.113.0/24", "for documentation"),
    ("224.0.0.0/4", "reserved"),
    ("240.0.0.0/4", "reserved"),
    ("::/16", "reserved"),
    ("64:ff9b::/96", "reserved"),
    ("100::/64", "reserved"),
    ("2001:db8::/32", "for documentation"),
    ("2002::/16", "reserved"),
    ("3fff::/20", "for documentation"),
    ("fc00::/7", "private"),
    ("fe80::/10", "reserved"),
    ("ff00::/8", "reserved"),
];

/// [`SPECIAL`], parsed once.
static NETWORKS: LazyLock<Vec<(IpNet, &str)>> = LazyLock::new(|| {
    let parsed = SPECIAL.iter().filter_map(|(network, kind)| Some((network.parse().ok()?, *kind)));
    parsed.collect()
});

/// How wide a prefix may be, as lengths: below the first it is warned of, below the second refused.
const fn width_limits(prefix: IpNet) -> (u8, u8) {
    match prefix {
        IpNet::V4(_) => (12, 8),
        IpNet::V6(_) => (24, 16),
    }
}

/// Whether `prefix` is wider than anything that a provider owns.
pub(crate) fn is_too_wide(prefix: IpNet) -> bool {
    let (_, refused) = width_limits(prefix);
    prefix.prefix_len() < refused
}

/// Why `prefix` is suspect, though it is used.
fn suspicion(prefix: IpNet) -> Option<Remark> {
    let special = NETWORKS.iter().find(|(network, _)| network.contains(&prefix) || prefix.contains(network));
    if let Some((network, kind)) = special {
        return Some(Oddity::SpecialPrefix.of(format!("`{prefix}` is {kind} (`{network}`)")));
    }
    let (warned, _) = width_limits(prefix);
    (prefix.prefix_len() < warned).then(|| Oddity::WidePrefix.of(format!("`{prefix}` is wider than /{warned}")))
}

impl Allowlist {
    /// Warns of suspect prefixes, and takes out those that are too wide to be meant, with an error.
    ///
    /// A row makes several entries, but one finding for each of its prefixes.
    pub(crate) fn check_prefixes(&mut self) {
        let mut seen = HashSet::new();
        for entry in &mut self.entries {
            let line = entry.line;
            entry.remote.retain(|prefix| {
                let (_, refused) = width_limits(*prefix);
                let is_kept = !is_too_wide(*prefix);
                let is_new = seen.insert((line, *prefix));
                if !is_kept && is_new {
                    let message = format!("`{prefix}` is wider than /{refused}: no provider owns that much");
                    self.errors.push(Finding::new(line, Fault::TooWide.of(message)));
                } else if is_new && let Some(remark) = suspicion(*prefix) {
                    self.warnings.push(Finding::new(line, remark));
                }
                is_kept
            });
        }
        self.entries.retain(|entry| !entry.remote.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prefix: &str, expected: Option<&str>) {
        let suspicion = suspicion(prefix.parse().unwrap()).map(|remark| remark.message);
        assert_eq!(suspicion.as_deref(), expected, "{prefix}");
    }

    #[test]
    fn special_and_wide_prefixes_are_suspect() {
        check("54.172.60.0/23", None);
        check("2600:1f00::/24", None);
        check("10.1.2.0/24", Some("`10.1.2.0/24` is private (`10.0.0.0/8`)"));
        check("203.0.113.7/32", Some("`203.0.113.7/32` is for documentation (`203.0.113.0/24`)"));
        check("52.0.0.0/11", Some("`52.0.0.0/11` is wider than /12"));
        check("fd00::/64", Some("`fd00::/64` is private (`fc00::/7`)"));
        check("2600::/20", Some("`2600::/20` is wider than /24"));
    }

    #[test]
    fn every_special_network_parses() {
        assert_eq!(NETWORKS.len(), SPECIAL.len());
    }
}
