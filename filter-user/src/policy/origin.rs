//! Where something in a policy comes from: a line of a document.

use std::{fmt, sync::Arc};

use serde::{Serialize, Serializer, ser::SerializeMap as _};

/// A line of an allowlist or of the policy.
///
/// As JSON `{"allowlist": NAME, "line": LINE}` or `{"policy": FILE, "line": LINE}`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Origin {
    /// The document.
    pub document: Document,
    /// The line in it, from 1; 0 where an allowlist keeps none.
    pub line: u32,
}

/// A document that a policy is made from.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Document {
    /// An allowlist, as the policy names it; its lines are those of the provider's document.
    Allowlist(Arc<str>),
    /// The policy file, or a file that it includes.
    Policy(Arc<str>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.document {
            Document::Allowlist(name) => write!(f, "allowlist `{name}`, line {} of its document", self.line),
            Document::Policy(name) => write!(f, "{name}:{}", self.line),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, name) = match &self.document {
            Document::Allowlist(name) => ("allowlist", name),
            Document::Policy(name) => ("policy", name),
        };
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(kind, &**name)?;
        map.serialize_entry("line", &self.line)?;
        map.end()
    }
}
