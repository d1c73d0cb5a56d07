//! The fleet's configuration file: the same for nodes and for operators, of which each reads its part.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    document::Target,
    events::MOST_EVENTS,
    keys::{KeyError, Signer, Trust, Verifier},
};
use crate::{policy::file::is_name, text_file};

/// Where the configuration is, unless another place is named.
pub const DEFAULT_CONFIG: &str = "/etc/sipwall/fleet.toml";

/// The largest configuration file.
const LARGEST_CONFIG: u64 = 1024 * 1024;

/// Why the fleet cannot be used with its configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read, or is not what it should be.
    #[error("`{path}`: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    fleet: Written,
}

/// `[fleet]`, as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    servers: Vec<String>,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    credentials: Option<PathBuf>,
    trust: Vec<PathBuf>,
    node: Option<String>,
    group: Option<String>,
    sign_with: Option<PathBuf>,
    events: u16,
    metrics: Option<String>,
}

/// What the configuration says. Its files are read when they are needed.
#[derive(Clone, Debug)]
pub struct Config {
    path: PathBuf,
    written: Written,
}

/// How the broker is reached.
#[derive(Clone, Debug)]
pub struct Access {
    /// `nats://` and `tls://` addresses.
    pub servers: Vec<String>,
    /// The authorities of the servers' certificates; those of the system, if nothing.
    pub ca: Option<PathBuf>,
    /// The client's certificate and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The credentials file of NATS.
    pub credentials: Option<PathBuf>,
}

/// Who a node is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// Its name.
    pub node: String,
    /// Its group; none, if it is in none.
    pub group: Option<String>,
}

impl Identity {
    /// What may be meant for it, the narrowest first.
    pub fn targets(&self) -> Vec<Target> {
        let group = self.group.clone().map(Target::Group);
        [Some(Target::Node(self.node.clone())), group, Some(Target::Default)].into_iter().flatten().collect()
    }
}

impl Config {
    /// Reads a configuration file; servers that are named elsewhere take the place of its own.
    ///
    /// # Errors
    /// If the file cannot be read or is not what it should be.
    pub fn read(path: &Path, servers: &[String]) -> Result<Self, ConfigError> {
        let refuse = |why: String| ConfigError::File { path: path.to_owned(), why };
        let text = text_file::read(path, LARGEST_CONFIG).map_err(|error| refuse(format!("cannot be read: {error}")))?;
        let file: File = toml::from_str(&text).map_err(|error| refuse(error.to_string()))?;
        let mut config = Self { path: path.to_owned(), written: file.fleet };
        if !servers.is_empty() {
            config.written.servers = servers.to_vec();
        }
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let Written { servers, certificate, key, .. } = &self.written;
        if servers.is_empty() {
            return Err(self.refuse("`servers` names none\nhint: `servers = [\"tls://nats.example:4222\"]`"));
        }
        for server in servers {
            check_server(server).map_err(|why| self.refuse(&why))?;
        }
        if certificate.is_some() != key.is_some() {
            return Err(self.refuse("`certificate` and `key` belong together"));
        }
        if self.written.events > MOST_EVENTS {
            return Err(self.refuse(&format!("`events` is from 0 to {MOST_EVENTS} samples a second")));
        }
        if let Some(metrics) = &self.written.metrics
            && !is_place(metrics)
        {
            let hint = "`metrics` is no address\nhint: `metrics = \"https://sbc1.example:9464\"`";
            return Err(self.refuse(hint));
        }
        Ok(())
    }

    fn refuse(&self, why: &str) -> ConfigError {
        ConfigError::File { path: self.path.clone(), why: why.to_owned() }
    }

    /// A path of the file, which is relative to it.
    fn resolve(&self, path: &Path) -> PathBuf {
        self.path.parent().unwrap_or_else(|| Path::new("")).join(path)
    }

    /// How the broker is reached.
    pub fn access(&self) -> Access {
        let Written { servers, ca, certificate, key, credentials, .. } = &self.written;
        let resolve = |path: &Option<PathBuf>| path.as_deref().map(|path| self.resolve(path));
        Access {
            servers: servers.clone(),
            ca: resolve(ca),
            certificate: resolve(certificate).zip(resolve(key)),
            credentials: resolve(credentials),
        }
    }

    /// How many samples a second a node publishes at the most; none, if 0.
    pub const fn events(&self) -> u16 {
        self.written.events
    }

    /// Where Prometheus finds a node's metrics, if the file says it.
    pub fn metrics(&self) -> Option<&str> {
        self.written.metrics.as_deref()
    }

