//! What is signed: policies, what takes a policy on trial back, and deny lists.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    envelope::{self, Refused},
    keys::{KeyId, Signer, Trust},
};
use crate::{instant, policy::file::is_name};

/// Whom a document is for. The narrower one wins: a node, its group, everybody.
///
/// Text form, which is the key in the bucket too: `node.NAME`, `group.NAME`, `default`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Target {
    /// Everybody who is given nothing narrower.
    Default,
    /// A group of nodes.
    Group(String),
    /// One node.
    Node(String),
}

impl Target {
    /// Where the document is that some of its nodes try before the others.
    pub fn canary_key(&self) -> String {
        format!("canary.{self}")
    }

    /// As part of a file's name.
    pub(super) fn file_name(&self, revision: u64) -> String {
        format!("{self}.{revision}.toml")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Group(name) => write!(f, "group.{name}"),
            Self::Node(name) => write!(f, "node.{name}"),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('.') {
            None if text == "default" => Ok(Self::Default),
            Some(("group", name)) if is_name(name) => Ok(Self::Group(name.to_owned())),
            Some(("node", name)) if is_name(name) => Ok(Self::Node(name.to_owned())),
            _ => Err(format!("`{}` is neither `node.NAME` nor `group.NAME` nor `default`", text.escape_debug())),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Which document it is, and of whom.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Head {
    /// Whom it is for.
    pub target: Target,
    /// Its number among those for this target: a later one has a higher one. Nodes never go back.
    pub revision: u64,
    /// When it was made. For people alone: clocks differ.
    #[serde(with = "instant")]
    pub created: u64,
    /// Who made it.
    pub author: String,
}

/// A policy with the files that it names.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Content {
    /// The policy file's name.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The files that it names, by their path relative to it.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// How a policy comes into force.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Terms {
    /// How many seconds a node has to confirm it; then its data plane falls back.
    pub confirm: u64,
    /// How many seconds a node watches its traffic before it finds the policy good.
    pub observe: u64,
    /// Providers that may fall silent.
    #[serde(default)]
    pub may_lose: Vec<String>,
}

impl Terms {
    pub(super) const fn confirm_within(&self) -> Duration {
        Duration::from_secs(self.confirm)
    }

    pub(super) const fn observe_for(&self) -> Duration {
        Duration::from_secs(self.observe)
    }
}

/// A policy for a target.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyDocument {
    /// Which one it is.
    pub head: Head,
    /// What is to be in force.
    pub content: Content,
    /// How it comes into force.
    pub terms: Terms,
    /// The nodes that try it before the others; empty: it is for all of the target.
    #[serde(default)]
    pub canaries: Vec<String>,
}

/// Takes back a policy that canaries try.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawal {
    /// Of which it is: the same target and revision.
    pub head: Head,
    /// Why.
    pub why: String,
}

/// What a target denies beside its policy.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DenyDocument {
    /// Which one it is.
    pub head: Head,
    /// What is denied.
    pub entries: Vec<DenyItem>,
}

/// A denied prefix.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DenyItem {
    /// The prefix.
    pub prefix: IpNet,
    /// Until when; for ever, if nothing.
    #[serde(default, with = "instant::optional")]
    pub until: Option<u64>,
    /// What was remarked.
    #[serde(default)]
    pub comment: String,
}

/// Any document, as it was signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Document {
    /// A policy.
    Policy(PolicyDocument),
    /// One that is taken back.
    Withdrawal(Withdrawal),
    /// A deny list.
    Deny(DenyDocument),
}

const POLICY: &str = "application/vnd.sipwall.policy.v1+json";
const WITHDRAWAL: &str = "application/vnd.sipwall.withdrawal.v1+json";
const DENY: &str = "application/vnd.sipwall.deny.v1+json";

impl Document {
    /// Signs it.
    ///
    /// # Errors
    /// If it is too large.
    pub fn seal(&self, signer: &Signer) -> Result<Vec<u8>, Refused> {
        let (kind, payload) = match self {
            Self::Policy(document) => (POLICY, serde_json::to_vec(document)),
            Self::Withdrawal(document) => (WITHDRAWAL, serde_json::to_vec(document)),
            Self::Deny(document) => (DENY, serde_json::to_vec(document)),
        };
        envelope::seal(kind, &payload.map_err(|error| Refused::Document(error.to_string()))?, signer)
    }

    /// The document in an envelope, and who signed it.
    ///
    /// # Errors
    /// If no trusted key signed it, or it is not what this version reads.
    pub fn open(octets: &[u8], trust: &Trust) -> Result<(Self, KeyId), Refused> {
        let opened = envelope::open(octets, trust)?;
        let document = match opened.payload_type.as_str() {
            POLICY => read(&opened.payload).map(Self::Policy),
            WITHDRAWAL => read(&opened.payload).map(Self::Withdrawal),
            DENY => read(&opened.payload).map(Self::Deny),
            other => Err(Refused::Document(format!("`{}` is of another version", other.escape_debug()))),
        };
        Ok((document?, opened.signer))
    }

    /// Which one it is.
    pub const fn head(&self) -> &Head {
        match self {
            Self::Policy(document) => &document.head,
            Self::Withdrawal(document) => &document.head,
            Self::Deny(document) => &document.head,
        }
    }
}

fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(payload).map_err(|error| Refused::Document(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_keys_and_keys_are_targets() {
        for text in ["default", "group.edge", "node.sbc-1"] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), text);
            assert_eq!(serde_json::from_str::<Target>(&serde_json::to_string(&target).unwrap()).unwrap(), target);
        }
        for text in ["", "group", "group.", "node.a.b", "node.*", "group.>", "canary.default", "node.A", "default.x"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_document_of_one_kind_is_not_one_of_another() {
        let directory = tempfile::tempdir().unwrap();
        let signer = Signer::generate(&directory.path().join("key")).unwrap().0;
        let head = Head { target: Target::Default, revision: 3, created: 1, author: "me".to_owned() };
        let withdrawal = Document::Withdrawal(Withdrawal { head: head.clone(), why: "it fails".to_owned() });
        let sealed = withdrawal.seal(&signer).unwrap();
        let (opened, by) = Document::open(&sealed, &Trust::new(vec![signer.public()])).unwrap();
        assert_eq!((opened, by), (withdrawal, signer.id()));
        let renamed = String::from_utf8(sealed).unwrap().replace("withdrawal", "policy");
        assert!(matches!(
            Document::open(renamed.as_bytes(), &Trust::new(vec![signer.public()])),
            Err(Refused::Untrusted(_))
        ));
    }
}
