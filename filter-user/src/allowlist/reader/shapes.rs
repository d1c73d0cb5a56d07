//! Knows the data files that providers publish, and reads others by their keys.

use std::collections::HashSet;

use super::{
    super::{
        document::{Block, BlockKind, Document, Heading, Item, Line, Note, Row, Table},
        interpret::{is_address_line, states_transport},
        limits::MOST_COLUMNS,
        model::Finding,
        problem::{Fault, Oddity, Why},
    },
    tree::{Node, Tree},
    trunk,
};

/// Values nested deeper than this are refused.
const DEEPEST: usize = 32;

/// The document that a data file makes.
pub(super) fn document_of(tree: &Tree) -> Document {
    let trunks = trunk::trunks_of(tree);
    if !trunks.is_empty() {
        return trunk::document_of(trunks);
    }
    if let Some(entities) = tree.get("entities").filter(|entities| is_ip_ranges(entities)) {
        return ip_ranges(entities);
    }
    if tree.get("prefixes").is_some_and(|prefixes| prefixes.elements().iter().any(|one| one.get("ip_prefix").is_some()))
    {
        return aws(tree);
    }
    if tree.elements().iter().any(|element| element.get("serviceArea").is_some()) {
        return microsoft(tree);
    }
    let mut document = Document::default();
    add_value(&mut document, "", tree, 0);
    document
}

/// Genesys Cloud's `GET /api/v2/ipranges`.
fn is_ip_ranges(entities: &Tree) -> bool {
    entities.elements().iter().any(|entity| entity.get("cidr").is_some())
}

fn ip_ranges(entities: &Tree) -> Document {
    let mut table = table_of(entities, &["cidr", "service", "region"]);
    for (row, entity) in table.rows.iter_mut().skip(1).zip(entities.elements()) {
        row.note = note_of_direction(entity.get("direction").and_then(Tree::text));
    }
    Document { items: vec![Item::Table(table)], provider: Some("genesys"), ..Document::default() }
}

/// `direction` is seen from Genesys Cloud: what it sends from is what arrives here.
fn note_of_direction(direction: Option<&str>) -> Option<Note> {
    match direction.map(str::to_lowercase).as_deref() {
        Some("outbound" | "both") => None,
        Some("inbound") => Some(Note::LeaveOut(Why::Inbound)),
        Some(other) => Some(Note::Warn(
            Oddity::UnknownDirection.of(format!("the direction `{other}` is not known: taken as `both`")),
        )),
        None => Some(Note::Warn(Oddity::NoDirection.of("no direction is stated: taken as `both`"))),
    }
}

/// AWS's `ip-ranges.json`.
fn aws(tree: &Tree) -> Document {
    let tables = [("prefixes", "ip_prefix"), ("ipv6_prefixes", "ipv6_prefix")];
    let tables =
        tables.iter().filter_map(|(list, prefix)| Some(table_of(tree.get(list)?, &[prefix, "service", "region"])));
    Document {
        items: tables.map(Item::Table).collect(),
        provider: Some("aws"),
        selection: vec![("service", "CHIME_VOICECONNECTOR")],
        ..Document::default()
    }
}

/// Microsoft's list of the addresses and URLs of Microsoft 365.
fn microsoft(tree: &Tree) -> Document {
    let table = table_of(tree, &["ips", "urls", "tcpPorts", "udpPorts", "serviceArea", "notes"]);
    Document {
        items: vec![Item::Table(Table { is_bare: false, ..table })],
        provider: Some("microsoft"),
        selection: vec![("serviceArea", "Skype"), ("serviceArea", "Teams")],
        ..Document::default()
    }
}

/// The objects of a list as rows; such a table states addresses, but services of its own only.
fn table_of(list: &Tree, keys: &[&str]) -> Table {
    let header = Row { line: list.line, cells: keys.iter().map(|key| spaced(key)).collect(), note: None };
    let rows = list.elements().iter().map(|element| {
        let cells = keys.iter().map(|key| element.get(key).map(Tree::texts).unwrap_or_default());
        Row { line: element.line, cells: cells.collect(), note: None }
    });
    Table { header_rows: 1, rows: std::iter::once(header).chain(rows).collect(), is_data: true, is_bare: true }
}

