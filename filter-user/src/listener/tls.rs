//! TLS, from PEM files.

use std::{path::Path, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use super::settings::{ListenError, TlsFiles};

/// The settings of a server with these files.
pub(super) fn configure(files: &TlsFiles) -> Result<Arc<ServerConfig>, ListenError> {
    let TlsFiles { certificate, key, client_authorities } = files;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| ListenError::file(certificate, format!("cannot be used: {error}")))?;
    let builder = match client_authorities {
        None => builder.with_no_client_auth(),
        Some(path) => builder.with_client_cert_verifier(verifier(path, provider)?),
    };
    let chain = certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| ListenError::file(key, format!("holds no private key in PEM: {error}")))?;
    let configured = builder.with_single_cert(chain, private);
    let mut config = configured
        .map_err(|error| ListenError::file(certificate, format!("does not suit `{}`: {error}", key.display())))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ListenError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| ListenError::file(path, format!("holds no certificate in PEM: {error}")))?;
    if found.is_empty() {
        return Err(ListenError::file(path, "holds no certificate in PEM"));
    }
    Ok(found)
}

/// Lets in who has a certificate of one of these authorities.
fn verifier(path: &Path, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, ListenError> {
    let unusable = |error: &dyn std::fmt::Display| ListenError::file(path, format!("cannot be used: {error}"));
    let mut authorities = RootCertStore::empty();
    for certificate in certificates(path)? {
        authorities.add(certificate).map_err(|error| unusable(&error))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
        .build()
        .map_err(|error| unusable(&error))
}
