//! Finds the address blocks in lists, code and lines of text: addresses one under the other, closed by a `Ports:` line.

use super::{
    super::{
        document::{Block, BlockKind, Line},
        limits::MOST_PREFIXES_OF_A_LIST,
        problem::{Fault, Misread},
        words::{WordSet, tidy, words},
    },
    address_words::{looks_like_address, takes_away},
    addresses::Addresses,
    ports::Ports,
    protocols::{Protocols, is_protocol_word},
};

/// Addresses that share their ports.
#[derive(Clone, Debug, Default)]
pub(crate) struct AddressGroup {
    /// The first line of the group.
    pub(crate) line: u32,
    pub(crate) addresses: Addresses,
    pub(crate) ports: Ports,
    /// The protocols that a line of its own states.
    pub(crate) protocols: Protocols,
    /// The addresses of each line, less those that lines above state too.
    lines: Vec<(u32, Addresses)>,
    /// How many prefixes the lines state, repetitions included.
    stated: usize,
}

impl AddressGroup {
    /// A group for each line: addresses that nothing joins are rows of their own.
    pub(crate) fn by_line(&self) -> impl Iterator<Item = Self> {
        let lines = self.lines.iter().filter(|(_, addresses)| !addresses.is_empty());
        lines.map(|(line, addresses)| Self {
            line: *line,
            addresses: addresses.clone(),
            protocols: self.protocols.clone(),
            ..Self::default()
        })
    }

    /// The lines that make no rule of their own, each with what it adds to the others; `is_joined` where one rule has all.
    pub(crate) fn joined_lines(&self, is_joined: bool) -> impl Iterator<Item = (u32, &Addresses)> {
        let lines = self
            .lines
            .iter()
            .filter(move |(line, addresses)| *line != self.line && (is_joined || addresses.is_empty()));
        lines.map(|(line, addresses)| (*line, addresses))
    }
}

/// What a line of a block is.
#[derive(Debug)]
pub(crate) enum LineKind {
    Addresses(Addresses),
    Ports(Ports),
    /// A `Protocol:` line.
    Protocols(Protocols),
    /// A `Ports:` line that cannot be read.
    BadPorts(Misread),
    /// Text with something like an address that is not a list of addresses.
    Unreadable(Misread),
    Prose,
}

impl LineKind {
    /// Tells what `text` is.
    pub(crate) fn of(text: &str) -> Self {
        let text = tidy(without_comment(text));
        match Self::of_tidy(&text) {
            kind @ (Self::Prose | Self::Unreadable(_)) => {
                without_line_number(&text).map(Self::of_tidy).filter(Self::is_data).unwrap_or(kind)
            }
            kind => kind,
        }
    }

    fn of_tidy(text: &str) -> Self {
        if let Some(ports) = ports_text(text) {
            return Ports::read(&ports).map_or_else(Self::BadPorts, Self::Ports);
        }
        if let Some(protocols) = protocols_text(text) {
            return Protocols::read(protocols).map_or_else(Self::BadPorts, Self::Protocols);
        }
        match Addresses::read(text) {
            Ok(addresses) if !addresses.prefixes.is_empty() => Self::Addresses(addresses),
            Ok(_) => Self::Prose,
            Err(why) => Self::Unreadable(why),
        }
    }

    fn is_data(&self) -> bool {
        matches!(self, Self::Addresses(_) | Self::Ports(_) | Self::Protocols(_))
    }
}

/// The line without what stands behind `#`.
fn without_comment(line: &str) -> &str {
    match line.split_once(" #") {
        Some((data, comment)) if !words(comment).iter().any(|word| takes_away(word)) => data,
        _ => line,
    }
}

/// The line without the number that a code block shows before it.
fn without_line_number(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = line.len() - rest.len();
    let rest = rest.trim_start_matches(['.', ':', '|']);
    (1..=4).contains(&digits).then_some(rest)?.strip_prefix(' ')
}

/// Words before the colon of a port line.
static PORT_LINE_WORDS: WordSet =
    WordSet::new("port ports used range ranges required allowed open destination remote number numbers and");

