//! A server on loopback that answers what a test tells it to.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// What the server sends, octet by octet, by path.
type Answers = Arc<Mutex<HashMap<String, Vec<u8>>>>;

pub(crate) struct Server {
    base: String,
    answers: Answers,
    requests: Arc<Mutex<Vec<String>>>,
    /// The certificate of the authority that signed the server's, PEM.
    pub(crate) authority: String,
}

impl Server {
    /// The answer of a server that never answers; that of every path that nothing was said of.
    pub(crate) const SILENCE: &[u8] = b"";

    pub(crate) fn http() -> Self {
        Self::start(None, String::new())
    }

    pub(crate) fn https() -> Self {
        let (config, authority) = certified();
        Self::start(Some(config), authority)
    }

    fn start(tls: Option<Arc<ServerConfig>>, authority: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let base = format!("{scheme}://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let server = Self { base, answers: Answers::default(), requests: Arc::default(), authority };
        let (answers, requests) = (Arc::clone(&server.answers), Arc::clone(&server.requests));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (tls, answers, requests) = (tls.clone(), Arc::clone(&answers), Arc::clone(&requests));
                thread::spawn(move || serve(stream, tls, &answers, &requests));
            }
        });
        server
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// From now on, `path` is answered with a head and a body, whose length is added.
    pub(crate) fn answer(&self, path: &str, head: &str, body: &str) {
        // A connection serves one request; who does not know that may find it closed.
        let head = format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}", body.len());
        self.answer_raw(path, format!("{head}\r\n\r\n{body}").into_bytes());
    }

    pub(crate) fn answer_raw(&self, path: &str, answer: Vec<u8>) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// The requests so far, in small letters.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, answers: &Answers, requests: &Mutex<Vec<String>>) {
    // A client that distrusts the server breaks off: no test hangs on that.
    let _ended = match tls {
        Some(config) => exchange(StreamOwned::new(ServerConnection::new(config).unwrap(), stream), answers, requests),
        None => exchange(stream, answers, requests),
    };
}

fn exchange(mut stream: impl Read + Write, answers: &Answers, requests: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet)?;
        request.extend(octet);
    }
    let request = String::from_utf8_lossy(&request).to_lowercase();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    requests.lock().unwrap().push(request);
    let answer = answers.lock().unwrap().get(&path).cloned().unwrap_or_default();
    if answer == Server::SILENCE {
        // Until the client gives up.
        stream.read_exact(&mut [0])?;
    }
    stream.write_all(&answer)?;
    stream.flush()
}

/// A server's settings with a certificate for loopback, and the authority that signed it.
fn certified() -> (Arc<ServerConfig>, String) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &authority).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], private).unwrap();
    (Arc::new(config), authority.pem())
}
