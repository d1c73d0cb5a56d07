//! Turns the neutral form of a document into entries: what a table or an address block means.

mod address_words;
mod addresses;
mod block;
mod clients;
mod columns;
mod direction;
mod fields;
mod headings;
mod key_value;
mod parts;
mod ports;
mod protocols;
mod provider;
mod regions;
mod role;
mod rule;
mod select;
mod services;
mod sockets;
mod table;
mod trunk;

use self::{
    addresses::Addresses,
    block::{AddressGroup, BlockReading, LineKind},
    clients::is_for_clients,
    fields::Fields,
    parts::{Content, Part, parts_of},
    regions::RegionBook,
    role::Role,
    rule::{Judgement, Surroundings, judge_block, judge_row},
    trunk::trunk_of,
};
pub(crate) use self::{provider::provider_of, select::Selection};
use super::{
    document::{Document, Line},
    import::Fate,
    limits::MOST_PREFIXES,
    model::{Allowlist, Finding},
    problem::{Fault, Misread, Why},
    trunk::Trunk,
    words::words,
};

/// Headings under which addresses are the reader's own or made up.
const EXAMPLE_WORDS: [&str; 5] = ["example", "examples", "sample", "samples", "troubleshooting"];

/// Whether a line of plain text holds no address, readable or not.
pub(crate) fn is_prose_line(text: &str) -> bool {
    matches!(LineKind::of(text), LineKind::Prose)
}

/// Whether a line of plain text holds addresses or ports and nothing else.
pub(crate) fn is_address_line(text: &str) -> bool {
    matches!(LineKind::of(text), LineKind::Addresses(_) | LineKind::Ports(_) | LineKind::Protocols(_))
}

/// Whether a header speaks of protocols or ports.
pub(crate) fn states_transport(header: &str) -> bool {
    matches!(Role::of_header(header), Some(Role::Protocol | Role::Port))
}

/// What of a document is wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Rows for people's own devices are entries too.
    pub(crate) include_clients: bool,
    pub(crate) selection: Selection,
}

/// What a document gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    /// Provider and title are left to the caller.
    pub(crate) allowlist: Allowlist,
    pub(crate) fates: Vec<Fate>,
    pub(crate) trunks: Vec<Trunk>,
    /// How many rows were not selected.
    pub(crate) passed: usize,
    /// How many prefixes the entries hold together.
    prefixes: usize,
}

/// Interprets a document: its entries, what cannot be enforced, and what could not be read.
pub(crate) fn interpret(document: &Document, wanted: &Wanted) -> Reading {
    let (parts, passed) = parts_of(document, &wanted.selection);
    let book = regions_of(document, &parts);
    let mut reading = Reading::default();
    reading.allowlist.errors.clone_from(&document.errors);
    reading.allowlist.warnings.clone_from(&document.warnings);
    for part in &parts {
        reading.judge(part, &book, wanted);
    }
    for settings in &document.trunks {
        settings.always_deny.iter().for_each(|line| reading.deny(line));
        reading.trunks.push(trunk_of(settings));
    }
    reading.passed = passed;
    if passed > 0 {
        reading.tell(0, "", format!("{passed} rows passed over: not selected"));
    }
    reading.fates.sort_by_key(|fate| fate.line);
    reading
}

/// The regions that the document names, in cells and in headings over addresses.
fn regions_of(document: &Document, parts: &[Part]) -> RegionBook {
    let mut book = RegionBook::default();
    for part in parts {
        if let Content::Rows(rows) = &part.content {
            for row in rows {
                book.add_row(&row.regions);
            }
        }
    }
    book.add_places(document);
    for part in parts.iter().filter(|part| part.holds_addresses()) {
        book.add_heading(part.section());
    }
    book
}

impl Reading {
    fn judge(&mut self, part: &Part, book: &RegionBook, wanted: &Wanted) {
        match &part.content {
            Content::Rows(rows) => {
                let mut surroundings = part.surroundings(book, &[]);
                for row in rows {
                    surroundings.regions = part.regions(book, &row.regions);
                    let judged = wanted.judge_row(row, &surroundings);
                    self.take(row.line, &row.text, judged);
                }
            }
            Content::Refused(line, why) => self.take(*line, "", Err(why.clone())),
            Content::OtherTable(line) => self.tell(*line, "", "no table of rules: passed over"),
            Content::Block(block) => {
                let surroundings = part.surroundings(book, &[]);
                self.judge_block(block, &surroundings, wanted);
            }
        }
    }

