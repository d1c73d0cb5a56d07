//! Exports of Genesys Cloud trunks: the lists of their SIP access control and their proxies.

use super::{
    super::{
        document::{Document, Heading, Item, Line, Row, Table, TrunkSettings},
        trunk::host_and_port,
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
    if [ALLOW_LIST, DENY_LIST, PROXIES].iter().any(|list| setting(tree, list).is_some()) {
        let label = setting(tree, "trunk_label").and_then(value_of).and_then(Tree::text);
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

/// The setting of this name.
fn setting<'a>(tree: &'a Tree, name: &str) -> Option<&'a Tree> {
    let name = folded(name);
    tree.properties().iter().find(|(key, _)| folded(key) == name).map(|(_, value)| value)
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
        let list = setting(self.properties, name).and_then(value_of);
        let elements = list.map(Tree::elements).unwrap_or_default();
        let lines = elements.iter().filter_map(|element| Some((element.line, element.text()?)));
        lines.map(|(number, text)| Line { number, text: text.to_owned() }).collect()
    }

    /// The value of the first setting whose name ends so.
    fn scalar(&self, ending: &str) -> Option<&str> {
        let setting = self.properties.properties().iter().find(|(key, _)| folded(key).ends_with(ending));
        value_of(&setting?.1)?.text()
    }

    fn read(self) -> TrunkSettings {
        TrunkSettings {
            allow: self.list(ALLOW_LIST),
            always_deny: self.list(DENY_LIST),
            outbound_proxies: self.list(PROXIES),
            use_source_address: self.scalar("usesourceaddress").and_then(|value| value.parse().ok()),
            listen_port: self.scalar("listenport").and_then(|value| value.parse().ok()).filter(|port| *port > 0),
            transport: self.scalar("transportprotocolvariant").map(str::to_lowercase),
            name: self.name,
        }
    }
}

/// A setting's name without case and underscores: exports write `trunk_access_acl_allowList`, and older ones
/// `trunk_access_acl_allow_list`.
fn folded(key: &str) -> String {
    key.replace('_', "").to_lowercase()
}

/// The document that trunks make: a table of addresses for each list. A trunk without addresses has nothing to say.
pub(super) fn document_of(trunks: Vec<Settings<'_>>) -> Document {
    let mut document = Document { provider: Some("genesys"), ..Document::default() };
    for settings in trunks.into_iter().map(Settings::read) {
        push_table(&mut document, ALLOW_LIST, settings.allow.iter().map(allowed));
        push_table(&mut document, PROXIES, settings.outbound_proxies.iter().map(proxy));
        if [&settings.allow, &settings.always_deny, &settings.outbound_proxies].iter().any(|list| !list.is_empty()) {
            document.trunks.push(settings);
        }
    }
    document
}

fn push_table(document: &mut Document, list: &str, rows: impl Iterator<Item = Row>) {
    let rows: Vec<_> = rows.collect();
    let Some(line) = rows.first().map(|row| row.line) else {
        return;
    };
    let header = Row { line, cells: vec!["IP address".to_owned(), "Port".to_owned()], note: None };
    document.items.push(Item::Heading(Heading { level: 1, text: list.to_owned(), line }));
    let rows = std::iter::once(header).chain(rows).collect();
    document.items.push(Item::Table(Table { header_rows: 1, rows, is_data: true, is_bare: true }));
}

fn allowed(line: &Line) -> Row {
    Row { line: line.number, cells: vec![line.text.clone(), String::new()], note: None }
}

fn proxy(line: &Line) -> Row {
    let (host, port) = host_and_port(&line.text);
    Row { line: line.number, cells: vec![host.to_owned(), port.to_owned()], note: None }
}
