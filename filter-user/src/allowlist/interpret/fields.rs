//! The cells of a row, each under what it means.

use super::{
    super::{
        document::{Note, Row},
        problem::Oddity,
    },
    addresses::Addresses,
    columns::{Columns, is_ports},
    ports::Ports,
    protocols::Kinds,
    role::Role,
    sockets,
};

/// A row of a table: the text of its cells by meaning.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Fields {
    /// The first line of the row.
    pub(crate) line: u32,
    /// What the row is about: the cells of its label columns.
    pub(crate) labels: Vec<String>,
    /// The row in the body that stands as a heading over this one.
    pub(crate) group: String,
    /// What the headers over the label and region columns say of the kind of traffic.
    pub(crate) header_kinds: Kinds,
    /// The kind of the row's rule where several stand side by side, each under headers of its own.
    pub(crate) facet: Kinds,
    /// The ports are those of all rules of the row together.
    pub(crate) shares_ports: bool,
    pub(crate) protocol: String,
    pub(crate) source_address: String,
    pub(crate) source_port: String,
    pub(crate) destination_address: String,
    /// Addresses of which the header does not say whose they are.
    pub(crate) address: String,
    pub(crate) port: String,
    pub(crate) regions: Vec<String>,
    pub(crate) direction: String,
    /// The row as it stands, for messages.
    pub(crate) text: String,
    /// The row states addresses, but no service that a filter knows.
    pub(crate) is_bare: bool,
    /// What the reader of the document knows of the row.
    pub(crate) note: Option<Note>,
}

impl Fields {
    /// The cells of a row under their columns.
    pub(crate) fn of_row(row: &Row, cells: &[String], columns: &Columns) -> Self {
        let texts = |role| {
            let texts = columns.cells(cells, role).filter(|cell| !cell.is_empty());
            texts.map(str::to_owned).collect::<Vec<_>>()
        };
        let joined = |role| columns.joined(cells, role);
        Self {
            line: row.line,
            labels: texts(Role::Label),
            group: String::new(),
            header_kinds: columns.header_kinds(),
            facet: Kinds::default(),
            shares_ports: false,
            protocol: joined(Role::Protocol),
            source_address: joined(Role::SourceAddress),
            source_port: joined(Role::SourcePort),
            destination_address: joined(Role::DestinationAddress),
            address: joined(Role::Address),
            port: columns.ports(cells),
            regions: texts(Role::Region),
            direction: joined(Role::Direction),
            text: cells.join(" | "),
            is_bare: false,
            note: row.note.clone(),
        }
        .with_sockets_parted()
    }

    /// Puts addresses and ports that share a cell where each belongs.
    fn with_sockets_parted(mut self) -> Self {
        part(&mut self.address, &mut self.port);
        part(&mut self.destination_address, &mut self.port);
        part(&mut self.source_address, &mut self.source_port);
        self
    }

    /// The texts of the address cells.
    pub(crate) fn remote_text(&self) -> String {
        let cells = [&self.destination_address, &self.address, &self.source_address];
        let texts: Vec<_> = cells.into_iter().filter(|cell| !cell.is_empty()).map(String::as_str).collect();
        texts.join(" ").replace('\n', " ")
    }

    /// The length of the texts that the next row may take over, in bytes.
    pub(crate) fn weight(&self) -> usize {
        let lists = self.labels.iter().chain(&self.regions);
        let cells = [&self.protocol, &self.port, &self.destination_address, &self.address, &self.source_address];
        lists.chain(cells).chain([&self.group]).map(String::len).sum()
    }

    /// Fills empty cells from the row above, within a component: a new label begins a new one.
    pub(crate) fn inherit(&mut self, above: &Self) {
        if !self.labels.is_empty() && self.labels != above.labels {
            self.complete_from(above);
            return;
        }
        self.labels.clone_from(&above.labels);
        // A cell can hold what the other should: `UDP/3478` under protocols, `5060 (UDP)` under ports.
        if self.port.is_empty() && !is_ports(&self.protocol) {
            self.port.clone_from(&above.port);
        }
        if self.protocol.is_empty() && !names_protocols(&self.port) {
            self.protocol.clone_from(&above.protocol);
        }
        let pairs = [
            (&mut self.destination_address, &above.destination_address),
            (&mut self.address, &above.address),
            (&mut self.source_address, &above.source_address),
            (&mut self.direction, &above.direction),
        ];
        for (cell, above) in pairs {
            if cell.is_empty() {
                cell.clone_from(above);
            }
        }
        if self.regions.is_empty() {
            self.regions.clone_from(&above.regions);
        }
    }

    /// Takes from the row above what a row under a new label cannot do without, and says so.
    fn complete_from(&mut self, above: &Self) {
        let states_transport = !self.port.is_empty() || !self.protocol.is_empty();
        let address = self.remote_text();
        if address.is_empty() && states_transport && !above.remote_text().is_empty() {
            self.destination_address.clone_from(&above.destination_address);
            self.address.clone_from(&above.address);
            self.source_address.clone_from(&above.source_address);
            self.warn_of("address", above.line);
        } else if !states_transport && !above.port.is_empty() && holds_prefixes(&address) {
            self.port.clone_from(&above.port);
            self.protocol.clone_from(&above.protocol);
            self.warn_of("port", above.line);
        }
    }

    fn warn_of(&mut self, taken: &str, line: u32) {
        let message = format!("the row names no {taken} of its own: taken from line {line}");
        self.note.get_or_insert(Note::Warn(Oddity::TakenFromAbove.of(message)));
    }
}

/// Whether every port of a cell has protocols of its own.
fn names_protocols(cell: &str) -> bool {
    let groups = Ports::read(cell).map(|ports| ports.groups).unwrap_or_default();
    !groups.is_empty() && groups.iter().all(|group| !group.protocols.is_empty())
}

fn part(address: &mut String, port: &mut String) {
    if address.is_empty() {
        if let Some((addresses, ports)) = sockets::parted(port) {
            (*address, *port) = (addresses, ports);
        }
    } else if let Some((addresses, ports)) =
        sockets::parted(address).filter(|(_, ports)| port.is_empty() || port == ports)
    {
        (*address, *port) = (addresses, ports);
    }
}

fn holds_prefixes(cell: &str) -> bool {
    Addresses::read(cell).is_ok_and(|read| !read.prefixes.is_empty())
}
