//! Finds out what each column of a table holds, from its headers or, without headers, from its cells.

use super::{
    super::words::{WordSet, shorten, words},
    addresses::Addresses,
    ports::Ports,
    protocols::{Kinds, Protocols, is_protocol_word},
    role::Role,
    rule::stands_for_addresses,
};

/// Whether a header leaves open what its column holds.
fn is_vague(role: Option<Role>) -> bool {
    matches!(role, None | Some(Role::Label | Role::Region))
}

/// Whether a header speaks of the reader's own side, or of examples.
fn is_of_others(header: &str) -> bool {
    words(header).iter().any(|word| OTHERS_WORDS.has(word))
}

/// Whether a cell holds addresses and nothing else.
fn holds_prefixes(cell: &str) -> bool {
    is_addresses(cell) && Addresses::read(cell).is_ok_and(|read| !read.prefixes.is_empty())
}

static OTHERS_WORDS: WordSet = WordSet::new(
    "your yours you my our own local client customer customers source src example examples \
    sample samples old previous former deprecated",
);

static FIRST_WORDS: WordSet = WordSet::new("first start starting begin beginning lower lowest low min minimum");

static LAST_WORDS: WordSet = WordSet::new("last end ending upper highest high max maximum");

/// The columns of a table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    headers: Vec<String>,
    roles: Vec<Option<Role>>,
    /// What the headers over the label and region columns say of the kind of traffic.
    label_kinds: Kinds,
    /// The protocols that each header names for the ports below it, `udp` of «UDP ports».
    port_protocols: Vec<String>,
    /// What each header over addresses, ports or protocols says of the kind of traffic: «Signaling IP», «Media ports».
    kinds: Vec<Kinds>,
    /// The roles whose two columns are the ends of a range, `Start IP | End IP`.
    ends: Vec<Role>,
    /// The rules that stand side by side in a row; one where a row is one rule.
    facets: Vec<Facet>,
    /// How many columns the headers name.
    stated: usize,
}

/// One of the rules that stand side by side in a row, as `Signaling IP | Media IP` makes two.
#[derive(Clone, Debug)]
pub(crate) struct Facet {
    /// What its headers say of the kind of traffic; nothing where a row is one rule.
    pub(crate) kinds: Kinds,
    /// Its own columns, and those that all rules of a row share.
    pub(crate) columns: Columns,
    /// The ports are those of all rules of a row together.
    pub(crate) shares_ports: bool,
}

/// What counts of a header, in characters.
const LONGEST_HEADER: usize = 200;

impl Columns {
    /// Columns under the first header row.
    pub(crate) fn under(header: &[String]) -> Self {
        let mut columns = Self::default();
        columns.add_header(header);
        columns
    }

    /// Adds a header row below: where it says what a column holds, it says so more closely than the one above.
    pub(crate) fn add_header(&mut self, header: &[String]) {
        self.spread_titles();
        for (column, cell) in header.iter().enumerate() {
            self.widen(column + 1);
            self.stated = self.stated.max(column + 1);
            if cell.is_empty() || self.headers[column].contains(cell.as_str()) {
                continue;
            }
            self.roles[column] = Role::of_header(cell).or(self.roles[column]);
            let joined = format!("{} {}", self.headers[column], shorten(cell, LONGEST_HEADER));
            if joined.len() <= 2 * LONGEST_HEADER {
                joined.trim().clone_into(&mut self.headers[column]);
            }
        }
        self.read_headers();
    }

    /// Puts a title that says what traffic several columns are for over all of them, where the header above has two rows:
    /// Markdown has no cells that span columns.
    fn spread_titles(&mut self) {
        for column in 1..self.headers.len() {
            let title = self.headers[column - 1].clone();
            let is_title = Role::of_header(&title).is_none() && !Kinds::of_text(&title).is_empty();
            if self.headers[column].is_empty() && is_title {
                self.headers[column] = title;
            }
        }
    }

    /// Reads what the headers say beyond their roles, once for all rows.
    fn read_headers(&mut self) {
        self.port_protocols = self.headers.iter().map(|header| protocols_of_ports(header)).collect();
        let columns = self.roles.iter().zip(&self.headers);
        let labels = columns.filter(|(role, _)| matches!(role, Some(Role::Label | Role::Region)));
        self.label_kinds = labels.fold(Kinds::default(), |kinds, (_, header)| kinds.or(Kinds::of_text(header)));
        let columns = self.roles.iter().zip(&self.headers);
        let kinds = columns.map(|(role, header)| match role {
            Some(Role::Label | Role::Region | Role::Direction) | None => Kinds::default(),
            Some(_) => Kinds::of_text(header),
        });
        self.kinds = kinds.collect();
        let ranges = [Role::Address, Role::DestinationAddress, Role::Port];
        self.ends = ranges.into_iter().filter(|role| self.are_ends(*role)).collect();
        self.facets = self.side_by_side();
    }

