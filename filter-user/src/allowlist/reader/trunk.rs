//! Exports of Genesys Cloud trunks: the lists of their SIP access control and their proxies.

use super::{
    super::{
        document::{Document, Heading, Item, Line, Row, Table},
        trunk::Trunk,
    },
    tree::{Node, Tree},
};

const ALLOW_LIST: &str = "trunk_access_acl_allowList";
const DENY_LIST: &str = "trunk_access_acl_denyList";
const PROXIES: &str = "trunk_transport_serverProxyList";

/// A trunk's settings as the export holds them.
pub(super) struct Settings<'a> {
    name: String,
    properties: &'a Tree,
}

/// Every trunk in an export, wherever it stands.
pub(super) fn trunks_of(tree: &Tree) -> Vec<Settings<'_>> {
    let mut trunks = Vec::new();
    find(tree, None, &mut trunks);
    trunks
}

fn find<'a>(tree: &'a Tree, name: Option<&str>, trunks: &mut Vec<Settings<'a>>) {
    if [ALLOW_LIST, DENY_LIST, PROXIES].iter().any(|list| tree.get(list).is_some()) {
        let label = tree.get("trunk_label").and_then(value_of).and_then(Tree::text);
        let name = label.or(name).unwrap_or("trunk").to_owned();
        trunks.push(Settings { name, properties: tree });
        return;
    }
    let name = tree.get("name").and_then(Tree::text).or(name);
    for (_, value) in tree.properties() {
        find(value, name, trunks);
    }
    for element in tree.elements() {
        find(element, name, trunks);
    }
}

/// The value of a setting: what the trunk itself states goes before the default.
fn value_of(setting: &Tree) -> Option<&Tree> {
    let value = setting.get("value").unwrap_or(setting);
    if value.properties().is_empty() {
        return Some(value).filter(|value| value.node != Node::Null);
    }
    let stated = ["instance", "default"].iter().filter_map(|key| value.get(key));
    stated.into_iter().find(|value| value.node != Node::Null)
}

impl Settings<'_> {
    fn list(&self, name: &str) -> Vec<Line> {
        let list = self.properties.get(name).and_then(value_of);
        let elements = list.map(Tree::elements).unwrap_or_default();
        let lines = elements.iter().filter_map(|element| Some((element.line, element.text()?)));
        lines.map(|(number, text)| Line { number, text: text.to_owned() }).collect()
    }

    /// The value of the first setting whose name ends so.
    fn scalar(&self, suffix: &str) -> Option<&str> {
        let setting = self.properties.properties().iter().find(|(key, _)| key.to_lowercase().ends_with(suffix));
        value_of(&setting?.1)?.text()
    }

    fn trunk(&self) -> Trunk {
        let texts = |name| self.list(name).into_iter().map(|line| line.text).collect();
        Trunk {
            name: self.name.clone(),
            allow: texts(ALLOW_LIST),
            always_deny: texts(DENY_LIST),
            outbound_proxies: texts(PROXIES),
            use_source_address: self.scalar("usesourceaddress").and_then(|value| value.parse().ok()),
            listen_port: self.scalar("listenport").and_then(|value| value.parse().ok()),
            transport: self.scalar("protocolvariant").map(str::to_lowercase),
        }
    }
}

/// The document that trunks make: a table of addresses for each list.
pub(super) fn document_of(trunks: Vec<Settings<'_>>) -> Document {
    let mut document = Document { provider: Some("genesys"), ..Document::default() };
    for settings in trunks {
        document.trunks.push(settings.trunk());
        document.denied.extend(settings.list(DENY_LIST));
        push_table(&mut document, ALLOW_LIST, settings.list(ALLOW_LIST).iter().map(allowed));
        push_table(&mut document, PROXIES, settings.list(PROXIES).iter().map(proxy));
    }
    document
}

fn push_table(document: &mut Document, list: &str, rows: impl Iterator<Item = Row>) {
    let header = Row { cells: vec!["IP address".to_owned(), "Port".to_owned()], ..Row::default() };
    let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
    let line = rows.last().map_or(0, |row| row.line);
    document.items.push(Item::Heading(Heading { level: 1, text: list.to_owned(), line }));
    document.items.push(Item::Table(Table { header_rows: 1, rows, is_data: true, is_bare: true }));
}

fn allowed(line: &Line) -> Row {
    Row { line: line.number, cells: vec![line.text.clone(), String::new()], note: None }
}

/// A proxy is `HOST` or `HOST:PORT`, an IPv6 host in brackets before a port.
fn proxy(line: &Line) -> Row {
    let text = line.text.trim();
    let is_bare_ipv6 = text.matches(':').count() > 1 && !text.contains(']');
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !is_bare_ipv6 && port.chars().all(|c| c.is_ascii_digit()) => (host, port),
        _ => (text, ""),
    };
    let host = host.trim_matches(['[', ']']).to_owned();
    Row { line: line.number, cells: vec![host, port.to_owned()], note: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_hosts_with_or_without_port() {
        for (text, expected) in [
            ("203.0.113.9:5061", ["203.0.113.9", "5061"]),
            ("203.0.113.9", ["203.0.113.9", ""]),
            ("sip.example.com:5060", ["sip.example.com", "5060"]),
            ("2001:db8::1", ["2001:db8::1", ""]),
            ("[2001:db8::1]:5061", ["2001:db8::1", "5061"]),
        ] {
            let line = Line { number: 1, text: text.to_owned() };
            assert_eq!(proxy(&line).cells, expected, "{text}");
        }
    }
}
