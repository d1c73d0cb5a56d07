//! The tables: terms laid out as the decision reads them.

use bytemuck::zeroed_box;
use filter_common::{
    Address,
    packet::ip,
    tables::{PORT_SETS, SOURCE_SETS, SourceSet, Tables, flags},
};
use ipnet::IpNet;

use super::{
    draft::TermInfo,
    intern::Interner,
    own_ports::OwnPorts,
    port_tables::{self, Classes},
};
use crate::policy::{PortSet, file::PolicyFile, refusal::Code};

/// A table that is too small for the policy.
pub(super) struct Overflow {
    pub(super) code: Code,
    pub(super) what: &'static str,
    pub(super) needed: usize,
    pub(super) limit: usize,
}

/// The IP protocol of each of [`Tables::ports`].
const PROTOCOLS: [u8; 2] = [ip::UDP, ip::TCP];

/// The tables of at most 256 terms, and the sources with their places in them.
pub(super) fn build(
    file: &PolicyFile,
    own: &OwnPorts<'_>,
    terms: &[TermInfo],
    sources: &[(IpNet, SourceSet)],
) -> Result<(Box<Tables>, Vec<(IpNet, u32)>), Overflow> {
    let mut tables: Box<Tables> = zeroed_box();
    settings(&mut tables, file);
    for (index, term) in (0..=u8::MAX).zip(terms) {
        tables.protocols[usize::from(term.matching.protocol)].insert(index);
        if term.matching.ports.as_ref().is_some_and(|ports| ports.opening) {
            tables.opening.insert(index);
        }
        tables.term_rules[usize::from(index)] = u16::try_from(term.rule).unwrap_or(u16::MAX);
    }
    ports(&mut tables, own, terms)?;
    let sources = source_sets(&mut tables, sources)?;
    Ok((tables, sources))
}

fn settings(tables: &mut Tables, file: &PolicyFile) {
    let sbc = &file.sbc;
    let modes = [
        (sbc.monitor, flags::MONITOR),
        (sbc.scope_ports, flags::SCOPE_PORTS),
        (sbc.fragments_drop, flags::FRAGMENTS_DROP),
    ];
    let set = modes.iter().filter(|(on, _)| *on).fold(file.classes, |set, (_, flag)| set | flag);
    tables.settings.flags = set;
    for (slot, address) in tables.settings.addresses.0.iter_mut().zip(&sbc.addresses) {
        *slot = Address::from(*address).words();
        tables.settings.address_count += 1;
    }
}

fn ports(tables: &mut Tables, own: &OwnPorts<'_>, terms: &[TermInfo]) -> Result<(), Overflow> {
    let mut sets = Interner::new();
    let classes = PROTOCOLS.map(|protocol| {
        let source = port_tables::classes(terms, protocol, |ports| &ports.source, &mut sets);
        let destination = port_tables::classes(terms, protocol, |ports| &ports.destination, &mut sets);
        (source, destination)
    });
    let limit = PORT_SETS;
    let needed = sets.values().len();
    if needed > limit {
        return Err(Overflow { code: Code::TooManyPortSets, what: "combinations of rules over ports", needed, limit });
    }
    tables.port_sets[..needed].copy_from_slice(sets.values());
    for ((table, (source, destination)), protocol) in tables.ports.iter_mut().zip(&classes).zip(PROTOCOLS) {
        fill(&mut table.source, source);
        fill(&mut table.destination, destination);
        for port in own.service.of_protocol(protocol).into_iter().flat_map(PortSet::ports) {
            table.own[usize::from(port) / 64] |= 1 << (port % 64);
        }
    }
    Ok(())
}

fn fill(table: &mut [u16; 65536], classes: &Classes) {
    for (ports, class) in classes {
        let class = u16::try_from(*class).unwrap_or_default();
        table[usize::from(*ports.start())..=usize::from(*ports.end())].fill(class);
    }
}

fn source_sets(tables: &mut Tables, sources: &[(IpNet, SourceSet)]) -> Result<Vec<(IpNet, u32)>, Overflow> {
    let mut sets = Interner::new();
    let places: Vec<_> = sources.iter().map(|(prefix, set)| (*prefix, sets.place(*set))).collect();
    let (needed, limit) = (sets.values().len(), SOURCE_SETS);
    if needed > limit {
        return Err(Overflow {
            code: Code::TooManySourceSets,
            what: "combinations of rules over sources",
            needed,
            limit,
        });
    }
    tables.source_sets[..needed].copy_from_slice(sets.values());
    Ok(places.into_iter().map(|(prefix, place)| (prefix, u32::try_from(place).unwrap_or_default())).collect())
}