/// A key as words: `udpPorts` is `udp Ports`, `ip_prefix` is `ip prefix`.
fn spaced(key: &str) -> String {
    let mut words = String::new();
    for character in key.chars() {
        if character.is_uppercase() && words.ends_with(char::is_lowercase) {
            words.push(' ');
        }
        words.push(if "_-".contains(character) { ' ' } else { character });
    }
    match words.to_lowercase().as_str() {
        "from port" => "first port".to_owned(),
        "to port" => "last port".to_owned(),
        _ => words,
    }
}

/// Adds a value that no known file has: objects that state protocols or ports are rows, lists of texts are lists under
/// their key.
fn add_value(document: &mut Document, key: &str, tree: &Tree, depth: usize) {
    if depth >= DEEPEST {
        let message = format!("values nested deeper than {DEEPEST} are not read");
        return document.errors.push(Finding::new(tree.line, Fault::Syntax.of(message)));
    }
    match &tree.node {
        Node::List(elements) if elements.iter().any(Tree::holds_objects) => {
            push_heading(document, key, tree.line, depth);
            for element in elements {
                add_value(document, element.name().unwrap_or_default(), element, depth + 1);
            }
        }
        Node::List(elements) if elements.iter().any(|element| !element.properties().is_empty()) => {
            push_heading(document, key, tree.line, depth);
            let table = table_of(tree, &keys_of(elements));
            document.items.push(Item::Table(Table { is_bare: false, ..table }));
        }
        Node::List(elements) => {
            push_heading(document, key, tree.line, depth);
            push_list(document, elements);
        }
        Node::Object(properties) if is_rule(properties) => {
            push_heading(document, key, tree.line, depth);
            let keys: Vec<_> = properties.iter().map(|(key, _)| key.as_str()).collect();
            let row = Tree { line: tree.line, node: Node::List(vec![tree.clone()]) };
            document.items.push(Item::Table(Table { is_bare: false, ..table_of(&row, &keys) }));
        }
        Node::Object(properties) => {
            push_heading(document, key, tree.line, depth);
            for (key, value) in properties {
                add_value(document, key, value, depth + 1);
            }
        }
        Node::Text(text) if is_address_line(text) && !key.to_lowercase().contains("version") => {
            push_heading(document, key, tree.line, depth);
            push_list(document, std::slice::from_ref(tree));
        }
        Node::Text(_) | Node::Null => {}
    }
}

fn push_list(document: &mut Document, elements: &[Tree]) {
    let lines = elements.iter().filter_map(|element| Some((element.line, element.text()?)));
    let lines = lines.map(|(number, text)| Line { number, text: text.to_owned() }).collect();
    document.items.push(Item::Block(Block { kind: BlockKind::List, lines }));
}

/// Whether an object states the protocol or ports of addresses beside them.
fn is_rule(properties: &[(String, Tree)]) -> bool {
    let is_flat = properties.iter().all(|(_, value)| value.is_flat());
    is_flat && properties.iter().any(|(key, value)| states_transport(&spaced(key)) && !value.texts().is_empty())
}

fn push_heading(document: &mut Document, key: &str, line: u32, depth: usize) {
    if !key.is_empty() {
        let level = u8::try_from(depth).unwrap_or(u8::MAX);
        document.items.push(Item::Heading(Heading { level, text: spaced(key), line }));
    }
}

/// Every key of a list of objects, in the order in which they come; more than a table may have show that it is none.
fn keys_of(elements: &[Tree]) -> Vec<&str> {
    let (mut keys, mut known) = (Vec::new(), HashSet::new());
    for (key, _) in elements.iter().flat_map(Tree::properties) {
        if keys.len() <= MOST_COLUMNS && known.insert(key.as_str()) {
            keys.push(key.as_str());
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_words() {
        assert_eq!(spaced("udpPorts"), "udp Ports");
        assert_eq!(spaced("ip_prefix"), "ip prefix");
        assert_eq!(spaced("IPs"), "IPs");
    }
}