    /// The rules that stand side by side: those that the headers over addresses tell apart, or else those over ports.
    fn side_by_side(&self) -> Vec<Facet> {
        let (by_address, by_port) = (self.kinds_over(Role::is_remote), self.kinds_over(|role| role == Role::Port));
        let kinds = if by_address.len() > 1 { by_address } else { by_port };
        if kinds.len() > 1 {
            let columns: Vec<_> = kinds.iter().map(|facet| self.of_facet(*facet, &kinds)).collect();
            let shares_ports = |own: &Self| {
                let is_shared =
                    |column: usize| columns.iter().filter(|one| one.roles[column] == Some(Role::Port)).count() > 1;
                (0..own.roles.len()).any(|column| own.roles[column] == Some(Role::Port) && is_shared(column))
            };
            let shared: Vec<_> = columns.iter().map(shares_ports).collect();
            let facets = kinds.into_iter().zip(columns).zip(shared);
            return facets.map(|((kinds, columns), shares_ports)| Facet { kinds, columns, shares_ports }).collect();
        }
        let columns = Self { facets: Vec::new(), ..self.clone() };
        vec![Facet { kinds: Kinds::default(), columns, shares_ports: false }]
    }

    /// What the headers over such columns say of the kind of traffic, each once.
    fn kinds_over(&self, is_wanted: impl Fn(Role) -> bool) -> Vec<Kinds> {
        let columns = self.roles.iter().zip(&self.kinds);
        let mut distinct = Vec::new();
        for (_, kinds) in columns.filter(|(role, _)| role.is_some_and(&is_wanted)) {
            if !distinct.contains(kinds) {
                distinct.push(*kinds);
            }
        }
        distinct
    }

    /// The rules that stand side by side in each row; one where a row is one rule.
    pub(crate) fn facets(&self) -> &[Facet] {
        &self.facets
    }

    /// The columns of the rule of kind `facet` alone: its own, and those that all rules of a row share.
    fn of_facet(&self, facet: Kinds, facets: &[Kinds]) -> Self {
        let has_own = |is_wanted: &dyn Fn(Role) -> bool| {
            let mut columns = self.roles.iter().zip(&self.kinds);
            columns.any(|(role, kinds)| *kinds == facet && role.is_some_and(is_wanted))
        };
        let has_own_address = has_own(&Role::is_remote);
        let mut columns = Self { facets: Vec::new(), ..self.clone() };
        for (role, kinds) in columns.roles.iter_mut().zip(&self.kinds) {
            let is_kept = match *role {
                Some(known) if known.is_remote() => !has_own_address || *kinds == facet,
                Some(Role::Label | Role::Region | Role::Direction) | None => true,
                Some(_) if kinds.is_empty() || *kinds == facet => true,
                Some(known) => !facets.contains(kinds) && !has_own(&|role| role == known),
            };
            if !is_kept {
                *role = None;
            }
        }
        columns
    }

