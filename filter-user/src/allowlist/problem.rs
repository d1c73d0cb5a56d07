//! What can be wrong with a document, what is odd in it, and why some rows are not enforced.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::codes::codes;

codes! {
    /// What a document is refused for.
    Fault {
        BadAddress = "bad-address", "A text that is neither an address nor a CIDR nor a range of addresses, or one with words that change what it says.";
        BadRange = "bad-range", "A range of addresses that is reversed, or that mixes IPv4 and IPv6.";
        OutsideParentheses = "outside-parentheses", "An address in parentheses that lies outside the one before it.";
        WhoseAddress = "whose-address", "Two addresses in a row, and nothing says which is the provider's.";
        WhosePorts = "whose-ports", "Ports of which nothing says to which of several addresses they belong.";
        OutOfPlace = "out-of-place", "A cell that holds addresses or ports where no header speaks of them.";
        TooWide = "too-wide", "A prefix wider than /8, or /16 in IPv6: no provider owns that much.";
        BadPorts = "bad-ports", "A text that is neither a port nor a range of ports.";
        AmbiguousComma = "ambiguous-comma", "A comma that can part thousands or ports.";
        NoPort = "no-port", "Protocols in the place of ports.";
        BadProtocol = "bad-protocol", "A word that is no protocol.";
        TooManyPrefixes = "too-many-prefixes", "More prefixes in one cell, list or document than any provider has.";
        TooManyPorts = "too-many-ports", "More ports in one cell than any provider has.";
        TooManyColumns = "too-many-columns", "A table with more columns than any provider's.";
        TooMuchRepeated = "too-much-repeated", "A table in which few cells stand for very many others.";
        Syntax = "syntax", "A file that is not JSON or HCL.";
        NoAddresses = "no-addresses", "A document without addresses.";
        NothingEnforceable = "nothing-enforceable", "A document none of whose rows can be enforced by address.";
        NothingSelected = "nothing-selected", "A document none of whose rows is selected.";
        UnknownColumn = "unknown-column", "A key of `--select` that no table has as a column.";
    }
}

codes! {
    /// What a document is used in spite of.
    Oddity {
        HostBits = "host-bits", "A CIDR with bits set beyond its prefix length: read without them.";
        SpecialPrefix = "special-prefix", "A prefix that is private, reserved or for documentation.";
        WidePrefix = "wide-prefix", "A prefix wider than /12, or /24 in IPv6.";
        TakenFromAbove = "taken-from-above", "A row under a new label that states no address or port, and has those of the row above.";
        Included = "included", "Another file is included and was not read.";
        UnknownDirection = "unknown-direction", "A direction in Genesys Cloud's ranges that is not known: taken as `both`.";
        NoDirection = "no-direction", "No direction in Genesys Cloud's ranges: taken as `both`.";
        OtherPorts = "other-ports", "Two documents state other ports of one service at one prefix: both are kept.";
        MaybeMistyped = "maybe-mistyped", "A prefix in one document that differs by a character from one in another.";
    }
}

codes! {
    /// Why a row is not enforced.
    Why {
        Wildcard = "wildcard", "a wildcard name stands for no list of addresses";
        HostName = "host-name", "a host name, not an address";
        Dynamic = "dynamic", "the address is dynamic";
        EveryAddress = "every-address", "every address is no list of addresses";
        NoAddress = "no-address", "the row names no address";
        Clients = "clients", "for laptops, browsers and the like, not for a session border controller";
        Example = "example", "stands under a heading for examples";
        Inbound = "inbound", "Genesys Cloud listens there and sends nothing from it";
    }
}

/// Files keep the code of a finding.
macro_rules! kept_as_code {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.code())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let code = String::deserialize(deserializer)?;
                let known = Self::ALL.iter().find(|known| known.code() == code);
                known.copied().ok_or_else(|| D::Error::custom(format!("`{code}` is no known code")))
            }
        }
    };
}

kept_as_code!(Fault);
kept_as_code!(Oddity);

/// Files keep the reason in words.
impl Serialize for Why {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.description())
    }
}

impl<'de> Deserialize<'de> for Why {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let why = String::deserialize(deserializer)?;
        let known = Self::ALL.iter().find(|known| known.description() == why);
        known.copied().ok_or_else(|| D::Error::custom(format!("`{why}` is no known reason")))
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description())
    }
}

/// Something in a document, before its line is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Problem<C> {
    pub(crate) code: C,
    /// One sentence.
    pub(crate) message: String,
}

/// What could not be read.
pub(crate) type Misread = Problem<Fault>;

/// What was read with a remark.
pub(crate) type Remark = Problem<Oddity>;

impl Fault {
    /// The fault, said of something.
    pub(crate) fn of(self, message: impl Into<String>) -> Misread {
        Problem { code: self, message: message.into() }
    }
}

impl Oddity {
    /// The oddity, said of something.
    pub(crate) fn of(self, message: impl Into<String>) -> Remark {
        Problem { code: self, message: message.into() }
    }
}
