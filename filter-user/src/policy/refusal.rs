//! Why a policy is refused.

use std::{fmt, path::Path};

use crate::codes::codes;

codes! {
    /// The kind of a [`Refusal`].
    Code {
        Unreadable = "unreadable", "A file cannot be read.";
        Syntax = "syntax", "The file is not TOML.";
        UnknownKey = "unknown-key", "A key that the policy file does not have.";
        WrongType = "wrong-type", "A value of another type than the key takes.";
        MissingKey = "missing-key", "A key without which its table means nothing.";
        EmptyList = "empty-list", "A list without an item where one is needed.";
        UnknownValue = "unknown-value", "A word that the key does not take.";
        BadName = "bad-name", "A name that is not made of `a-z`, `0-9` and `-`.";
        DuplicateName = "duplicate-name", "Two rules with one name.";
        BadPrefix = "bad-prefix", "Neither an address nor a CIDR.";
        HostBits = "host-bits", "A CIDR with bits set beyond its prefix length.";
        BadPorts = "bad-ports", "Neither a port nor a range of ports from 1 to 65535, lower end first.";
        BadRate = "bad-rate", "Neither a rate with its burst nor `\"off\"`.";
        BadProtocol = "bad-protocol", "A number that is no IP protocol.";
        BadInterface = "bad-interface", "A text that cannot name a network interface.";
        BadProxy = "bad-proxy", "Neither an address nor an address with a port.";
        UnknownAllowlist = "unknown-allowlist", "An allowlist that is neither built in nor a readable file.";
        BadSource = "bad-source", "A source that is neither a path nor a URL that can be trusted.";
        BadDuration = "bad-duration", "Neither hours nor days nor another length of time.";
        BadShare = "bad-share", "Not a share from 0 to 100 percent.";
        NotFetched = "not-fetched", "A source whose document was never fetched.";
        UnknownRegion = "unknown-region", "A region that the allowlist does not know.";
        MissingServices = "missing-services", "An allowlist that does not say what runs at its addresses, and no `services` that does.";
        MissingListen = "missing-listen", "A provider's service that needs a port of yours, and none is set.";
        TooManyTerms = "too-many-terms", "More terms than a policy can have.";
        TooManySourceSets = "too-many-source-sets", "More distinct combinations of rules over the sources than a policy can have.";
        TooManyPortSets = "too-many-port-sets", "More distinct combinations of rules over the ports than a policy can have.";
        TooManyPrefixes = "too-many-prefixes", "More source prefixes than a policy can have in one family.";
        TooManyAddresses = "too-many-addresses", "More own addresses than a policy can have.";
        TooManyDenied = "too-many-denied", "More denied prefixes than a policy can have in one family.";
    }
}

/// One thing that a policy is refused for.
///
/// Text form: `FILE:LINE: MESSAGE [CODE]`, and on a line of its own `hint: …`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Its kind.
    pub code: Code,
    /// The file, as it was named.
    pub file: String,
    /// The line in that file, from 1; 0 for the file as a whole.
    pub line: u32,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, file, line, message, hint } = self;
        match line {
            0 => write!(f, "{file}: {message} [{}]", code.code())?,
            line => write!(f, "{file}:{line}: {message} [{}]", code.code())?,
        }
        match hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Everything that a policy is refused for, in the order of files and lines; never empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusals(Vec<Refusal>);

impl Refusals {
    /// How many are shown at once; a file that is wrong throughout would hide its first error.
    const SHOWN: usize = 50;

    /// `Ok` with the value if there is nothing to refuse it for.
    ///
    /// # Errors
    /// What there is.
    pub(super) fn unless_empty<T>(mut refusals: Vec<Refusal>, value: T) -> Result<T, Self> {
        if refusals.is_empty() {
            return Ok(value);
        }
        refusals.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        Err(Self(refusals))
    }

    /// The same with the names that files have below a directory, where they lie there.
    #[must_use]
    pub fn below(mut self, directory: &Path) -> Self {
        for refusal in &mut self.0 {
            if let Ok(rest) = Path::new(&refusal.file).strip_prefix(directory) {
                refusal.file = rest.display().to_string();
            }
        }
        self
    }

    /// What the policy is refused for.
    pub fn iter(&self) -> impl Iterator<Item = &Refusal> {
        self.0.iter()
    }
}

impl From<Refusal> for Refusals {
    fn from(refusal: Refusal) -> Self {
        Self(vec![refusal])
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, refusal) in self.0.iter().take(Self::SHOWN).enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{refusal}")?;
        }
        match self.0.len().checked_sub(Self::SHOWN) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for Refusals {}
