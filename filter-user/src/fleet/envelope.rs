//! Signed envelopes: DSSE version 1, the envelope of in-toto and Sigstore.
//!
//! What is signed is the payload's octets with their type before them, so nothing need be brought into a canonical form, and
//! what was signed as one kind of document is not taken for another.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::keys::{KeyId, Signer, Trust};

/// The largest envelope, in octets. A larger one is refused before anything reads it.
pub const LARGEST_ENVELOPE: usize = 1_000_000;

/// Why an envelope is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// Nobody reads that much.
    #[error("it has {0} octets, and {LARGEST_ENVELOPE} are read at the most")]
    TooLarge(usize),
    /// It is no envelope.
    #[error("it is not signed: {0}")]
    NotAnEnvelope(String),
    /// No key that is trusted signed it.
    #[error("no key that is trusted here signed it{}", of_keys(.0))]
    Untrusted(Vec<String>),
    /// It is signed, and yet not what this version reads.
    #[error("its document cannot be read: {0}")]
    Document(String),
}

fn of_keys(keys: &[String]) -> String {
    if keys.is_empty() { String::new() } else { format!(": it says that {} did", keys.join(", ")) }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Envelope {
    payload_type: String,
    payload: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    /// A hint alone: it is not signed.
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// A payload that a trusted key signed.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub(super) payload_type: String,
    pub(super) payload: Vec<u8>,
    pub(super) signer: KeyId,
}

/// What is signed: "pre-authentication encoding" in the protocol's words.
fn signed_octets(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// Signs a payload.
pub(super) fn seal(payload_type: &str, payload: &[u8], signer: &Signer) -> Result<Vec<u8>, Refused> {
    let signature = signer.sign(&signed_octets(payload_type, payload));
    let envelope = Envelope {
        payload_type: payload_type.to_owned(),
        payload: STANDARD.encode(payload),
        signatures: vec![Signature { keyid: signer.id().to_string(), sig: STANDARD.encode(signature) }],
    };
    let octets = serde_json::to_vec(&envelope).map_err(|error| Refused::Document(error.to_string()))?;
    if octets.len() > LARGEST_ENVELOPE { Err(Refused::TooLarge(octets.len())) } else { Ok(octets) }
}

/// The payload of an envelope that a trusted key signed.
pub(super) fn open(octets: &[u8], trust: &Trust) -> Result<Opened, Refused> {
    if octets.len() > LARGEST_ENVELOPE {
        return Err(Refused::TooLarge(octets.len()));
    }
    let no_envelope = |error: &dyn std::fmt::Display| Refused::NotAnEnvelope(error.to_string());
    let Envelope { payload_type, payload, signatures } =
        serde_json::from_slice(octets).map_err(|error| no_envelope(&error))?;
    let payload = STANDARD.decode(payload).map_err(|error| no_envelope(&error))?;
    let signed = signed_octets(&payload_type, &payload);
    let signer = signatures.iter().find_map(|signature| {
        let octets = STANDARD.decode(&signature.sig).ok()?;
        trust.signer_of(&signed, &octets)
    });
    match signer {
        Some(signer) => Ok(Opened { payload_type, payload, signer }),
        None => {
            Err(Refused::Untrusted(signatures.into_iter().take(4).map(|signature| shown(&signature.keyid)).collect()))
        }
    }
}

/// A text of somebody who is not trusted, so that it cannot do harm where it is shown.
fn shown(keyid: &str) -> String {
    format!("`{}`", keyid.chars().take(16).collect::<String>().escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer::generate(&tempfile::tempdir().unwrap().path().join("key")).unwrap().0
    }

    #[test]
    fn what_is_signed_is_what_the_protocol_says() {
        // The example of the protocol's own description.
        let signed = signed_octets("http://example.com/HelloWorld", b"hello world");
        assert_eq!(signed, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn only_what_a_trusted_key_signed_is_opened() {
        let (one, other) = (signer(), signer());
        let sealed = seal("a/b", b"text", &one).unwrap();
        let opened = open(&sealed, &Trust::new(vec![other.public(), one.public()])).unwrap();
        assert_eq!((opened.payload.as_slice(), opened.payload_type.as_str()), (&b"text"[..], "a/b"));
        assert_eq!(opened.signer, one.id());
        let refused = open(&sealed, &Trust::new(vec![other.public()])).unwrap_err();
        assert_eq!(refused, Refused::Untrusted(vec![format!("`{}`", one.id())]));
    }

    #[test]
    fn no_octet_and_no_type_can_be_changed() {
        let one = signer();
        let trust = Trust::new(vec![one.public()]);
        let sealed = String::from_utf8(seal("a/b", b"text", &one).unwrap()).unwrap();
        for (old, new) in [("a/b", "a/c"), (&*STANDARD.encode("text"), &*STANDARD.encode("tent"))] {
            let changed = sealed.replacen(old, new, 1);
            assert!(matches!(open(changed.as_bytes(), &trust), Err(Refused::Untrusted(_))), "{changed}");
        }
        assert!(matches!(open(b"{}", &trust), Err(Refused::NotAnEnvelope(_))));
        assert!(matches!(open(&vec![b' '; LARGEST_ENVELOPE + 1], &trust), Err(Refused::TooLarge(1_000_001))));
    }
}