/// The ports that a line states after a colon, with the protocols before it: `UDP ports: 10000-20000`.
fn ports_text(line: &str) -> Option<String> {
    let (head, tail) = line.split_once(':')?;
    let words = words(head);
    let names_ports = words.iter().any(|word| word == "port" || word == "ports");
    let is_port_line = names_ports && words.iter().all(|word| PORT_LINE_WORDS.has(word) || is_protocol_word(word));
    if !is_port_line || !tail.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let protocols: Vec<_> = words.into_iter().filter(|word| is_protocol_word(word)).collect();
    Some(format!("{} {}", protocols.join("/"), tail.trim_end_matches('.')))
}

/// The protocols that a line states after a colon, `Protocol: UDP`.
fn protocols_text(line: &str) -> Option<&str> {
    let (head, tail) = line.split_once(':')?;
    let is_head = ["protocol", "protocols", "transport"].contains(&head.trim().to_lowercase().as_str());
    is_head.then_some(tail.trim_end_matches('.'))
}

/// What a block holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockReading {
    pub(crate) groups: Vec<AddressGroup>,
    /// Lines that could not be read, and why.
    pub(crate) unreadable: Vec<(u32, Misread)>,
    /// Lines of running text that mention addresses.
    pub(crate) mentions: Vec<Line>,
    /// Ports that a line states before any address, with that line: they hold for what follows.
    pub(crate) leading_ports: Option<(u32, Ports)>,
    /// The block has its ports above the addresses that they are for.
    leads: bool,
    /// The last line of ports that stands below addresses.
    trailing: Option<u32>,
    /// The same line, where addresses below it have no ports.
    pub(crate) doubtful: Option<u32>,
    /// Lines of ports that could not be read, which are of concern where there are addresses.
    pub(crate) bad_ports: Vec<(u32, Misread)>,
    /// Protocols that a line states before the addresses that they are for.
    leading_protocols: Protocols,
    /// The line above states ports.
    follows_ports: bool,
    open: Option<AddressGroup>,
    /// The lines are the items of a list.
    is_bullets: bool,
}

/// What is said of a line of ports between two lists of addresses.
pub(crate) const ABOVE_OR_BELOW: &str = "cannot tell whether these ports are those of the addresses above or below";

/// A longer item of a list that mentions an address is running text, in bytes.
const LONGEST_ITEM: usize = 60;

/// A line of running text longer than this ends a list of addresses, in bytes.
const LONG_LINE: usize = 40;

/// Reads a block: its address groups, and the lines that could not be read.
pub(crate) fn read_block(block: &Block) -> BlockReading {
    let kinds: Vec<_> = block.lines.iter().map(|line| (line, LineKind::of(&line.text))).collect();
    let is_list =
        kinds.iter().any(|(_, kind)| matches!(kind, LineKind::Addresses(_))) && block.kind != BlockKind::Prose;
    let mut reading = BlockReading { is_bullets: block.kind == BlockKind::List, ..BlockReading::default() };
    for (line, kind) in kinds {
        reading.take(line, kind, is_list);
    }
    reading.end();
    reading
}

impl BlockReading {
    /// Takes a line; in a list every line with an address must be readable.
    fn take(&mut self, line: &Line, kind: LineKind, is_list: bool) {
        match kind {
            LineKind::Addresses(addresses) => self.add(line.number, addresses),
            LineKind::Ports(ports) => return self.take_ports(line.number, ports),
            LineKind::Protocols(protocols) => return self.take_protocols(protocols),
            LineKind::BadPorts(why) if self.open.is_some() || is_list => {
                self.unreadable.push((line.number, why));
            }
            LineKind::Unreadable(why)
                if is_list || self.is_item(line) || runs_together(&line.text) || is_row(&line.text) =>
            {
                self.unreadable.push((line.number, why));
            }
            LineKind::Unreadable(_) => self.mentions.push(line.clone()),
            LineKind::Prose if line.text.len() > LONG_LINE => self.close(Ports::default()),
            LineKind::BadPorts(why) => self.bad_ports.push((line.number, why)),
            LineKind::Prose => {}
        }
        self.follows_ports = false;
    }

