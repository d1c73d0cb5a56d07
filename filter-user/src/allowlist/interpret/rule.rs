//! Judges one row of a table or one block of addresses: which entries it makes, or why it makes none.

use super::{
    super::{
        document::Note,
        model::{Entry, Protocol, Service, Unenforced},
        problem::{Fault, Misread, Remark, Why},
        words::{shorten, words},
    },
    addresses::Addresses,
    block::AddressGroup,
    direction,
    fields::Fields,
    headings::Headings,
    ports::{PortGroup, Ports},
    protocols::{Kinds, Protocols, Wire, transports_of},
    services::{Offer, offers},
};
use crate::ports::PortRange;

/// The longest piece of a document that a message quotes, in characters.
const QUOTE: usize = 80;

/// What stands round a row: its headings and regions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) section: String,
    pub(crate) headings: Headings,
    pub(crate) regions: Vec<String>,
    /// Ports that a line above the row states.
    pub(crate) standing: Ports,
}

/// What became of a row or block.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Judgement {
    pub(crate) entries: Vec<Entry>,
    pub(crate) unenforced: Vec<Unenforced>,
    /// What was read otherwise than it was written.
    pub(crate) remarks: Vec<Remark>,
}

/// A row or block whose texts have been read.
struct Rule<'a> {
    line: u32,
    surroundings: &'a Surroundings,
    addresses: Addresses,
    protocols: Protocols,
    ports: Ports,
    /// What the words nearest to the row say about its kind.
    kinds: Kinds,
    /// What the same words say of how SIP travels there: «SIP over TLS».
    wires: Vec<Wire>,
    /// The document names no service that a filter knows.
    is_bare: bool,
    /// The reader's own side listens: the ports are not the provider's.
    is_inbound: bool,
}

/// Judges a row of a table.
///
/// # Errors
/// Says what could not be read, with the cell's text.
pub(crate) fn judge_row(fields: &Fields, surroundings: &Surroundings) -> Result<Judgement, Misread> {
    if let Some(Note::Refuse(why)) = &fields.note {
        return Err(why.clone());
    }
    let remote = Remote::of(fields, surroundings)?;
    let (protocols, mut ports) = match protocols_and_ports(fields) {
        // The port is the reader's own, which no page can say, or there is no address that it could belong to.
        Err(why) if (remote.is_inbound || remote.addresses.is_empty()) && why.code != Fault::BadProtocol => {
            let mut protocols = protocols_of(&fields.protocol)?;
            protocols.kinds = protocols.kinds.or(Kinds::of_text(&fields.port));
            (protocols, Ports::default())
        }
        read => read?,
    };
    if fields.shares_ports {
        keep_own(&mut ports, fields)?;
    }
    if ports.is_empty() && protocols.is_empty() {
        ports.clone_from(&surroundings.standing);
    }
    let (kinds, wires) = words_of_row(fields, surroundings);
    let rule = Rule {
        line: fields.line,
        surroundings,
        addresses: remote.addresses,
        protocols,
        ports,
        kinds,
        wires,
        is_bare: fields.is_bare,
        is_inbound: remote.is_inbound,
    };
    if rule.addresses.prefixes.is_empty() && rule.addresses.names.is_empty() {
        return Ok(rule.without_address(&remote.text, fields));
    }
    let mut judgement = rule.judge();
    if remote.is_inbound {
        take_source_ports(&mut judgement, &fields.source_port)?;
    }
    Ok(match &fields.note {
        Some(Note::LeaveOut(why)) => judgement.left_out(fields.line, &remote.text, *why),
        Some(Note::Warn(warning)) => {
            judgement.remarks.push(warning.clone());
            judgement
        }
        Some(Note::Refuse(_)) | None => judgement,
    })
}

/// Judges the addresses of a block, with the ports that a line of it states.
pub(crate) fn judge_block(group: &AddressGroup, surroundings: &Surroundings) -> Judgement {
    let (kinds, wires) = surroundings.headings.words.clone();
    Rule {
        line: group.line,
        surroundings,
        addresses: group.addresses.clone(),
        protocols: group.protocols.clone(),
        ports: if group.ports.is_empty() { surroundings.standing.clone() } else { group.ports.clone() },
        kinds,
        wires,
        is_bare: false,
        is_inbound: false,
    }
    .judge()
}

