//! Finds the address blocks in lists, code and lines of text: addresses one under the other, closed by a `Ports:` line.

use super::{
    super::{
        document::{Block, BlockKind},
        words::tidy,
    },
    addresses::{Addresses, looks_like_address},
    ports::Ports,
};

/// Addresses that share their ports.
#[derive(Clone, Debug, Default)]
pub(crate) struct AddressGroup {
    /// The first line of the group.
    pub(crate) line: u32,
    pub(crate) addresses: Addresses,
    pub(crate) ports: Ports,
}

/// What a line of a block is.
#[derive(Debug)]
pub(crate) enum LineKind {
    Addresses(Addresses),
    Ports(Ports),
    /// Something like an address or port line that cannot be read.
    Unreadable(String),
    Prose,
}

impl LineKind {
    /// Tells what `text` is.
    pub(crate) fn of(text: &str) -> Self {
        let text = tidy(text);
        if let Some(ports) = ports_text(&text) {
            return Ports::read(ports).map_or_else(Self::Unreadable, Self::Ports);
        }
        match Addresses::read(&text) {
            Ok(addresses) if !addresses.prefixes.is_empty() => Self::Addresses(addresses),
            Ok(_) => Self::Prose,
            Err(why) => Self::Unreadable(why),
        }
    }
}

/// What follows `Ports:` on a line.
fn ports_text(line: &str) -> Option<&str> {
    let (head, tail) = line.split_once(':')?;
    let head = head.trim().to_lowercase();
    let is_ports = ["port", "ports", "ports used", "port range", "port ranges"].contains(&head.as_str());
    (is_ports && tail.contains(|c: char| c.is_ascii_digit())).then_some(tail)
}

/// The address groups of a block, and the lines that could not be read.
pub(crate) fn groups_of(block: &Block) -> (Vec<AddressGroup>, Vec<(u32, String)>) {
    let kinds: Vec<_> = block.lines.iter().map(|line| (line, LineKind::of(&line.text))).collect();
    let holds_addresses = kinds.iter().any(|(_, kind)| matches!(kind, LineKind::Addresses(_)));
    let mut gathered = Gathered::default();
    for (line, kind) in kinds {
        match kind {
            LineKind::Addresses(addresses) => gathered.add(line.number, addresses),
            LineKind::Ports(ports) => gathered.close(ports),
            LineKind::Unreadable(why)
                if holds_addresses && block.kind != BlockKind::Prose || runs_together(&line.text) =>
            {
                gathered.unreadable.push((line.number, why));
            }
            LineKind::Unreadable(_) | LineKind::Prose => {}
        }
    }
    gathered.close(Ports::default());
    (gathered.groups, gathered.unreadable)
}

#[derive(Default)]
struct Gathered {
    open: Option<AddressGroup>,
    groups: Vec<AddressGroup>,
    unreadable: Vec<(u32, String)>,
}

impl Gathered {
    fn add(&mut self, line: u32, addresses: Addresses) {
        let group = self.open.get_or_insert_with(|| AddressGroup { line, ..AddressGroup::default() });
        group.addresses.extend(addresses);
    }

    fn close(&mut self, ports: Ports) {
        self.groups.extend(self.open.take().map(|group| AddressGroup { ports, ..group }));
    }
}

/// Whether cells ran together in a line of text: `ANY168.86.128.0/1810,000 - 60,000`.
fn runs_together(line: &str) -> bool {
    let words = line.split(|c: char| c.is_whitespace() || "();,".contains(c));
    words.map(|word| word.trim_matches(['.', ':', '"', '\''])).any(|word| {
        let is_uri = word.contains([':', '@', '=']) || word.contains("//");
        let quads = word.split('/').next().unwrap_or_default().matches('.').count() == 3;
        !is_uri && quads && looks_like_address(word) && Addresses::read(word).is_err() && !word.starts_with(['v', 'V'])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_together_lines_are_told_from_prose() {
        for (line, expected) in [
            ("MediaUDPANYANY168.86.128.0/1810,000 - 60,000", true),
            ("208.78.112.64Ports: 5060", true),
            ("sip:172.56.42.132;edge=ashburn-ix", false),
            ("reach 192.0.2.1, then 192.0.2.2.", false),
            ("since version v1.2.3.4-beta of the SDK", false),
            ("{example}.pstn.ashburn-ix.twilio.com", false),
        ] {
            assert_eq!(runs_together(line), expected, "{line}");
        }
    }
}
