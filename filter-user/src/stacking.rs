//! Which interfaces stand on which: bridges, bonds, VLANs and macvlans on those that carry their packets.

use std::{fs, path::Path};

/// All interfaces that stand on this one, at whatever height: what arrives for them arrives by it.
pub(crate) fn above(interface: &str) -> Vec<String> {
    let mut found = linked(interface, "upper_");
    let mut looked_at = 0;
    while looked_at < found.len() {
        let higher = linked(&found[looked_at], "upper_");
        looked_at += 1;
        let new: Vec<_> = higher.into_iter().filter(|name| !found.contains(name)).collect();
        found.extend(new);
    }
    found
}

/// The interfaces that this one stands on: the ports of a bridge, or what a VLAN is made on.
pub(crate) fn below(interface: &str) -> Vec<String> {
    linked(interface, "lower_")
}

/// Those that the kernel links to an interface by names that begin so (its `net/core/dev.c`, adjacent devices).
fn linked(interface: &str, beginning: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new("/sys/class/net").join(interface)).into_iter().flatten();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut linked: Vec<_> = names.filter_map(|name| name.strip_prefix(beginning).map(str::to_owned)).collect();
    linked.sort();
    linked
}
