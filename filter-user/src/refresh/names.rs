//! The addresses of a document's host names, followed by their time to live.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use hickory_resolver::{
    TokioResolver,
    config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

use super::clock::Moment;
use crate::allowlist::Allowlist;

/// How long an answer is kept at the least: some pools answer with a time to live of zero.
const SHORTEST_TTL: Duration = Duration::from_secs(30);

/// How many names of one document are followed.
pub(super) const MOST: usize = 100;

/// How long a name server may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A name with its addresses.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Resolved {
    /// The name, as the document has it.
    pub name: String,
    /// The addresses of the last answer, in order; empty if there never was one.
    pub addresses: Vec<IpAddr>,
    /// When that answer came.
    pub asked: Moment,
    /// For how many seconds it holds.
    pub ttl: u64,
}

impl Resolved {
    /// For how long the answer still holds.
    pub fn holds_for(&self, now: &Moment) -> Duration {
        let held = now.since(&self.asked);
        held.map_or(Duration::ZERO, |held| Duration::from_secs(self.ttl).saturating_sub(held))
    }
}

/// Which name servers to ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NameServers {
    /// Those that the system uses.
    System,
    /// This one.
    One(SocketAddr),
}

/// Asks for the addresses of names.
#[derive(Debug)]
pub struct Names {
    resolver: TokioResolver,
    runtime: Runtime,
}

impl Names {
    /// A resolver that keeps no answers of its own: they are kept in the states.
    ///
    /// # Errors
    /// If the system's name servers cannot be read.
    pub fn new(servers: NameServers) -> Result<Self, NetError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut builder = match servers {
            NameServers::System => TokioResolver::builder_tokio()?,
            NameServers::One(server) => {
                TokioResolver::builder_with_config(only(server), TokioRuntimeProvider::default())
            }
        };
        let options = builder.options_mut();
        options.timeout = TIMEOUT;
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        Ok(Self { resolver: builder.build()?, runtime })
    }

    /// The host names of the document with their addresses: of `known` those that still hold, of the rest a new answer.
    ///
    /// A name that cannot be resolved keeps the addresses that it had; the messages say so.
    pub fn follow(&self, document: &Allowlist, known: &[Resolved], now: &Moment) -> (Vec<Resolved>, Vec<String>) {
        let (mut followed, mut messages) = (Vec::new(), Vec::new());
        for name in host_names(document) {
            let before = known.iter().find(|resolved| resolved.name == name);
            if let Some(before) = before.filter(|before| !before.holds_for(now).is_zero()) {
                followed.push(before.clone());
                continue;
            }
            match self.ask(name, now) {
                Ok(resolved) => followed.push(resolved),
                Err(error) => {
                    messages.push(not_resolved(name, before, &error));
                    followed.extend(before.cloned());
                }
            }
        }
        (followed, messages)
    }

    fn ask(&self, name: &str, now: &Moment) -> Result<Resolved, NetError> {
        // A name without a final dot would be tried in the search domains of this host too.
        let absolute = format!("{}.", name.trim_end_matches('.'));
        let found = self.runtime.block_on(self.resolver.lookup_ip(absolute))?;
        let mut addresses: Vec<_> = found.iter().collect();
        addresses.sort_unstable();
        addresses.dedup();
        // The deadline was counted from a moment before this one.
        let ttl = found.as_lookup().valid_until().saturating_duration_since(Instant::now());
        let ttl = (ttl + Duration::from_millis(500)).max(SHORTEST_TTL).as_secs();
        Ok(Resolved { name: name.to_owned(), addresses, asked: now.clone(), ttl })
    }
}

fn only(server: SocketAddr) -> ResolverConfig {
    let mut config = NameServerConfig::udp_and_tcp(server.ip());
    for connection in &mut config.connections {
        connection.port = server.port();
    }
    ResolverConfig::from_name_servers(vec![config])
}

/// The host names of rows that are not enforced only because they are names.
pub(super) fn host_names(document: &Allowlist) -> Vec<&str> {
    let mut names: Vec<_> = document.unenforced.iter().filter_map(|row| row.host_name()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn not_resolved(name: &str, before: Option<&Resolved>, error: &NetError) -> String {
    let kept = before.map_or(0, |before| before.addresses.len());
    match kept {
        0 => format!("`{name}` cannot be resolved: {error}"),
        _ => format!("`{name}` cannot be resolved, and keeps its last addresses: {error}"),
    }
}