    /// A cell of a row that holds data where no header speaks of it.
    pub(crate) fn out_of_place<'a>(&self, row: &'a [String]) -> Option<&'a str> {
        if self.stated == 0 || !self.has_addresses() {
            return None;
        }
        let columns = self.roles.iter().zip(&self.headers).zip(row).enumerate();
        let vague = columns.filter(|(_, ((role, _), cell))| is_vague(**role) && !cell.is_empty());
        let misplaced = vague.filter(|(column, ((_, header), cell))| {
            let is_extra = *column >= self.stated && (is_ports(cell) || is_protocols(cell));
            is_extra || holds_prefixes(cell) && !is_of_others(header) && !self.states(row, cell)
        });
        misplaced.map(|(_, (_, cell))| cell.as_str()).next()
    }

    /// Whether `text`, alone in a row, is what its column holds, not a heading inside the table.
    pub(crate) fn understands(&self, row: &[String], text: &str) -> bool {
        let mut stated = self.roles.iter().zip(row).enumerate().filter(|(_, (_, cell))| !cell.is_empty());
        let (Some((column, (role, _))), None) = (stated.next(), stated.next()) else {
            return false;
        };
        match role {
            Some(Role::Protocol) => column > 0 || is_protocols(text),
            Some(role) if role.is_address() => column > 0 || stands_for_addresses(text),
            Some(Role::Port | Role::SourcePort) => column > 0,
            _ => false,
        }
    }

    /// Whether an address cell of the row says what `text` says.
    fn states(&self, row: &[String], text: &str) -> bool {
        let mut columns = self.roles.iter().zip(row);
        columns.any(|(role, cell)| role.is_some_and(Role::is_address) && cell.contains(text))
    }

    fn widen(&mut self, columns: usize) {
        if self.roles.len() < columns {
            self.roles.resize(columns, None);
            self.headers.resize(columns, String::new());
        }
    }

    /// Finds the columns of rows that no header describes, by what most of their cells hold.
    pub(crate) fn complete_from(&mut self, rows: &[Vec<String>]) {
        self.widen(rows.iter().map(Vec::len).max().unwrap_or(0));
        let names_addresses = self.has_addresses();
        for column in 0..self.roles.len() {
            let cells = rows.iter().filter_map(|row| row.get(column)).filter(|cell| !cell.is_empty());
            let (known, found) = (self.roles[column], role_of_cells(cells.clone()));
            match found {
                Some(Role::Address) if is_vague(known) && !is_of_others(&self.headers[column]) => {
                    let is_certain = !names_addresses || mostly(cells, holds_prefixes);
                    self.roles[column] = if is_certain { found } else { known };
                }
                Some(Role::Port) if is_counter(cells) => continue,
                Some(Role::Port) if names_protocols_alone(&self.headers[column]) => self.roles[column] = found,
                Some(role) if known.is_none() && !self.has(role) => self.roles[column] = found,
                _ => {}
            }
            self.roles[column].get_or_insert(Role::Label);
        }
        self.read_headers();
    }

    /// Whether any column has the role.
    pub(crate) fn has(&self, role: Role) -> bool {
        self.roles.contains(&Some(role))
    }

    /// Whether any column holds addresses.
    pub(crate) fn has_addresses(&self) -> bool {
        self.roles.iter().flatten().any(|role| role.is_address())
    }

    /// The cells of `row` that stand in columns of `role`.
    pub(crate) fn cells<'a>(&'a self, row: &'a [String], role: Role) -> impl Iterator<Item = &'a str> {
        let columns = self.roles.iter().zip(row);
        columns.filter(move |(column, _)| **column == Some(role)).map(|(_, cell)| cell.as_str())
    }

    /// The cells of `row` in columns of `role`, on a line each; those that are the two ends of a range are one.
    pub(crate) fn joined(&self, row: &[String], role: Role) -> String {
        let cells: Vec<_> = self.cells(row, role).collect();
        match &cells[..] {
            [first, last] if self.ends.contains(&role) && !first.is_empty() && !last.is_empty() => {
                format!("{first} - {last}")
            }
            _ => cells.into_iter().filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join("\n"),
        }
    }

    /// Whether the columns of `role` are the two ends of a range, `Start IP | End IP`.
    fn are_ends(&self, role: Role) -> bool {
        let columns = self.roles.iter().zip(&self.headers).filter(|(known, _)| **known == Some(role));
        let headers: Vec<_> = columns.map(|(_, header)| words(header)).collect();
        let says = |header: &[String], listed: &WordSet| header.iter().any(|word| listed.has(word));
        matches!(&headers[..], [first, last] if says(first, &FIRST_WORDS) && says(last, &LAST_WORDS))
    }

    /// The cells of the port columns, each after the protocols that its header names: `UDP ports`.
    pub(crate) fn ports(&self, row: &[String]) -> String {
        if self.ends.contains(&Role::Port) {
            return self.joined(row, Role::Port);
        }
        let columns = self.roles.iter().zip(&self.port_protocols).zip(row);
        let stated = self.cells(row, Role::Port).filter(|cell| !is_blank(cell)).count();
        let is_stated = |cell: &str| !cell.is_empty() && (stated == 0 || !is_blank(cell));
        let cells = columns.filter(|((role, _), cell)| **role == Some(Role::Port) && is_stated(cell));
        let cells = cells.map(|((_, protocols), cell)| format!("{protocols} {cell}").trim().to_owned());
        cells.collect::<Vec<_>>().join("\n")
    }

    /// What the headers say of the kind of traffic: those over the label and region columns, or else those over the
    /// addresses and ports. A device that speaks several protocols says nothing there: «Gateway IP».
    pub(crate) fn header_kinds(&self) -> Kinds {
        if !self.label_kinds.is_empty() {
            return self.label_kinds;
        }
        let mut kinds = self.kinds_over(|role| role.is_remote() || role == Role::Port).into_iter();
        let said = kinds.find(|kinds| !kinds.is_empty()).unwrap_or_default();
        if said == Kinds::of_text("gateway") { Kinds::default() } else { said }
    }
}

