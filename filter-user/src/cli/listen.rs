//! The options of commands that show what happens over HTTP.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use filter_user::listener::{Settings, TlsFiles};

/// The port where none is named.
const PORT: u16 = 9464;

/// Where the dashboard and the metrics are served, and to whom.
#[derive(clap::Args)]
#[command(next_help_heading = "Dashboard and metrics")]
pub(crate) struct Listen {
    /// Serve the dashboard at `/` and the metrics at `/metrics`, as in `127.0.0.1:9464`, on port 9464 if none is named
    ///
    /// An address that is not a loopback one needs a certificate, and a token or client certificates.
    #[arg(long = "listen", value_name = "ADDRESS[:PORT]", value_parser = address)]
    address: Option<SocketAddr>,
    /// Serve HTTPS with the certificate of this PEM file
    #[arg(long = "listen-certificate", value_name = "FILE", requires = "address", requires = "key")]
    certificate: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(long = "listen-key", value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Answer only who brings the token in this file: as a bearer, or as the password that a browser asks for
    #[arg(long = "listen-token", value_name = "FILE", requires = "address")]
    token: Option<PathBuf>,
    /// Answer only who has a certificate of the authorities in this PEM file
    #[arg(long = "listen-client-ca", value_name = "FILE", requires = "certificate")]
    client_authorities: Option<PathBuf>,
    /// Answer under this host name too; otherwise under addresses and `localhost`
    #[arg(long = "listen-name", value_name = "NAME", requires = "address")]
    names: Vec<String>,
}

impl Listen {
    /// The settings of the listener; nothing if none is wanted.
    pub(crate) fn settings(self) -> Option<Settings> {
        let Self { address, certificate, key, token, client_authorities, names } = self;
        let tls = certificate.zip(key).map(|(certificate, key)| TlsFiles { certificate, key, client_authorities });
        Some(Settings { address: address?, tls, token, names })
    }
}

/// An address with a port, an address alone, or a port alone: that of 127.0.0.1.
fn address(text: &str) -> Result<SocketAddr, String> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::from);
    let alone = || text.parse::<IpAddr>().ok().or_else(bracketed).map(|address| SocketAddr::new(address, PORT));
    let port = || text.parse().ok().map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    text.parse().ok().or_else(alone).or_else(port).ok_or_else(|| {
        format!(
            "expected an address, with or without a port, as in `127.0.0.1:{PORT}`, `127.0.0.1` or `[::1]:{PORT}`, or a port \
             alone; a name is not taken"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_of_an_address_is_usual() {
        for (text, expected) in [
            ("127.0.0.1:9000", "127.0.0.1:9000"),
            ("127.0.0.1", "127.0.0.1:9464"),
            ("9000", "127.0.0.1:9000"),
            ("192.0.2.10", "192.0.2.10:9464"),
            ("::1", "[::1]:9464"),
            ("[::1]", "[::1]:9464"),
            ("[2001:db8::1]:9000", "[2001:db8::1]:9000"),
        ] {
            assert_eq!(address(text).map(|address| address.to_string()), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_what_is_expected() {
        for text in [
            "localhost",
            "localhost:9464",
            "127.0.0.1:",
            ":9464",
            "[127.0.0.1]",
            "65536",
            "127.0.0.1:65536",
            "eth0",
            "",
        ] {
            let error = address(text).unwrap_err();
            assert!(
                error.contains("as in `127.0.0.1:9464`, `127.0.0.1` or `[::1]:9464`, or a port alone"),
                "{text}: {error}"
            );
        }
    }
}
