//! Where the listener listens, and whether that is safe.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use socket2::{Domain, Socket, Type};

use super::{
    credentials::{Files, Keeper},
    guard::Guard,
};

/// How many connections wait to be taken.
const BACKLOG: i32 = 64;
/// How much of an answer the kernel keeps for a client that does not read.
const SEND_BUFFER: usize = 64 * 1024;

/// Where to listen, and who may ask.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address.
    pub address: SocketAddr,
    /// The certificate and who may connect; nothing for HTTP without TLS.
    pub tls: Option<TlsFiles>,
    /// A file with the token that a request must bring.
    pub token: Option<PathBuf>,
    /// The names besides `localhost` under which the listener may be asked.
    pub names: Vec<String>,
}

/// The files of TLS, all PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities of which a client must have a certificate; nothing if it needs none.
    pub client_authorities: Option<PathBuf>,
}

/// Why the listener does not start with its settings.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Everybody could read it.
    #[error(
        "`{0}` is not a loopback address: others could read what is shown there\nhint: give it a certificate \
         (`--listen-certificate`, `--listen-key`) and ask for a token (`--listen-token`) or client certificates \
         (`--listen-client-ca`), or listen on 127.0.0.1"
    )]
    Exposed(SocketAddr),
    /// A file cannot be read.
    #[error("cannot read `{path}`: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file is not what it should be.
    #[error("`{path}` {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with a hint.
        why: String,
    },
    /// The address cannot be had.
    #[error("cannot listen on `{address}`: {error}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
}

impl ListenError {
    pub(super) fn file(path: &Path, why: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), why: why.into() }
    }

    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Read { path, error }
    }
}

/// Settings that were found safe, with what their files hold, and the address taken.
pub struct Ready {
    pub(super) listener: TcpListener,
    pub(super) keeper: Keeper,
    pub(super) guard: Guard,
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.listener.fmt(f)
    }
}

impl Settings {
    /// Where others find it: under its first name, else its address; nothing where only this host does.
    pub fn seen_from_elsewhere(&self) -> Option<String> {
        let Self { address, tls, names, .. } = self;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let ip = address.ip();
        if ip.is_loopback() {
            return None;
        }
        let place = match names.first() {
            Some(name) => format!("{name}:{}", address.port()),
            None if ip.is_unspecified() => return None,
            None => address.to_string(),
        };
        Some(format!("{scheme}://{place}"))
    }

    /// Refuses what is not safe, reads the files and takes the address. Nobody is answered yet.
    ///
    /// # Errors
    /// Why it is not safe, which file is not what it should be, or why the address cannot be had.
    pub fn ready(&self) -> Result<Ready, ListenError> {
        let Self { address, tls, token, names } = self;
        let asks = token.is_some() || tls.as_ref().is_some_and(|files| files.client_authorities.is_some());
        if !address.ip().is_loopback() && (tls.is_none() || !asks) {
            return Err(ListenError::Exposed(*address));
        }
        let keeper = Keeper::new(Files { tls: tls.clone(), token: token.clone() })?;
        let names = names.iter().map(|name| name.to_lowercase()).collect();
        let guard = Guard { credentials: keeper.credentials(), names };
        let listener = listen(*address).map_err(|error| ListenError::Bind { address: *address, error })?;
        Ok(Ready { listener, keeper, guard })
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.cloexec().nonblocking(), None)?;
    if address.is_ipv6() {
        // Else `[::]` would be another address than the one that was judged.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
