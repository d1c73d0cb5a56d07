//! A node's own facts: what its own policy file says of its interfaces, addresses and ports, of its links, and of who must
//! always get in or stay out. They are part of every policy that it is given.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

/// The keys of `[sbc]` that are a node's own.
const OWN: [&str; 4] = ["interfaces", "addresses", "reply_ports", "listen"];
/// The keys of `[classes]` that are a matter of a node's links.
const LINKS: [&str; 5] = ["link_control", "dhcp", "vrrp", "ospf", "bfd"];
/// The lists that a node's own entries are added to.
const LISTS: [&str; 2] = ["allow", "deny"];

/// The facts in the text of a node's own policy file, as a policy file. Deny lists in files are named by their whole path.
///
/// # Errors
/// If the text is no TOML.
pub fn of(text: &str, folder: &Path) -> Result<String> {
    let own: DocumentMut = text.parse().context("the node's own policy file is not TOML")?;
    let mut facts = DocumentMut::new();
    for (section, keys) in [("sbc", &OWN[..]), ("classes", &LINKS[..])] {
        copy_keys(&own, &mut facts, section, keys);
    }
    for list in LISTS {
        let Some(tables) = own.get(list).and_then(Item::as_array_of_tables) else { continue };
        let mut copied = ArrayOfTables::new();
        for table in tables {
            copied.push(with_whole_path(table, folder));
        }
        facts.insert(list, Item::ArrayOfTables(copied));
    }
    Ok(facts.to_string())
}

/// A policy with a node's facts in it: where both say something of a key, the node's word stands.
///
/// # Errors
/// If one of them is no TOML, or has something else where tables belong.
pub fn merge(policy: &str, facts: &str) -> Result<String> {
    let mut merged: DocumentMut = policy.parse().context("the policy is not TOML")?;
    let facts: DocumentMut = facts.parse().context("the node's facts are not TOML")?;
    for (section, keys) in [("sbc", &OWN[..]), ("classes", &LINKS[..])] {
        copy_keys(&facts, &mut merged, section, keys);
    }
    for list in LISTS {
        let Some(tables) = facts.get(list).and_then(Item::as_array_of_tables) else { continue };
        let there = merged.entry(list).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        let there =
            there.as_array_of_tables_mut().ok_or_else(|| anyhow!("`{list}` of the policy is no list of tables"))?;
        for table in tables {
            let mut table = table.clone();
            // Where it stands in the file that it comes from means nothing here.
            table.set_position(None);
            there.push(table);
        }
    }
    Ok(merged.to_string())
}

fn copy_keys(from: &DocumentMut, to: &mut DocumentMut, section: &str, keys: &[&str]) {
    let Some(source) = from.get(section).and_then(Item::as_table_like) else { return };
    let mut present = keys.iter().filter_map(|key| Some((*key, source.get(key)?))).peekable();
    if present.peek().is_none() {
        return;
    }
    let target = to.entry(section).or_insert_with(|| Item::Table(Table::new()));
    let Some(target) = target.as_table_like_mut() else { return };
    for (key, item) in present {
        let mut item = item.clone();
        if let Some(table) = item.as_table_mut() {
            table.set_position(None);
        }
        target.insert(key, item);
    }
}

fn with_whole_path(table: &Table, folder: &Path) -> Table {
    let mut table = table.clone();
    table.set_position(None);
    if let Some(file) = table.get("file").and_then(Item::as_str) {
        let whole = std::path::absolute(folder.join(file)).unwrap_or_else(|_| folder.join(file));
        table.insert("file", value(whole.display().to_string()));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::file::PolicyFile;

    const OWN_POLICY: &str = "[sbc]\ninterfaces = [\"ens5\"]\nmode = \"monitor\"\n\n[sbc.listen]\nsip-udp = [5070]\n\n\
                              [classes]\nvrrp = \"pass\"\nping = \"pass\"\n\n[[allow]]\nname = \"ssh\"\nfrom = [\"10.0.0.1\"]\n\
                              tcp = [22]\n\n[[deny]]\nname = \"mine\"\nfile = \"deny.txt\"\n";
    const FLEET_POLICY: &str = "# Everybody's\n[sbc]\nmode = \"enforce\"\ninterfaces = [\"eth0\"]\n\n[sbc.listen]\nsip-udp = [5060]\n\
                                media = [\"10000-20000\"]\n\n[[allow]]\nname = \"web\"\nfrom = [\"10.0.0.2\"]\ntcp = [443]\n";

    #[test]
    fn a_nodes_word_stands_for_what_is_its_own_and_for_nothing_else() {
        let facts = of(OWN_POLICY, Path::new("/etc/sipwall")).unwrap();
        let merged = merge(FLEET_POLICY, &facts).unwrap();
        assert!(merged.starts_with("# Everybody's"), "{merged}");
        let refused = PolicyFile::parse(Path::new("merged.toml"), &merged);
        // The deny list is not there, which is all that is wrong.
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.contains("`/etc/sipwall/deny.txt` cannot be read") && refused.lines().count() == 1,
            "{refused}"
        );
        let merged = merged.replace("file = \"/etc/sipwall/deny.txt\"", "from = [\"10.0.0.9\"]");
        let file = PolicyFile::parse(Path::new("merged.toml"), &merged).unwrap();
        assert_eq!(file.sbc.interfaces, ["ens5"]);
        assert_eq!(file.sbc.mode(), "enforce");
        assert_eq!(file.listen.0.len(), 1, "{merged}");
        let names: Vec<_> = file.allows.iter().map(|allow| allow.name.value.as_str()).collect();
        assert_eq!(names, ["web", "ssh"]);
        let classes = |text: &str| PolicyFile::parse(Path::new("p"), text).unwrap().classes;
        assert_eq!(file.classes, classes("[classes]\nvrrp = \"pass\"\n"), "`ping` is not a matter of links");
    }

    #[test]
    fn facts_fit_into_an_empty_policy_and_none_change_nothing() {
        let facts = of(OWN_POLICY, Path::new("/etc/sipwall")).unwrap();
        assert_eq!(of(&merge("", &facts).unwrap(), Path::new("/")).unwrap(), facts);
        assert_eq!(merge(FLEET_POLICY, "").unwrap(), FLEET_POLICY);
    }
}
