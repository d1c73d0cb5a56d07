//! The tables: terms laid out as the decision reads them.

use bytemuck::zeroed_box;
use filter_common::{
    Address,
    packet::ip,
    tables::{AddressTable, Knobs, Tables, Term, TermSet, flags, services},
};

use super::{
    draft::{RuleInfo, TermInfo},
    intern::Interner,
    own_ports::OwnPorts,
    port_tables::{self, Classes},
};
use crate::{
    allowlist::Service,
    policy::{
        PortSet,
        file::{Fragments, Inspection, PolicyFile},
        refusal::Code,
    },
};

/// A table that is too small for the policy.
pub(super) struct Overflow {
    pub(super) code: Code,
    pub(super) what: &'static str,
    pub(super) needed: usize,
    pub(super) limit: usize,
}

/// The IP protocol of each of [`Tables::ports`].
const PROTOCOLS: [u8; 2] = [ip::UDP, ip::TCP];

/// The tables of at most 256 terms.
pub(super) fn build(
    file: &PolicyFile,
    own: &OwnPorts<'_>,
    rules: &[RuleInfo],
    terms: &[TermInfo],
    source_sets: &[TermSet],
) -> Result<Box<Tables>, Overflow> {
    let mut tables: Box<Tables> = zeroed_box();
    settings(&mut tables, file);
    for (index, term) in (0..=u8::MAX).zip(terms) {
        tables.protocols[usize::from(term.matching.protocol)].insert(index);
        if term.matching.protocol == ip::TCP && term.matching.ports.as_ref().is_some_and(|ports| ports.opening) {
            tables.opening.insert(index);
        }
        let rule = &rules[term.rule];
        let inspected = !rule.provider.is_some_and(|place| file.providers[place].t38);
        let service = match rule.service {
            Some(Service::SipUdp) => services::SIP,
            Some(Service::Media) if inspected => services::MEDIA,
            _ => services::OTHER,
        };
        tables.set_term(index.into(), Term::new(u16::try_from(term.rule).unwrap_or(u16::MAX), service));
    }
    ports(&mut tables, own, terms)?;
    let what = "combinations of rules over sources";
    copy(&mut tables.source_sets, source_sets, Code::TooManySourceSets, what)?;
    tables.cross(source_sets.len());
    Ok(tables)
}

fn settings(tables: &mut Tables, file: &PolicyFile) {
    let sbc = &file.sbc;
    let modes = [
        (sbc.monitor, flags::MONITOR),
        (sbc.scope_ports, flags::SCOPE_PORTS),
        (sbc.fragments == Fragments::Drop, flags::FRAGMENTS_DROP),
        (sbc.fragments == Fragments::Tracked, flags::FRAGMENTS_TRACKED),
        (sbc.return_traffic, flags::RETURN_TRAFFIC),
        (file.inspect.sip == Inspection::Count, flags::INSPECT_SIP_COUNT),
        (file.inspect.sip == Inspection::Enforce, flags::INSPECT_SIP_ENFORCE),
        (file.inspect.media == Inspection::Count, flags::INSPECT_MEDIA_COUNT),
        (file.inspect.media == Inspection::Enforce, flags::INSPECT_MEDIA_ENFORCE),
        (!sbc.addresses.is_empty(), flags::ADDRESSES),
    ];
    let set = modes.iter().filter(|(on, _)| *on).fold(file.classes | flags::POLICY, |set, (_, flag)| set | flag);
    tables.settings.knobs = Knobs(set);
    tables.settings.limits = file.limits.table();
    let addresses: Vec<_> = sbc.addresses.iter().map(|address| Address::from(*address)).collect();
    // The file was refused if it has more addresses than the table takes.
    if let Some(table) = AddressTable::new(&addresses) {
        tables.settings.addresses = table;
    }
}

fn ports(tables: &mut Tables, own: &OwnPorts<'_>, terms: &[TermInfo]) -> Result<(), Overflow> {
    let mut sets = Interner::new();
    let classes = PROTOCOLS.map(|protocol| {
        let source = port_tables::classes(terms, protocol, |ports| &ports.source, &mut sets);
        let destination = port_tables::classes(terms, protocol, |ports| &ports.destination, &mut sets);
        (source, destination)
    });
    copy(&mut tables.port_sets, &sets.into_values(), Code::TooManyPortSets, "combinations of rules over ports")?;
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

fn copy<T: Copy>(table: &mut [T], values: &[T], code: Code, what: &'static str) -> Result<(), Overflow> {
    let (needed, limit) = (values.len(), table.len());
    let slots = table.get_mut(..needed).ok_or(Overflow { code, what, needed, limit })?;
    slots.copy_from_slice(values);
    Ok(())
}
