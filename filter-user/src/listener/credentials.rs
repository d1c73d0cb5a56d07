//! What the listener's files hold: certificate, key, authorities, token. They are read again when they are others.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::ServerConfig;
use tokio::sync::watch;

use super::{
    guard::Token,
    settings::{ListenError, TlsFiles},
    tls,
};
use crate::file_identity::FileIdentity;

/// The shortest token: 128 bits in hexadecimal have 32, and no shorter one is worth guessing at.
const SHORTEST_TOKEN: usize = 16;
/// The largest token file.
const LARGEST_TOKEN: u64 = 4096;

/// What the files hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Credentials {
    /// Nothing for HTTP without TLS.
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// Nothing where no token is asked for.
    pub(super) token: Option<Token>,
}

/// The files.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) tls: Option<TlsFiles>,
    pub(super) token: Option<PathBuf>,
}

/// What looking at the files again came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Renewal {
    /// They are those that were read.
    Unchanged,
    /// They are others, and may still be written.
    Unsettled,
    /// They are others; what they hold is used from now on.
    Renewed,
}

/// Keeps what the files hold up to date.
#[derive(Debug)]
pub(super) struct Keeper {
    files: Files,
    current: watch::Sender<Credentials>,
    /// Which files were read.
    read: Vec<FileIdentity>,
    /// Which were there when it was last looked.
    seen: Vec<FileIdentity>,
}

impl Keeper {
    /// Reads the files.
    pub(super) fn new(files: Files) -> Result<Self, ListenError> {
        let identities = files.identities();
        let current = watch::Sender::new(files.read()?);
        Ok(Self { files, current, read: identities.clone(), seen: identities })
    }

    /// Where the newest of what they hold is.
    pub(super) fn credentials(&self) -> watch::Receiver<Credentials> {
        self.current.subscribe()
    }

    /// Reads the files again where they are others and stay so, or somebody insists. All of them are taken or none is.
    pub(super) fn renew(&mut self, insists: bool) -> Result<Renewal, ListenError> {
        let now = self.files.identities();
        let is_settled = self.seen == now;
        self.seen.clone_from(&now);
        if self.read == now {
            return Ok(Renewal::Unchanged);
        }
        if !is_settled && !insists {
            return Ok(Renewal::Unsettled);
        }
        self.current.send_replace(self.files.read()?);
        self.read = now;
        Ok(Renewal::Renewed)
    }
}

impl Files {
    fn read(&self) -> Result<Credentials, ListenError> {
        Ok(Credentials {
            tls: self.tls.as_ref().map(tls::configure).transpose()?,
            token: self.token.as_deref().map(read_token).transpose()?,
        })
    }

    fn identities(&self) -> Vec<FileIdentity> {
        let of_tls = |files: &TlsFiles| {
            let TlsFiles { certificate, key, client_authorities } = files;
            [Some(certificate.clone()), Some(key.clone()), client_authorities.clone()]
        };
        let of_tls = self.tls.as_ref().map(of_tls).into_iter().flatten().flatten();
        of_tls.chain(self.token.clone()).map(|path| FileIdentity::of(&path)).collect()
    }
}

fn read_token(path: &Path) -> Result<Token, ListenError> {
    let metadata = fs::metadata(path).map_err(ListenError::read(path))?;
    if metadata.mode() & 0o007 != 0 {
        let why = format!("is open to every user, and holds a secret\nhint: `chmod 600 {}`", path.display());
        return Err(ListenError::file(path, why));
    }
    if metadata.len() > LARGEST_TOKEN {
        return Err(ListenError::file(path, "is too large for a token"));
    }
    let text = fs::read_to_string(path).map_err(ListenError::read(path))?;
    let token = text.trim();
    if token.len() < SHORTEST_TOKEN || !token.chars().all(|character| character.is_ascii_graphic()) {
        let why = format!(
            "holds no token: one line of at least {SHORTEST_TOKEN} printable characters\nhint: `openssl rand -hex 32` \
             makes one"
        );
        return Err(ListenError::file(path, why));
    }
    Ok(Token::new(token))
}
