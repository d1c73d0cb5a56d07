//! Getting a document: over HTTPS, asking only for what is new, or from a file.

use std::{path::Path, time::Duration};

use serde::{Deserialize, Serialize};
use ureq::{
    Agent, Body,
    http::{HeaderMap, Response, StatusCode, Uri, header},
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
    unversioned::transport::DefaultConnector,
};

use super::hosts::Hosts;
use crate::{
    allowlist::{
        LARGEST_DOCUMENT,
        import::{Source, SourceError},
    },
    policy::file::is_url,
};

/// How often a server may send the request elsewhere.
const MOST_REDIRECTS: u32 = 5;

/// What a request may cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// How long it may take, with redirects and the whole document.
    pub timeout: Duration,
    /// The largest document, in bytes.
    pub largest: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: Duration::from_mins(1), largest: LARGEST_DOCUMENT }
    }
}

/// What a server says of a document's version (RFC 9110, section 8.8).
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Validators {
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<String>,
}

impl Validators {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self { etag: text(header::ETAG), last_modified: text(header::LAST_MODIFIED) }
    }
}

/// What a source answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fetched {
    /// The version that the validators name is still the present one.
    Unchanged,
    /// A document.
    Document(Source, Validators),
}

/// Why a document could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The exchange failed.
    #[error("cannot fetch `{url}`: {}", describe(.error))]
    Exchange {
        /// The source.
        url: String,
        /// What went wrong.
        error: Box<ureq::Error>,
    },
    /// The server answered something else.
    #[error("`{url}` answers {status}")]
    Status {
        /// The source.
        url: String,
        /// The status.
        status: StatusCode,
    },
    /// The answer holds no text.
    #[error("`{url}` is not UTF-8 text: byte {at} begins no character")]
    NotText {
        /// The source.
        url: String,
        /// The offset of the first byte that is no text, from 0.
        at: usize,
    },
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] SourceError),
    /// The certificates for `--ca` could not be read.
    #[error("`{path}` holds no certificate in PEM form: {why}")]
    Certificate {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The failures that people meet most, in words; the rest as the client has it.
fn describe(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "it takes too long".to_owned(),
        ureq::Error::BodyExceedsLimit(limit) => format!("the document has more than {limit} bytes"),
        ureq::Error::TooManyRedirects => format!("it redirects more than {MOST_REDIRECTS} times"),
        ureq::Error::RequireHttpsOnly(to) => format!("it redirects to `{to}`, which is not protected by TLS"),
        error => error.to_string(),
    }
}

/// Fetches documents.
#[derive(Clone, Debug)]
pub struct Fetcher {
    limits: Limits,
    tls: TlsConfig,
}

impl Fetcher {
    /// A fetcher that trusts the certificate authorities of the web, or those in the PEM file `authorities` alone.
    ///
    /// # Errors
    /// If the file cannot be read or holds no certificate.
    pub fn new(limits: Limits, authorities: Option<&Path>) -> Result<Self, FetchError> {
        let roots = authorities.map(certificates).transpose()?.unwrap_or(RootCerts::WebPki);
        Ok(Self { limits, tls: TlsConfig::builder().root_certs(roots).build() })
    }

    /// Gets what is at `source`, a URL or a path relative to `folder`, unless it is what `known` names.
    ///
    /// # Errors
    /// If it cannot be had, whole and as text, within the limits.
    pub fn fetch(&self, source: &str, folder: &Path, known: &Validators) -> Result<Fetched, FetchError> {
        if !is_url(source) {
            return Ok(Fetched::Document(Source::read(&folder.join(source))?, Validators::default()));
        }
        let exchange = |error| FetchError::Exchange { url: source.to_owned(), error: Box::new(error) };
        let response = self.request(source, known).map_err(exchange)?;
        match response.status() {
            StatusCode::OK => self.document(source, response),
            StatusCode::NOT_MODIFIED if *known != Validators::default() => Ok(Fetched::Unchanged),
            status => Err(FetchError::Status { url: source.to_owned(), status }),
        }
    }

    fn request(&self, url: &str, known: &Validators) -> Result<Response<Body>, ureq::Error> {
        let mut request = self.agent(url).get(url);
        if let Some(etag) = &known.etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        if let Some(last_modified) = &known.last_modified {
            request = request.header(header::IF_MODIFIED_SINCE, last_modified);
        }
        request.call()
    }

    /// What begins protected stays so wherever it is redirected.
    fn agent(&self, url: &str) -> Agent {
        let config = Agent::config_builder()
            .https_only(url.starts_with("https:"))
            .http_status_as_error(false)
            .max_redirects(MOST_REDIRECTS)
            .timeout_global(Some(self.limits.timeout))
            .tls_config(self.tls.clone())
            .user_agent(concat!("sipwall/", env!("CARGO_PKG_VERSION")))
            .build();
        Agent::with_parts(config, DefaultConnector::default(), Hosts)
    }

    fn document(&self, url: &str, mut response: Response<Body>) -> Result<Fetched, FetchError> {
        let validators = Validators::of(response.headers());
        let content = response.body_mut().with_config().limit(self.limits.largest).read_to_vec();
        let content = content.map_err(|error| FetchError::Exchange { url: url.to_owned(), error: Box::new(error) })?;
        let text = String::from_utf8(content)
            .map_err(|error| FetchError::NotText { url: url.to_owned(), at: error.utf8_error().valid_up_to() })?;
        Ok(Fetched::Document(Source { name: file_name(url), text }, validators))
    }
}

fn certificates(path: &Path) -> Result<RootCerts, FetchError> {
    let broken = |why: String| FetchError::Certificate { path: path.display().to_string(), why };
    let text = std::fs::read(path).map_err(|error| broken(error.to_string()))?;
    let items: Result<Vec<_>, _> = parse_pem(&text).collect();
    let certificates = items.map_err(|error| broken(error.to_string()))?.into_iter().filter_map(|item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    });
    let certificates: Vec<_> = certificates.collect();
    if certificates.is_empty() {
        return Err(broken("it has no `BEGIN CERTIFICATE`".to_owned()));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

/// The last part of the URL's path, by whose ending the syntax is told.
fn file_name(url: &str) -> String {
    let path = url.parse::<Uri>().map(|uri| uri.path().to_owned()).unwrap_or_default();
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_syntax_is_told_by_the_path_not_by_the_query() {
        assert_eq!(file_name("https://example.net/pages/ranges.json?format=x.md#top"), "ranges.json");
        assert_eq!(file_name("https://example.net/firewall/"), "firewall");
        assert_eq!(file_name("https://example.net"), "");
    }
}
