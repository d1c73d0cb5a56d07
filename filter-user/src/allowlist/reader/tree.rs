//! Data as JSON and HCL hold it: objects, lists and texts, each with its line.

/// A value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Tree {
    pub(super) line: u32,
    pub(super) node: Node,
}

/// What a value is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Node {
    Object(Vec<(String, Tree)>),
    List(Vec<Tree>),
    /// A string, a number, a boolean, or the text of an expression that has no value of its own.
    Text(String),
    Null,
}

impl Tree {
    /// The value of `key`, where this is an object that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.properties().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The properties of an object; none of anything else.
    pub(super) fn properties(&self) -> &[(String, Self)] {
        match &self.node {
            Node::Object(properties) => properties,
            _ => &[],
        }
    }

    /// The elements of a list; none of anything else.
    pub(super) fn elements(&self) -> &[Self] {
        match &self.node {
            Node::List(elements) => elements,
            _ => &[],
        }
    }

    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.node {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether an object has objects inside it.
    pub(super) fn holds_objects(&self) -> bool {
        self.properties().iter().any(|(_, value)| !value.is_flat())
    }

    /// Whether the value holds no object.
    pub(super) fn is_flat(&self) -> bool {
        match &self.node {
            Node::Object(_) => false,
            Node::List(elements) => elements.iter().all(|element| matches!(element.node, Node::Text(_) | Node::Null)),
            Node::Text(_) | Node::Null => true,
        }
    }

    /// What an object calls itself.
    pub(super) fn name(&self) -> Option<&str> {
        ["name", "label", "title", "region", "id"].iter().find_map(|key| self.get(key)?.text())
    }

    /// The texts in a scalar or in a list of scalars, a line each.
    pub(super) fn texts(&self) -> String {
        match &self.node {
            Node::List(elements) => elements.iter().filter_map(Self::text).collect::<Vec<_>>().join("\n"),
            _ => self.text().unwrap_or_default().to_owned(),
        }
    }
}
