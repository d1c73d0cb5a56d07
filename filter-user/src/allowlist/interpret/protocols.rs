//! Reads the words that documents use for protocols: `TCP/UDP`, `TCP (TURN TLS)`, `SIP over TLS`, `WSS`.

use super::super::{
    problem::{Fault, Misread},
    words::{tidy, words},
};

/// How packets of a row travel, as finely as SIP tells apart.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Wire {
    Udp,
    Tcp,
    /// TLS over TCP.
    Tls,
    /// WebSocket over TLS over TCP.
    Wss,
}

/// A kind of traffic or of machine that words tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Turn,
    Media,
    Sip,
    /// A box that speaks several protocols: a session border controller, a gateway.
    Device,
    Https,
}

/// What the words of a text say about the kind of traffic; several can hold.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    /// Whether nothing is said.
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `kind` is said.
    pub(crate) fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// Whether either says what the other does.
    pub(crate) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Adds `kind`.
    pub(crate) fn insert(&mut self, kind: Kind) {
        self.0 |= 1 << kind as u8;
    }

    /// What either says.
    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn of_protocol_word(word: &str) -> Self {
        let mut kinds = Self::default();
        match word {
            "turn" | "stun" | "turns" | "stuns" | "ice" => kinds.insert(Kind::Turn),
            "rtp" | "srtp" | "rtcp" | "srtcp" | "media" => kinds.insert(Kind::Media),
            "sip" | "sips" => kinds.insert(Kind::Sip),
            "http" | "https" => kinds.insert(Kind::Https),
            _ => {}
        }
        kinds
    }
}

/// The protocols that a text names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Protocols {
    /// In ascending order, none twice.
    pub(crate) wires: Vec<Wire>,
    pub(crate) kinds: Kinds,
    /// The text says `any`, `all` or `IP`.
    pub(crate) any: bool,
}

impl Protocols {
    /// Reads the text of a protocol cell; an empty text names none.
    ///
    /// # Errors
    /// Says which word is no protocol.
    pub(crate) fn read(text: &str) -> Result<Self, Misread> {
        let mut protocols = Self::default();
        for item in split_items(&tidy(text)) {
            protocols.add_item(item)?;
        }
        Ok(protocols)
    }

    /// Adds one item of a list: `TCP`, `TCP (TURN TLS)`, `SIP over TLS`, `SIP (UDP/TCP)`.
    fn add_item(&mut self, item: &str) -> Result<(), Misread> {
        let (main, parenthesised) = item.split_once('(').unwrap_or((item, ""));
        let mut main = Named::of(main)?;
        let parenthesised = Named::of(parenthesised)?;
        if main.wires.is_empty() {
            main.wires.clone_from(&parenthesised.wires);
        } else if parenthesised.wires.iter().any(|wire| *wire >= Wire::Tls) {
            main.wires.extend(&parenthesised.wires);
        }
        if item.contains('(') || !main.separated {
            main.keep_finest_of_tcp();
        }
        self.wires.extend(main.wires);
        self.wires.sort_unstable();
        self.wires.dedup();
        self.kinds = self.kinds.or(main.kinds).or(parenthesised.kinds);
        self.any |= main.any;
        Ok(())
    }

    /// Adds what another text names.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.wires.extend(&other.wires);
        self.wires.sort_unstable();
        self.wires.dedup();
        self.kinds = self.kinds.or(other.kinds);
        self.any |= other.any;
    }

    /// Whether no protocol is named.
    pub(crate) fn is_empty(&self) -> bool {
        self.wires.is_empty() && self.kinds.is_empty() && !self.any
    }
}

