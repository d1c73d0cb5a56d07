//! Keys: who may say what the fleet runs. Ed25519 in PEM, as `openssl genpkey -algorithm ed25519` writes it too.

use std::{
    fmt, fs, io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use ed25519_dalek::{
    Signature, Signer as _, SigningKey, VerifyingKey,
    pkcs8::{
        DecodePrivateKey as _, DecodePublicKey as _, EncodePublicKey as _, KeypairBytes, spki::der::pem::LineEnding,
    },
};
use sha2::{Digest as _, Sha256};

use crate::text_file;

/// The largest key file.
const LARGEST_KEY: u64 = 16 * 1024;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file system refused.
    #[error("cannot {action} `{path}`: {error}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is not what it should be.
    #[error("`{path}` {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with a hint.
        why: String,
    },
}

/// What tells one key from another: the beginning of the SHA-256 of its public half.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId(String);

impl KeyId {
    fn of(key: &VerifyingKey) -> Self {
        let digest = Sha256::digest(key.as_bytes());
        let first = digest.iter().take(8).fold(0_u64, |number, octet| number << 8 | u64::from(*octet));
        Self(format!("{first:016x}"))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key that signs. Its secret is never shown.
pub struct Signer(SigningKey);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.id())
    }
}

impl Signer {
    /// Makes a key, and writes its secret half to `path` and its public half to `path.pub`. Nothing is written over.
    ///
    /// # Errors
    /// If a file is there already or cannot be written.
    pub fn generate(path: &Path) -> Result<(Self, PathBuf), KeyError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| io_error("make", path)(io::Error::other(error.to_string())))?;
        let signer = Self(SigningKey::from_bytes(&seed));
        // Without the public half, which older readers do not know there.
        let secret = KeypairBytes { secret_key: seed, public_key: None };
        let secret = ed25519_dalek::pkcs8::EncodePrivateKey::to_pkcs8_pem(&secret, LineEnding::LF);
        let secret = secret.map_err(|error| KeyError::File { path: path.to_owned(), why: error.to_string() })?;
        let public = public_path(path);
        write_new(path, secret.as_bytes(), 0o600)?;
        write_new(&public, signer.public_pem().as_bytes(), 0o644)?;
        Ok((signer, public))
    }

    /// Reads a key; a file that others may read is refused.
    ///
    /// # Errors
    /// If the file cannot be read, is open to others or holds no such key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let refuse = |why: String| KeyError::File { path: path.to_owned(), why };
        let mode = fs::metadata(path).map_err(io_error("read", path))?.mode();
        if mode & 0o077 != 0 {
            return Err(refuse(format!("is open to others, and holds a secret\nhint: `chmod 600 {}`", path.display())));
        }
        let text = read(path)?;
        let key = SigningKey::from_pkcs8_pem(&text);
        key.map(Self).map_err(|_| refuse("holds no Ed25519 key\nhint: `sipwall fleet keygen` makes one".to_owned()))
    }

    /// What tells it from others.
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.0.verifying_key())
    }

    /// Its public half.
    pub fn public(&self) -> Verifier {
        Verifier(self.0.verifying_key())
    }

    fn public_pem(&self) -> String {
        // Every key has this form.
        self.0.verifying_key().to_public_key_pem(LineEnding::LF).unwrap_or_default()
    }

    pub(super) fn sign(&self, octets: &[u8]) -> [u8; 64] {
        self.0.sign(octets).to_bytes()
    }
}

/// A key that verifies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verifier(VerifyingKey);

impl Verifier {
    /// Reads the public half of a key.
    ///
    /// # Errors
    /// If the file cannot be read or holds no such key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_public_key_pem(&read(path)?);
        key.map(Self).map_err(|_| KeyError::File {
            path: path.to_owned(),
            why: "holds no public Ed25519 key\nhint: `sipwall fleet keygen KEY` wrote it to `KEY.pub`".to_owned(),
        })
    }

    /// What tells it from others.
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.0)
    }

    fn verifies(&self, octets: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.0.verify_strict(octets, &signature).is_ok())
    }
}

/// The keys that are trusted: several while one takes the place of another.
#[derive(Clone, Debug, Default)]
pub struct Trust(Vec<Verifier>);

impl Trust {
    /// Trusts these keys.
    pub fn new(keys: Vec<Verifier>) -> Self {
        Self(keys)
    }

    /// The key among them that signed these octets.
    pub(super) fn signer_of(&self, octets: &[u8], signature: &[u8]) -> Option<KeyId> {
        self.0.iter().find(|key| key.verifies(octets, signature)).map(Verifier::id)
    }
}

/// Where the public half of the key at `path` stands.
fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

fn write_new(path: &Path, octets: &[u8], mode: u32) -> Result<(), KeyError> {
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(io_error("make", path))?;
    io::Write::write_all(&mut file, octets).map_err(io_error("write", path))?;
    file.sync_all().map_err(io_error("write", path))
}

fn read(path: &Path) -> Result<String, KeyError> {
    text_file::read(path, LARGEST_KEY)
        .map_err(|error| KeyError::File { path: path.to_owned(), why: format!("cannot be read: {error}") })
}

fn io_error(action: &'static str, path: &Path) -> impl Fn(io::Error) -> KeyError {
    let path = path.to_owned();
    move |error| KeyError::Io { action, path: path.clone(), error }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// What `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` wrote.
    const OPENSSL: [&str; 2] = [
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIMwDYSq/Z5m7KI78l5PKOIAOysGE1Da/73DBMWmKrqaY\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA5go5qiEluKT+tmXqBUIaXs9fMnYnPeUO+IJHe1/pv0k=\n-----END PUBLIC KEY-----\n",
    ];

    #[test]
    fn keys_of_openssl_are_read_and_belong_together() {
        let directory = tempfile::tempdir().unwrap();
        let [secret, public] = ["key", "key.pub"].map(|name| directory.path().join(name));
        fs::write(&secret, OPENSSL[0]).unwrap();
        fs::write(&public, OPENSSL[1]).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let signer = Signer::read(&secret).unwrap();
        assert_eq!(signer.public(), Verifier::read(&public).unwrap());
        assert_eq!(signer.public_pem(), OPENSSL[1]);
    }

    #[test]
    fn what_is_made_is_read_again_and_nothing_is_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fleet.key");
        let (signer, public) = Signer::generate(&path).unwrap();
        assert_eq!(Signer::read(&path).unwrap().id(), signer.id());
        assert_eq!(Verifier::read(&public).unwrap().id(), signer.id());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(Signer::generate(&path).is_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Signer::read(&path).unwrap_err().to_string().contains("is open to others"));
        assert!(!format!("{signer:?}").contains("secret"));
    }
}