    fn judge_block(&mut self, block: &BlockReading, surroundings: &Surroundings, wanted: &Wanted) {
        for group in &block.groups {
            let is_joined = !group.ports.is_empty() || !surroundings.standing.is_empty();
            for (line, addresses) in group.joined_lines(is_joined) {
                let text = addresses.text();
                self.tell(line, &text, if text.is_empty() { "stated above already" } else { "joins the lines above" });
            }
            if is_joined {
                self.take_group(group, surroundings, wanted);
                continue;
            }
            for line in group.by_line() {
                self.take_group(&line, surroundings, wanted);
            }
        }
        for (line, why) in &block.unreadable {
            self.take(*line, "", Err(why.clone()));
        }
        for line in &block.mentions {
            self.tell(line.number, &line.text, "running text: addresses are taken from tables and lists");
        }
    }

    fn take_group(&mut self, group: &AddressGroup, surroundings: &Surroundings, wanted: &Wanted) {
        let judgement = wanted.judge_group(group, surroundings);
        self.take(group.line, &group.addresses.text(), Ok(judgement));
    }

    /// Takes a line of a list of addresses that are never to be accepted.
    fn deny(&mut self, line: &Line) {
        match Addresses::read(&line.text) {
            Ok(addresses) if addresses.prefixes.is_empty() => {
                let message = format!("cannot deny `{}`: expected an address or a CIDR", line.text);
                self.take(line.number, &line.text, Err(Fault::BadAddress.of(message)));
            }
            Ok(addresses) => {
                let known = &mut self.allowlist;
                for prefix in addresses.prefixes {
                    known.denied.push(prefix);
                    known.denied_lines.push(line.number);
                }
                self.tell(line.number, &line.text, "denied");
            }
            Err(why) => self.take(line.number, &line.text, Err(why)),
        }
    }

    fn take(&mut self, line: u32, text: &str, judged: Result<Judgement, Misread>) {
        self.tell(line, text, outcome(&judged));
        match judged {
            Ok(judgement) => {
                self.prefixes += judgement.entries.iter().map(|entry| entry.remote.len()).sum::<usize>();
                if self.prefixes > MOST_PREFIXES {
                    let message = format!("more than {MOST_PREFIXES} prefixes: the rest is not read");
                    self.allowlist.errors.push(Finding::new(line, Fault::TooManyPrefixes.of(message)));
                    return;
                }
                self.allowlist.entries.extend(judgement.entries);
                self.allowlist.unenforced.extend(judgement.unenforced);
                let remarks = judgement.remarks.into_iter();
                self.allowlist.warnings.extend(remarks.map(|remark| Finding::new(line, remark)));
            }
            Err(why) => self.allowlist.errors.push(Finding::new(line, why)),
        }
    }

    fn tell(&mut self, line: u32, text: &str, outcome: impl Into<String>) {
        let outcome = outcome.into();
        self.fates.push(Fate { line, text: text.to_owned(), outcome });
    }
}

impl Wanted {
    fn judge_row(&self, row: &Fields, surroundings: &Surroundings) -> Result<Judgement, Misread> {
        let judged = judge_row(row, surroundings);
        if self.include_clients || !is_for_clients(row, &surroundings.headings) {
            return judged;
        }
        let name = row.remote_text();
        Ok(judged.unwrap_or_default().left_out(row.line, &name, Why::Clients))
    }

    fn judge_group(&self, group: &AddressGroup, surroundings: &Surroundings) -> Judgement {
        let judgement = judge_block(group, surroundings);
        if is_example(&surroundings.section) && group.ports.is_empty() {
            return judgement.left_out(group.line, &group.addresses.text(), Why::Example);
        }
        if !self.include_clients && surroundings.headings.for_clients {
            return judgement.left_out(group.line, &group.addresses.text(), Why::Clients);
        }
        judgement
    }
}

/// What became of a row, in words.
fn outcome(judged: &Result<Judgement, Misread>) -> String {
    let judgement = match judged {
        Ok(judgement) => judgement,
        Err(why) => return format!("error: {}", why.message),
    };
    let entries = judgement.entries.iter().map(|entry| {
        let ports: Vec<_> = entry.remote_ports.iter().map(ToString::to_string).collect();
        format!("{} {}", entry.service, ports.join(",")).trim_end().to_owned()
    });
    let left_out = judgement.unenforced.iter().map(|row| format!("not enforced: {}", row.why));
    let outcomes: Vec<_> = entries.chain(left_out).collect();
    if outcomes.is_empty() { "nothing stated".to_owned() } else { outcomes.join("; ") }
}

fn is_example(heading: &str) -> bool {
    words(heading).iter().any(|word| EXAMPLE_WORDS.contains(&word.as_str()))
}