/// Splits at `,` `;` `+` `&` and line breaks that stand outside parentheses.
fn split_items(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    let items = text.split(move |character: char| {
        depth += match character {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        depth <= 0 && matches!(character, ',' | ';' | '+' | '&' | '\n')
    });
    items.filter(|item| !item.trim().is_empty())
}

/// The protocols that words name, before they are combined.
#[derive(Default)]
struct Named {
    wires: Vec<Wire>,
    kinds: Kinds,
    any: bool,
    /// `/` or `and` stood between the words: a list of alternatives, no qualification.
    separated: bool,
}

impl Named {
    fn of(text: &str) -> Result<Self, Misread> {
        let mut named = Self { separated: text.contains('/'), ..Self::default() };
        for word in words(text) {
            named.add(&word)?;
        }
        Ok(named)
    }

    fn add(&mut self, word: &str) -> Result<(), Misread> {
        let kinds = Kinds::of_protocol_word(word);
        match word {
            "and" | "or" => self.separated = true,
            "any" | "all" | "ip" | "ipv4" | "ipv6" => self.any = true,
            "both" => self.wires.extend([Wire::Udp, Wire::Tcp]),
            _ if is_filler(word) => {}
            _ => {
                let wire = wire_of(word);
                if wire.is_none() && kinds.is_empty() {
                    let message = format!("cannot read `{word}`: expected a protocol (`UDP`, `TCP`, `TLS`, `WSS`…)");
                    return Err(Fault::BadProtocol.of(message));
                }
                self.wires.extend(wire);
            }
        }
        self.kinds = self.kinds.or(kinds);
        Ok(())
    }

    /// `TLS over TCP` and `TCP (TLS)` are TLS, not TLS beside plain TCP.
    fn keep_finest_of_tcp(&mut self) {
        if self.wires.iter().any(|wire| *wire >= Wire::Tls) {
            self.wires.retain(|wire| *wire != Wire::Tcp);
        }
        if self.wires.contains(&Wire::Wss) {
            self.wires.retain(|wire| *wire != Wire::Tls);
        }
    }
}

fn is_filler(word: &str) -> bool {
    let fillers = [
        "over",
        "protocol",
        "secure",
        "version",
        "outbound",
        "inbound",
        "only",
        "1",
        "2",
        "3",
        "v1",
        "via",
        "with",
        "transport",
        "the",
        "unencrypted",
        "encrypted",
        "optional",
        "preferred",
        "recommended",
        "fallback",
    ];
    fillers.contains(&word)
}

/// The wire that a word names; RTP runs over UDP, HTTPS over TCP.
fn wire_of(word: &str) -> Option<Wire> {
    match word {
        "udp" | "dtls" | "rtp" | "srtp" | "rtcp" | "srtcp" => Some(Wire::Udp),
        "tcp" | "http" | "https" => Some(Wire::Tcp),
        "tls" | "ssl" | "sips" | "mtls" | "turns" => Some(Wire::Tls),
        "wss" | "ws" | "websocket" | "websockets" => Some(Wire::Wss),
        _ => None,
    }
}

/// The transports that a title names: TLS of «SIP over TLS».
pub(crate) fn transports_of(text: &str) -> Vec<Wire> {
    let words = words(text);
    let named = words.iter().filter(|word| ["udp", "tcp", "tls", "mtls", "wss"].contains(&word.as_str()));
    named.filter_map(|word| wire_of(word)).collect()
}

/// Whether `word` names a protocol.
pub(crate) fn is_protocol_word(word: &str) -> bool {
    let folded = word.to_lowercase();
    wire_of(&folded).is_some() || folded == "both" || !Kinds::of_protocol_word(&folded).is_empty()
}

#[cfg(test)]
mod tests {
    use super::{
        Wire::{Tcp, Tls, Udp, Wss},
        *,
    };

    fn check(text: &str, wires: &[Wire]) {
        assert_eq!(Protocols::read(text).unwrap().wires, wires, "{text:?}");
    }

    #[test]
    fn lists_name_each_protocol_once() {
        check("TCP/UDP", &[Udp, Tcp]);
        check("TCP, UDP", &[Udp, Tcp]);
        check("UDP and TCP", &[Udp, Tcp]);
        check("Both", &[Udp, Tcp]);
        check("UDP, TCP, TLS", &[Udp, Tcp, Tls]);
        check("", &[]);
        check("ANY", &[]);
    }

    #[test]
    fn tls_qualifies_tcp_unless_it_is_listed_beside_it() {
        check("TCP (TLS)", &[Tls]);
        check("TLS over TCP", &[Tls]);
        check("TCP/TLS", &[Tcp, Tls]);
        check("SIP (UDP/TCP)", &[Udp, Tcp]);
        check("SIP over TLS", &[Tls]);
        check("WSS (WebSocket Secure)", &[Wss]);
        check("UDP (RTP)", &[Udp]);
    }

    #[test]
    fn turn_in_parentheses_holds_for_the_whole_cell() {
        for text in ["TCP, UDP (TURN)", "TCP (TURN TLS)", "TURN-TLS"] {
            assert!(Protocols::read(text).unwrap().kinds.has(Kind::Turn), "{text}");
        }
    }

    #[test]
    fn what_is_no_protocol_is_refused() {
        assert!(Protocols::read("5060").unwrap_err().message.contains("cannot read `5060`"));
        assert!(Protocols::read("Skinny").unwrap_err().message.contains("cannot read `skinny`"));
    }
}
