//! Certificates and a token as files, and a client that believes in them.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Arc};

use filter_user::listener::TlsFiles;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::TempDir;

use crate::http::{Answer, connect, exchange};

/// The token.
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A directory with a token, an authority, and what it signed.
#[derive(Debug)]
pub struct Keys {
    directory: TempDir,
    authority: CertificateDer<'static>,
    client: (CertificateDer<'static>, PrivateKeyDer<'static>),
}

impl Keys {
    /// Makes them.
    #[expect(clippy::new_without_default, reason = "it makes files")]
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("it signs");
        let signed = |name: &str| {
            let key = KeyPair::generate().expect("a key");
            let parameters = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
            (parameters.signed_by(&key, &authority).expect("it signs"), key)
        };
        let ((server, server_key), (client, client_key)) = (signed("127.0.0.1"), signed("prometheus.example"));
        let client_key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(client_key.serialize_der()));
        let keys = Self { directory, authority: authority.der().clone(), client: (client.der().clone(), client_key) };
        for (name, text) in
            [("ca.pem", authority.pem()), ("server.pem", server.pem()), ("server.key", server_key.serialize_pem())]
        {
            fs::write(keys.path(name), text).expect("a file");
        }
        keys.secret("token", &format!("{TOKEN}\n"), 0o600);
        keys
    }

    /// The path of a file in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// That path as text.
    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("a plain path").to_owned()
    }

    /// Writes a file with this mode.
    pub fn secret(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        fs::write(self.path(name), text).expect("a file");
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("its mode");
        self.path(name)
    }

    /// The files of TLS.
    pub fn tls(&self, client_authorities: Option<PathBuf>) -> TlsFiles {
        TlsFiles { certificate: self.path("server.pem"), key: self.path("server.key"), client_authorities }
    }

    /// Asks for `/metrics` over TLS, with or without the client's certificate.
    pub fn ask(&self, address: SocketAddr, with_certificate: bool, headers: &[(&str, &str)]) -> Answer {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.expect("TLS").with_root_certificates(roots);
        let config = if with_certificate {
            let (certificate, key) = (self.client.0.clone(), self.client.1.clone_key());
            builder.with_client_auth_cert(vec![certificate], key).expect("a certificate")
        } else {
            builder.with_no_client_auth()
        };
        let name = address.ip().into();
        let client = ClientConnection::new(Arc::new(config), name).expect("a client");
        let mut headers = headers.to_vec();
        let host = address.to_string();
        headers.push(("host", &host));
        exchange(StreamOwned::new(client, connect(address)), "GET", "/metrics", &headers)
    }
}