impl Judgement {
    /// The same row as one that is not enforced, whatever it states.
    pub(crate) fn left_out(self, line: u32, name: &str, why: Why) -> Self {
        let mut protocols: Vec<_> = self.entries.iter().map(|entry| entry.protocol).collect();
        protocols.extend(self.unenforced.iter().map(|row| row.protocol));
        protocols.dedup();
        let mut ports: Vec<_> = self.entries.into_iter().flat_map(|entry| entry.remote_ports).collect();
        ports.extend(self.unenforced.into_iter().flat_map(|row| row.remote_ports));
        ports.sort_unstable();
        ports.dedup();
        let unenforced = Unenforced {
            name: name.to_owned(),
            protocol: if let [protocol] = protocols[..] { protocol } else { Protocol::Any },
            remote_ports: ports,
            line,
            why,
        };
        Self { unenforced: vec![unenforced], ..Self::default() }
    }
}

/// The provider's side of a row.
struct Remote {
    addresses: Addresses,
    /// The text of the cell.
    text: String,
    is_inbound: bool,
}

impl Remote {
    fn of(fields: &Fields, surroundings: &Surroundings) -> Result<Self, Misread> {
        let destination = [fields.destination_address.as_str(), fields.address.as_str()].join("\n");
        let (theirs, source) = (read_cell(&destination)?, read_cell(&fields.source_address)?);
        let says_inbound = says_inbound(fields, surroundings);
        let take_source = match (theirs.prefixes.is_empty(), source.prefixes.is_empty()) {
            (false, false) => says_inbound.ok_or_else(|| {
                let row = shorten(&fields.text, QUOTE);
                Fault::WhoseAddress.of(format!("cannot tell which address is the provider's in `{row}`"))
            })?,
            (true, false) => true,
            _ => false,
        };
        if take_source {
            return Ok(Self { addresses: source, text: fields.source_address.clone(), is_inbound: true });
        }
        let is_inbound = fields.destination_address.is_empty() && says_inbound == Some(true);
        Ok(Self { addresses: theirs, text: destination.trim().to_owned(), is_inbound })
    }
}

/// Whether the row's direction or a heading says that the provider opens the connection; `None` where nothing says.
fn says_inbound(fields: &Fields, surroundings: &Surroundings) -> Option<bool> {
    let mut own = [&fields.direction, &fields.group].into_iter().chain(&fields.labels);
    own.find_map(|text| direction::is_inbound(text)).or(surroundings.headings.inbound)
}

/// The fault with the text of its cell.
fn in_cell(mut why: Misread, cell: &str) -> Misread {
    why.message = format!("{} (cell `{}`)", why.message, shorten(cell, QUOTE));
    why
}

fn read_cell(text: &str) -> Result<Addresses, Misread> {
    Addresses::read(text).map_err(|why| in_cell(why, text))
}

/// Keeps of ports that several rules share those that name the kind of this one.
fn keep_own(ports: &mut Ports, fields: &Fields) -> Result<(), Misread> {
    let names_kind = |group: &PortGroup| !group.protocols.kinds.is_empty();
    if ports.groups.iter().any(names_kind) {
        ports.groups.retain(|group| !names_kind(group) || group.protocols.kinds.meets(fields.facet));
    }
    let several = ports.groups.iter().map(|group| group.ranges.len()).sum::<usize>() > 1;
    if several && !ports.groups.iter().all(names_kind) || ports.is_empty() && !fields.port.is_empty() {
        let message = "cannot tell which ports belong to which addresses of the row";
        return Err(in_cell(Fault::WhosePorts.of(message), &fields.port));
    }
    Ok(())
}

fn protocols_of(cell: &str) -> Result<Protocols, Misread> {
    Protocols::read(cell).map_err(|why| in_cell(why, cell))
}

/// Reads the protocol and port cells, either of which may hold what the other should: `UDP/5060`.
fn protocols_and_ports(fields: &Fields) -> Result<(Protocols, Ports), Misread> {
    let ports = Ports::read(&fields.port).map_err(|why| in_cell(why, &fields.port))?;
    match Protocols::read(&fields.protocol) {
        Ok(protocols) => Ok((protocols, ports)),
        Err(why) if !ports.is_empty() => Err(in_cell(why, &fields.protocol)),
        Err(why) => match Ports::read(&fields.protocol) {
            Ok(ports) => Ok((Protocols::default(), ports)),
            Err(_) => Err(in_cell(why, &fields.protocol)),
        },
    }
}

/// What the row's own words say, and where they say nothing, its headers' and headings': of the kind of traffic and of how
/// SIP travels.
fn words_of_row(fields: &Fields, surroundings: &Surroundings) -> (Kinds, Vec<Wire>) {
    if !fields.facet.is_empty() {
        return (fields.facet, Vec::new());
    }
    let mut texts = fields.labels.iter().chain(&fields.regions).chain([&fields.group]);
    if let Some(said) = texts.find_map(|text| words_of(text)) {
        return said;
    }
    if fields.header_kinds.is_empty() {
        return surroundings.headings.words.clone();
    }
    (fields.header_kinds, Vec::new())
}