/// The protocols that a header names for the ports below it; none where the cells name their own (`Transport/Port`).
fn protocols_of_ports(header: &str) -> String {
    let words = words(header);
    let has = |word: &str| words.iter().any(|known| known == word);
    if has("protocol") || has("transport") || has("tcp") && has("udp") {
        return String::new();
    }
    words.into_iter().filter(|word| is_protocol_word(word)).collect::<Vec<_>>().join("/")
}

/// Whether a header is protocols and nothing else, `UDP`: the cells below are ports, or marks.
fn names_protocols_alone(header: &str) -> bool {
    let words = words(header);
    !words.is_empty() && words.iter().all(|word| is_protocol_word(word))
}

/// Whether a cell says that nothing belongs there.
fn is_blank(cell: &str) -> bool {
    matches!(cell.to_lowercase().as_str(), "" | "-" | "n/a" | "none")
}

/// What most of the cells hold.
fn role_of_cells<'a>(cells: impl Iterator<Item = &'a String> + Clone) -> Option<Role> {
    if mostly(cells.clone(), is_addresses) {
        Some(Role::Address)
    } else if mostly(cells.clone(), is_protocols) {
        Some(Role::Protocol)
    } else if mostly(cells, is_ports) {
        Some(Role::Port)
    } else {
        None
    }
}

/// Whether the cells count the rows, 1, 2, 3…
fn is_counter<'a>(cells: impl Iterator<Item = &'a String>) -> bool {
    let numbers: Option<Vec<u32>> = cells.map(|cell| cell.trim_end_matches('.').parse().ok()).collect();
    numbers.is_some_and(|numbers| {
        numbers.first().is_some_and(|first| *first <= 1) && numbers.windows(2).all(|pair| pair[0] + 1 == pair[1])
    })
}

/// Whether something holds of more than half of the cells.
fn mostly<'a>(cells: impl Iterator<Item = &'a String>, holds: impl Fn(&str) -> bool) -> bool {
    let (all, matching) = cells.fold((0, 0), |(all, matching), cell| (all + 1, matching + usize::from(holds(cell))));
    matching * 2 > all
}

/// Whether a cell holds addresses or names and nothing else.
pub(crate) fn is_addresses(cell: &str) -> bool {
    cell.contains(['.', ':']) && Addresses::read(cell).map_or(true, |read| !read.is_empty())
}

/// Whether a cell holds ports, with digits, and nothing else.
pub(crate) fn is_ports(cell: &str) -> bool {
    cell.contains(|c: char| c.is_ascii_digit()) && Ports::read(cell).is_ok_and(|ports| !ports.is_empty())
}

/// Whether a cell names protocols and nothing else.
pub(crate) fn is_protocols(cell: &str) -> bool {
    Protocols::read(cell).is_ok_and(|protocols| !protocols.wires.is_empty())
}

/// Whether a row names columns and holds no data.
pub(crate) fn is_header(row: &[String]) -> bool {
    let stated: Vec<_> = row.iter().filter(|cell| !cell.is_empty()).collect();
    let has_data = stated.iter().any(|cell| is_addresses(cell) || is_ports(cell) || is_data_word(cell));
    let roles = stated.iter().filter(|cell| Role::of_header(cell).is_some()).count();
    !has_data && roles >= 2.min(row.len()) && roles * 2 >= stated.len()
}

/// Whether a cell says what only data says: a protocol, `ANY`.
fn is_data_word(cell: &str) -> bool {
    is_protocols(cell) && Role::of_header(cell).is_none() || words(cell) == ["any"]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn a_header_row_is_told_from_data() {
        assert!(is_header(&row(&["", "Protocol", "Source IP", "Source Port", "Destination", ""])));
        assert!(is_header(&row(&["Service", "TCP/UDP", "Port", "IP address"])));
        assert!(!is_header(&row(&["Media", "UDP", "ANY", "ANY", "168.86.128.0/18", "10000-65535"])));
        assert!(!is_header(&row(&["Host", "192.0.2.1"])));
    }

    #[test]
    fn columns_without_headers_are_known_by_their_cells() {
        let mut columns = Columns::default();
        let rows = [row(&["SBC", "UDP", "192.0.2.1", "5060"]), row(&["Relay", "TCP", "192.0.2.2", "443"])];
        columns.complete_from(&rows);
        assert_eq!(columns.roles, [Some(Role::Label), Some(Role::Protocol), Some(Role::Address), Some(Role::Port)]);
    }
}
