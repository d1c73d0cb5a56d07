//! The options of commands that show what happens over HTTP.

use std::{net::SocketAddr, path::PathBuf};

use filter_user::listener::{Settings, TlsFiles};

/// Where the dashboard and the metrics are served, and to whom.
#[derive(clap::Args)]
#[command(next_help_heading = "Dashboard and metrics")]
pub(crate) struct Listen {
    /// Serve the dashboard at `/` and the metrics at `/metrics`, as in `127.0.0.1:9464`
    ///
    /// An address that is not a loopback one needs a certificate, and a token or client certificates.
    #[arg(long = "listen", value_name = "ADDRESS:PORT")]
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