    /// Takes a line of protocols: those of the addresses above it, or where it comes first, of those below.
    fn take_protocols(&mut self, protocols: Protocols) {
        match (&mut self.open, self.groups.last_mut()) {
            (Some(above), _) => above.protocols = protocols,
            (None, Some(above)) if self.follows_ports => above.protocols = protocols,
            _ => self.leading_protocols = protocols,
        }
    }

    /// Takes a line of ports: those of the addresses above it, or where it comes first, of those below. A line of ports
    /// right after another adds to it.
    fn take_ports(&mut self, line: u32, ports: Ports) {
        let groups = ports.groups.iter().cloned();
        match (&self.open, self.groups.last_mut(), &mut self.leading_ports) {
            (Some(_), ..) if self.leads => {
                self.close(Ports::default());
                self.leading_ports = Some((line, ports));
            }
            (Some(_), ..) => {
                self.close(ports);
                self.trailing = Some(line);
            }
            (None, _, Some((_, leading))) if self.follows_ports => leading.groups.extend(groups),
            (None, Some(above), _) if self.follows_ports => above.ports.groups.extend(groups),
            _ => {
                self.leads = true;
                self.leading_ports = Some((line, ports));
            }
        }
        self.follows_ports = true;
    }

    /// Ends the block: ports that stand over nothing may be those of the addresses above them.
    fn end(&mut self) {
        if self.open.is_some() && !self.leads {
            self.doubtful = self.trailing;
        }
        self.close(Ports::default());
        if let Some((line, _)) = self.leading_ports.take_if(|_| self.leads && !self.groups.is_empty()) {
            self.unreadable.push((line, Fault::WhosePorts.of(ABOVE_OR_BELOW)));
        }
    }

    /// Whether a line is a short item of a list: data, not running text.
    fn is_item(&self, line: &Line) -> bool {
        self.is_bullets && line.text.len() <= LONGEST_ITEM
    }

    fn add(&mut self, line: u32, addresses: Addresses) {
        let protocols = &mut self.leading_protocols;
        let begin = || AddressGroup { line, protocols: std::mem::take(protocols), ..AddressGroup::default() };
        let group = self.open.get_or_insert_with(begin);
        group.stated += addresses.prefixes.len();
        if group.stated > MOST_PREFIXES_OF_A_LIST {
            let why = Fault::TooManyPrefixes.of(format!("more than {MOST_PREFIXES_OF_A_LIST} prefixes in one list"));
            if self.unreadable.last().is_none_or(|(_, known)| *known != why) {
                self.unreadable.push((line, why));
            }
            return;
        }
        let new = group.addresses.extend(addresses);
        group.lines.push((line, new));
    }

    /// Closes the open addresses with the ports below them, or with those above where the block has them there.
    fn close(&mut self, ports: Ports) {
        let Some(group) = self.open.take() else {
            return;
        };
        let leading = self.leading_ports.take_if(|_| self.leads).map(|(_, ports)| ports);
        self.groups.push(AddressGroup { ports: leading.unwrap_or(ports), ..group });
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

/// Whether a line of text is set as data: `Primary: 192.0.2.1`, or cells that spaces part.
fn is_row(line: &str) -> bool {
    let text = tidy(line);
    let is_labelled = text.split_once(": ").is_some_and(|(label, rest)| {
        let is_short = label.len() <= LONG_LINE && !label.contains(['.', '/']);
        is_short && !words(label).iter().any(|word| is_of_reader(word)) && holds_addresses_alone(rest)
    });
    let begins_with_address = text.split_whitespace().next().is_some_and(holds_addresses_alone);
    if begins_with_address && text.len() <= LONGEST_ITEM && !text.ends_with('.') {
        return true;
    }
    let cells = line.trim().split("  ").filter(|cell| !cell.trim().is_empty());
    is_labelled || cells.count() > 2 && line.split_whitespace().any(holds_addresses_alone)
}

fn holds_addresses_alone(text: &str) -> bool {
    Addresses::read(text).is_ok_and(|addresses| !addresses.prefixes.is_empty())
}

/// Whether a word of a label says that the address is the reader's or made up.
fn is_of_reader(word: &str) -> bool {
    ["your", "my", "our", "you", "customer", "local", "example", "sample", "eg"].contains(&word)
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
