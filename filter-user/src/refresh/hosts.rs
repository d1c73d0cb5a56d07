//! Where a source's server is: by `/etc/hosts` and the system's name servers, without the C library.
//!
//! A binary that is linked statically brings its own, which can ask by files and plug-ins of the host's only if that has
//! the same version.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{LookupIpStrategy, ResolveHosts},
    net::NetError,
};
use tokio::{runtime::Builder, time::timeout};
use ureq::{
    Error,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::NextTimeout,
    },
};

/// How long the name servers may take at the most.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How many addresses of a host are tried.
const MOST: usize = 16;

/// Finds the addresses of servers.
#[derive(Debug)]
pub(super) struct Hosts;

impl Resolver for Hosts {
    fn resolve(&self, uri: &Uri, config: &Config, limit: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().ok_or(Error::HostNotFound)?;
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let addresses = match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => ask(host, TIMEOUT.min(*limit.after))?,
        };
        let all = addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect::<Vec<_>>();
        let mut found = self.empty();
        for address in config.ip_family().keep_wanted(all.into_iter()).take(MOST) {
            found.push(address);
        }
        if found.is_empty() { Err(Error::HostNotFound) } else { Ok(found) }
    }
}

fn ask(host: &str, limit: Duration) -> Result<Vec<IpAddr>, Error> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let asked = runtime.block_on(async { timeout(limit, lookup(host)).await });
    let answer =
        asked.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("no name server answers for `{host}`")))?;
    answer.map_err(|error| Error::Io(io::Error::other(format!("`{host}` cannot be resolved: {error}"))))
}

async fn lookup(host: &str) -> Result<Vec<IpAddr>, NetError> {
    let mut builder = TokioResolver::builder_tokio()?;
    let options = builder.options_mut();
    options.use_hosts_file = ResolveHosts::Always;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    Ok(builder.build()?.lookup_ip(host).await?.iter().collect())
}