/// What a text says of the kind of traffic and of how SIP travels; `None` where it says nothing.
pub(super) fn words_of(text: &str) -> Option<(Kinds, Vec<Wire>)> {
    let kinds = Kinds::of_text(text);
    (!kinds.is_empty()).then(|| (kinds, transports_of(text)))
}

impl Rule<'_> {
    fn judge(&self) -> Judgement {
        let mut judgement = Judgement { remarks: self.addresses.remarks.clone(), ..Judgement::default() };
        if !self.addresses.prefixes.is_empty() {
            judgement.entries = self.offers().into_iter().map(|offer| self.entry(offer)).collect();
        }
        for name in &self.addresses.names {
            judgement.unenforced.push(self.unenforced(name, why_name(name)));
        }
        judgement
    }

    fn offers(&self) -> Vec<Offer> {
        if self.is_bare {
            let ranges = self.ports.groups.iter().flat_map(|group| group.ranges.clone()).collect();
            return vec![Offer { service: Service::Unspecified, protocol: Protocol::Any, ranges }];
        }
        let nothing = [PortGroup::default()];
        let groups = if self.ports.is_empty() { &nothing[..] } else { &self.ports.groups };
        let mut joined: Vec<Offer> = Vec::new();
        for offer in groups.iter().flat_map(|group| offers(group, &self.protocols, self.kinds, &self.wires)) {
            match joined.iter_mut().find(|known| (known.service, known.protocol) == (offer.service, offer.protocol)) {
                Some(known) => known.ranges.extend(offer.ranges),
                None => joined.push(offer),
            }
        }
        joined
    }

    fn entry(&self, offer: Offer) -> Entry {
        Entry {
            service: offer.service,
            section: self.surroundings.section.clone(),
            regions: self.surroundings.regions.clone(),
            remote: self.addresses.prefixes.clone(),
            protocol: offer.protocol,
            remote_ports: if self.is_inbound { Vec::new() } else { offer.ranges },
            line: self.line,
        }
    }

    fn unenforced(&self, name: &str, why: Why) -> Unenforced {
        let mut remote_ports: Vec<_> = self.ports.groups.iter().flat_map(|group| group.ranges.clone()).collect();
        remote_ports.sort_unstable();
        remote_ports.dedup();
        Unenforced { name: name.to_owned(), protocol: self.protocol(), remote_ports, line: self.line, why }
    }

    /// The one protocol of a row, `any` where it states none or several.
    fn protocol(&self) -> Protocol {
        let groups = self.ports.groups.iter().flat_map(|group| &group.protocols.wires);
        let mut wires: Vec<_> = self.protocols.wires.iter().chain(groups).map(|wire| *wire == Wire::Udp).collect();
        wires.dedup();
        match wires[..] {
            [true] => Protocol::Udp,
            [false] => Protocol::Tcp,
            _ => Protocol::Any,
        }
    }

    /// A row that states ports or protocols but no address.
    fn without_address(&self, text: &str, fields: &Fields) -> Judgement {
        let states_rule = !self.ports.is_empty() || !self.protocols.is_empty() || !text.is_empty();
        let names = [text, fields.labels.first().map_or("", String::as_str), &fields.group, &fields.text];
        let name = names.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
        let unenforced = states_rule.then(|| self.unenforced(name, why_text(text)));
        Judgement { unenforced: unenforced.into_iter().collect(), ..Judgement::default() }
    }
}

/// The source ports of a row of inbound traffic are the provider's.
fn take_source_ports(judgement: &mut Judgement, cell: &str) -> Result<(), Misread> {
    let ports = Ports::read(cell).map_err(|why| in_cell(why, cell))?;
    let stated = ports.groups.into_iter().flat_map(|group| group.ranges);
    let stated: Vec<_> = stated.filter(|range| *range != PortRange::ALL).collect();
    for entry in &mut judgement.entries {
        if entry.service != Service::Unspecified {
            entry.remote_ports.clone_from(&stated);
        }
    }
    Ok(())
}

fn why_name(name: &str) -> Why {
    if name.contains('*') { Why::Wildcard } else { Why::HostName }
}

fn why_text(text: &str) -> Why {
    let words = words(text);
    let says = |listed: &[&str]| words.iter().any(|word| listed.contains(&word.as_str()));
    if says(&["dynamic", "dynamically", "varies", "ephemeral"]) {
        Why::Dynamic
    } else if says(&["any", "all"]) || text == "*" {
        Why::EveryAddress
    } else {
        Why::NoAddress
    }
}

/// Whether a text stands where an address would, and says that there is none.
pub(super) fn stands_for_addresses(text: &str) -> bool {
    why_text(text) != Why::NoAddress
}
