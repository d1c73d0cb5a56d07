//! The allowlists that are part of the binary.

use super::{
    file::{FileError, parse},
    model::Allowlist,
};

/// An allowlist that is part of the binary.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Builtin {
    /// The name that policies use.
    pub name: &'static str,
    /// The file name of the provider's document.
    pub document: &'static str,
    /// The provider's page.
    pub source: &'static str,
    /// When the page was read, `2026-11-22`.
    pub date: &'static str,
    text: &'static str,
}

/// Every built-in allowlist, by name.
pub const ALL: [Builtin; 2] = [
    Builtin {
        name: "kore-us",
        document: "kore-us-firewall-rules.md",
        source: "Kore.ai documentation, United States (US) Firewall Rules",
        date: "2026-11-22",
        text: include_str!("../../allowlists/kore-us.toml"),
    },
    Builtin {
        name: "twilio-interconnect",
        document: "twilio-interconnect.md",
        source: "Twilio documentation, Configure your Trunk using Twilio Interconnect",
        date: "2026-11-22",
        text: include_str!("../../allowlists/twilio-interconnect.toml"),
    },
];

/// The names of the built-in allowlists.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|builtin| builtin.name)
}

/// The built-in allowlist of that name.
pub fn get(name: &str) -> Option<Builtin> {
    ALL.into_iter().find(|builtin| builtin.name == name)
}

impl Builtin {
    /// What it allows.
    ///
    /// # Errors
    /// If the binary was built with a broken file.
    pub fn allowlist(&self) -> Result<Allowlist, FileError> {
        parse(&format!("{}.toml", self.name), self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_is_found_by_name_and_holds_entries() {
        for name in names() {
            let allowlist = get(name).unwrap().allowlist().unwrap();
            assert!(!allowlist.entries.is_empty(), "{name}");
            assert!(allowlist.errors.is_empty(), "{name}");
        }
        assert_eq!(get("kore"), None);
    }
}