    /// The keys that are trusted: those of `trust`, and the operator's own.
    ///
    /// # Errors
    /// If there is none, or one cannot be read.
    pub fn trust(&self) -> Result<Trust, ConfigError> {
        let mut keys = Vec::new();
        for path in &self.written.trust {
            keys.push(Verifier::read(&self.resolve(path))?);
        }
        if self.written.sign_with.is_some() {
            keys.push(self.signer()?.public());
        }
        if keys.is_empty() {
            let hint = "`trust` names no key\nhint: `sipwall fleet keygen` makes one; its public half belongs there";
            return Err(self.refuse(hint));
        }
        Ok(Trust::new(keys))
    }

    /// The key that signs.
    ///
    /// # Errors
    /// If none is named, or it cannot be read.
    pub fn signer(&self) -> Result<Signer, ConfigError> {
        let Some(path) = &self.written.sign_with else {
            return Err(self.refuse("`sign_with` names no key, and what a fleet runs is signed"));
        };
        Ok(Signer::read(&self.resolve(path))?)
    }

    /// Who this node is: its name is the host's unless the file says another.
    ///
    /// # Errors
    /// If the node or its group has no name that can be one.
    pub fn identity(&self) -> Result<Identity, ConfigError> {
        let Written { node, group, .. } = &self.written;
        let node = match node {
            Some(node) => node.clone(),
            None => host_name().ok_or_else(|| self.refuse("`node` is missing, and the host has no name"))?,
        };
        for name in [Some(&node), group.as_ref()].into_iter().flatten() {
            if !is_name(name) {
                let why =
                    format!("`{}` cannot be a name\nhint: use 1 to 31 of `a-z`, `0-9` and `-`", name.escape_debug());
                return Err(self.refuse(&why));
            }
        }
        Ok(Identity { node, group: group.clone() })
    }
}

/// Refuses an address that the client does not take, and one with a secret: it would be in logs and in `ps`.
fn check_server(server: &str) -> Result<(), String> {
    let Some((scheme @ ("nats" | "tls"), rest)) = server.split_once("://") else {
        return Err(format!(
            "`{}` is no address\nhint: `nats://HOST:4222` or `tls://HOST:4222`",
            server.escape_debug()
        ));
    };
    if rest.contains('@') {
        return Err(format!(
            "an address of `{scheme}://` has a secret in it\nhint: `credentials` names a file that has it"
        ));
    }
    if rest.is_empty() { Err(format!("`{server}` names no host")) } else { Ok(()) }
}

/// Whether it is a scheme, a host and a port.
fn is_place(metrics: &str) -> bool {
    let place = metrics.strip_prefix("http://").or_else(|| metrics.strip_prefix("https://"));
    let host = place.and_then(|place| place.rsplit_once(':')).filter(|(_, port)| port.parse::<u16>().is_ok());
    host.is_some_and(|(host, _)| {
        !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c))
    })
}

/// The first part of the host's name.
fn host_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let first = name.trim().split('.').next()?.to_lowercase();
    (!first.is_empty()).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fleet.toml");
        fs::write(&path, text).unwrap();
        Config::read(&path, &[]).map_err(|error| error.to_string())
    }

    #[test]
    fn a_node_is_what_the_file_says() {
        let config = read("[fleet]\nservers = [\"tls://one:4222\"]\nnode = \"sbc-1\"\ngroup = \"edge\"\n").unwrap();
        let identity = config.identity().unwrap();
        let targets: Vec<_> = identity.targets().iter().map(ToString::to_string).collect();
        assert_eq!(targets, ["node.sbc-1", "group.edge", "default"]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, why) in [
            ("[fleet]\nservers = []\n", "names none"),
            ("[fleet]\nservers = [\"http://one\"]\n", "is no address"),
            ("[fleet]\nservers = [\"nats://me:secret@one\"]\n", "has a secret in it"),
            ("[fleet]\nservers = [\"nats://one\"]\ncertificate = \"x\"\n", "belong together"),
            ("[fleet]\nserver = \"x\"\n", "unknown field"),
            ("[fleet]\nservers = [\"nats://one\"]\nevents = 201\n", "is from 0 to 200"),
            ("[fleet]\nservers = [\"nats://one\"]\nmetrics = \"sbc1:9464\"\n", "is no address"),
            ("[fleet]\nservers = [\"nats://one\"]\nmetrics = \"https://sbc1/x:9464\"\n", "is no address"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(why) && !error.contains("me:secret"), "{text}: {error}");
        }
        let nobody = read("[fleet]\nservers = [\"nats://one\"]\nnode = \"A b\"\n").unwrap();
        assert!(nobody.identity().is_err() && nobody.trust().is_err() && nobody.signer().is_err());
    }
}
