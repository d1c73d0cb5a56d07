//! Reads the text of a port cell or line: `443/5349`, `10,000 - 60,000`, `5060 (UDP/TCP), 5061 (TLS)`, `UDP/5000:65000`.

use std::fmt;

use super::{
    super::{
        limits::MOST_PORTS_OF_A_CELL,
        problem::{Fault, Misread},
        words::{WordSet, tidy},
    },
    protocols::{Protocols, is_protocol_word},
};
use crate::ports::PortRange;

/// What a text says about ports.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Ports {
    /// Each group of ports with the protocols that the text gives it, perhaps none.
    pub(crate) groups: Vec<PortGroup>,
}

/// Ports that share their protocols.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct PortGroup {
    pub(crate) ranges: Vec<PortRange>,
    pub(crate) protocols: Protocols,
}

impl Ports {
    /// Reads the text of a cell, or what follows `Ports:` on a line; an empty text says nothing.
    ///
    /// # Errors
    /// Says in words what could not be read.
    pub(crate) fn read(text: &str) -> Result<Self, Misread> {
        let mut ports = Self::default();
        let mut waiting = PortGroup::default();
        let mut stated = 0;
        for chunk in chunks(&tokens(&tidy(text))?) {
            ports.add_chunk(PortGroup::of(chunk)?, &mut waiting);
            stated += 1;
            if stated > MOST_PORTS_OF_A_CELL {
                return Err(too_many());
            }
        }
        ports.finish(waiting)
    }

    /// Joins a chunk that has ports or protocols alone with its neighbours: `UDP 3478, 3479`, `5060, 5061 UDP`.
    fn add_chunk(&mut self, chunk: PortGroup, waiting: &mut PortGroup) {
        let (has_ports, has_protocols) = (!chunk.ranges.is_empty(), !chunk.protocols.is_empty());
        let waits = !waiting.ranges.is_empty() || !waiting.protocols.is_empty();
        match self.groups.last_mut() {
            Some(last) if !waits && has_ports && !has_protocols => last.ranges.extend(chunk.ranges),
            Some(last) if !waits && !has_ports => last.protocols.extend(&chunk.protocols),
            _ => {
                waiting.ranges.extend(chunk.ranges);
                waiting.protocols.extend(&chunk.protocols);
                if !waiting.ranges.is_empty() && !waiting.protocols.is_empty() {
                    self.groups.push(std::mem::take(waiting));
                }
            }
        }
    }

    fn finish(mut self, waiting: PortGroup) -> Result<Self, Misread> {
        if !waiting.ranges.is_empty() {
            self.groups.push(waiting);
        } else if !waiting.protocols.is_empty() {
            return Err(Fault::NoPort.of("names a protocol but no port"));
        }
        Ok(self)
    }

    /// Whether no port is stated.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Token {
    Number(u64),
    /// Joins two numbers to a range.
    Through,
    /// Between alternatives: `443/5349`, `TCP/443`.
    Slash,
    /// Between items of a list.
    Comma,
    Open,
    Close,
    /// Every port.
    Any,
    Word(String),
}

fn too_many() -> Misread {
    Fault::TooManyPorts.of(format!("more than {MOST_PORTS_OF_A_CELL} ports in one place"))
}

fn misread(text: &impl fmt::Display) -> Misread {
    Fault::BadPorts.of(format!("cannot read `{text}`: expected ports (`5060`, `10000-60000`)"))
}

/// Splits at commas that stand outside parentheses.
fn chunks(tokens: &[Token]) -> Vec<&[Token]> {
    let mut depth = 0_i32;
    let chunks = tokens.split(|token| {
        depth += match token {
            Token::Open => 1,
            Token::Close => -1,
            _ => 0,
        };
        depth <= 0 && *token == Token::Comma
    });
    chunks.filter(|chunk| !chunk.is_empty()).collect()
}

impl PortGroup {
    fn of(tokens: &[Token]) -> Result<Self, Misread> {
        let mut group = Self::default();
        let mut named = String::new();
        let mut rest = tokens;
        while let Some((token, after)) = rest.split_first() {
            rest = after;
            match token {
                Token::Number(_) if group.ranges.len() > MOST_PORTS_OF_A_CELL => {
                    return Err(too_many());
                }
                Token::Number(first) => group.ranges.push(range(*first, &mut rest)?),
                Token::Any => group.ranges.push(PortRange::ALL),
                Token::Word(word) => push_word(&mut named, word),
                Token::Slash => named.push('/'),
                Token::Open => named.push('('),
                Token::Close => named.push(')'),
                Token::Comma => named.push(','),
                Token::Through => return Err(Fault::BadPorts.of("a dash stands without a port before it")),
            }
        }
        group.protocols = Protocols::read(named.trim_matches(['/', ' ', ',']))?;
        Ok(group)
    }
}

fn push_word(text: &mut String, word: &str) {
    text.push(' ');
    text.push_str(word);
}

/// The range that begins with `first`, or that port alone.
fn range(first: u64, rest: &mut &[Token]) -> Result<PortRange, Misread> {
    let mut last = first;
    if let [Token::Through, Token::Number(number), after @ ..] = *rest {
        last = *number;
        *rest = after;
    }
    PortRange::new(first, last).map_err(|error| Fault::BadPorts.of(error.to_string()))
}

fn tokens(text: &str) -> Result<Vec<Token>, Misread> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let length = match character {
            '0'..='9' => version(rest, &tokens).map_or_else(|| number(rest, &mut tokens), Ok)?,
            letter if letter.is_alphabetic() => word(rest, &mut tokens)?,
            '.' if rest.starts_with("..") => {
                tokens.push(Token::Through);
                rest.len() - rest.trim_start_matches('.').len()
            }
            '-' | ':' if matches!(tokens.last(), Some(Token::Word(_))) => 1,
            other => {
                tokens.extend(mark(other)?);
                other.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    Ok(tokens)
}

/// The length of the version that follows a protocol: `1.2` of `TLS 1.2`.
fn version(text: &str, tokens: &[Token]) -> Option<usize> {
    let Some(Token::Word(protocol)) = tokens.last() else {
        return None;
    };
    let (major, rest) = text.split_once('.')?;
    let minor = digits_of(rest);
    let is_version =
        major.len() == 1 && minor == 1 && ["tls", "ssl", "mtls", "dtls"].contains(&&*protocol.to_lowercase());
    let length = major.len() + 1 + minor;
    is_version.then(|| length + usize::from(text[length..].starts_with('+')))
}

fn mark(character: char) -> Result<Option<Token>, Misread> {
    Ok(Some(match character {
        ' ' | '.' | '\t' | '=' => return Ok(None),
        '-' | '~' | ':' => Token::Through,
        '/' | '|' => Token::Slash,
        ',' | ';' | '\n' | '&' => Token::Comma,
        '(' | '[' => Token::Open,
        ')' | ']' => Token::Close,
        '*' => Token::Any,
        other => {
            return Err(misread(&other));
        }
    }))
}

/// A number, which may have thousands separators; yields its length in bytes.
fn number(text: &str, tokens: &mut Vec<Token>) -> Result<usize, Misread> {
    let digits = digits_of(text);
    let length = if thousands(text, digits, range_start(tokens))? { digits + 4 } else { digits };
    let stated = &text[..length];
    if text[length..].starts_with('.') && digits_of(&text[length + 1..]) > 0 || splits_thousands(stated, tokens) {
        return Err(Fault::BadPorts.of(format!("cannot tell which ports `{}` states", text.trim())));
    }
    let value = stated.replace([',', '.'], "").parse();
    tokens.push(Token::Number(value.map_err(|_| Fault::BadPorts.of(format!("`{stated}` is no port")))?));
    Ok(length)
}

/// Whether three digits follow a short number, parted by a space alone: `10 000`.
fn splits_thousands(stated: &str, tokens: &[Token]) -> bool {
    stated.len() == 3 && matches!(tokens.last(), Some(Token::Number(1..=99)))
}

fn digits_of(text: &str) -> usize {
    text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len()
}

/// The first port of the range that the next number ends.
fn range_start(tokens: &[Token]) -> Option<u64> {
    match tokens {
        [.., Token::Number(first), Token::Through] => Some(*first),
        _ => None,
    }
}

/// Whether the comma or point after `digits` digits parts thousands (`10,000`), not two ports (`443,8443`); `range_start` is the
/// first port of the range that this number ends.
fn thousands(text: &str, digits: usize, range_start: Option<u64>) -> Result<bool, Misread> {
    let Some(group) = text[digits..].strip_prefix([',', '.']) else {
        return Ok(false);
    };
    if digits > 2 || digits_of(group) != 3 {
        return Ok(false);
    }
    let joined = text[..digits + 4].replace([',', '.'], "").parse::<u32>().unwrap_or(u32::MAX);
    let in_range = |rest: &str| rest.trim_start().starts_with(['-', ':']) || rest.trim_start().starts_with("to ");
    let alone = text[..digits].parse::<u64>().unwrap_or(u64::MAX);
    let ends_range = range_start.is_some_and(|first| alone < first);
    if group.starts_with('0') || in_range(&group[3..]) || ends_range {
        return Ok(true);
    }
    if joined > u32::from(u16::MAX) {
        return Ok(false);
    }
    let stated = &text[..digits + 4];
    let message = format!("`{stated}` can be one port or two: write `{joined}` or put a space after the comma");
    Err(Fault::AmbiguousComma.of(message))
}

/// Words that change nothing about the ports beside them.
static REMARKS: WordSet = WordSet::new(
    "secure secured encrypted unencrypted optional preferred recommended fallback ipv4 ipv6 number numbers",
);

/// A word; yields its length in bytes.
fn word(text: &str, tokens: &mut Vec<Token>) -> Result<usize, Misread> {
    let length = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
    if let Some((protocol, length)) = versioned(text, length) {
        tokens.push(Token::Word(protocol.to_owned()));
        return Ok(length);
    }
    let word = &text[..length];
    let lower = word.to_lowercase();
    match lower.as_str() {
        "to" | "through" | "until" => tokens.push(Token::Through),
        "and" | "or" => tokens.push(Token::Comma),
        "any" | "all" => tokens.push(Token::Any),
        _ if REMARKS.has(&lower) => {}
        "port" | "ports" | "range" | "ranges" | "from" | "between" | "the" | "used" | "over" | "for" | "on" => {}
        _ if is_protocol_word(word) => tokens.push(Token::Word(word.to_owned())),
        _ => {
            return Err(misread(&word));
        }
    }
    Ok(length)
}

/// A protocol with its version and the length of both, `TLSv1.2`, where the word before the point has `length` bytes.
fn versioned(text: &str, length: usize) -> Option<(&str, usize)> {
    let word = &text[..length];
    let protocol = word.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['v', 'V']);
    let minor = text[length..].strip_prefix('.').map_or(0, digits_of);
    let is_versioned = protocol.len() < length && minor == 1 && is_protocol_word(protocol);
    let length = length + 1 + minor;
    is_versioned.then(|| (protocol, length + usize::from(text[length..].starts_with('+'))))
}

#[cfg(test)]
mod tests {
    use super::{
        super::protocols::{Kind, Wire},
        *,
    };

    /// Shows groups as `5060 5061/udp,tcp`.
    fn show(ports: &Ports) -> Vec<String> {
        let shown = ports.groups.iter().map(|group| {
            let ranges: Vec<_> = group.ranges.iter().map(ToString::to_string).collect();
            let wires: Vec<_> = group.protocols.wires.iter().map(|wire| format!("{wire:?}").to_lowercase()).collect();
            format!("{}/{}", ranges.join(" "), wires.join(","))
        });
        shown.collect()
    }

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(show(&Ports::read(text).unwrap()), expected, "{text:?}");
    }

    fn refused(text: &str, part: &str) {
        let message = Ports::read(text).unwrap_err().message;
        assert!(message.contains(part), "{text:?}: {message}");
    }

    #[test]
    fn lists_of_ports_are_read() {
        check("5060", &["5060/"]);
        check("443/5349", &["443 5349/"]);
        check("443, 8443", &["443 8443/"]);
        check("443,8443", &["443 8443/"]);
        check("5060 and 5061", &["5060 5061/"]);
        check("5060\n5061", &["5060 5061/"]);
        check("", &[]);
    }

    #[test]
    fn ranges_are_read_with_every_dash_and_with_thousands() {
        check("10,000 - 60,000", &["10000-60000/"]);
        check("10000–60000", &["10000-60000/"]);
        check("16,384 to 32,767", &["16384-32767/"]);
        check("3478-3481 and 49152 – 53247", &["3478-3481 49152-53247/"]);
        check("1,024", &["1024/"]);
        check("5000:65000", &["5000-65000/"]);
    }

    #[test]
    fn a_comma_that_can_be_read_in_two_ways_is_refused() {
        refused("22,443", "one port or two");
        refused("20-22,443", "one port or two");
        check("1024-65,535", &["1024-65535/"]);
        check("80,443", &["80 443/"]);
        check("22, 443", &["22 443/"]);
    }

    #[test]
    fn protocols_stand_before_or_after_their_ports() {
        check("5060 (UDP/TCP), 5061 (TLS)", &["5060/udp,tcp", "5061/tls"]);
        check("UDP/5000:65000", &["5000-65000/udp"]);
        check("UDP 3478, 3479; TCP/443", &["3478 3479/udp", "443/tcp"]);
        check("5060, 5061 UDP", &["5060 5061/udp"]);
        check("443 WSS", &["443/wss"]);
        check("TCP/443 (HTTPS)", &["443/tcp"]);
        check("10,000 - 60,000 UDP/SRTP/SRTCP and TLS/443 and UDP/3478", &["10000-60000/udp", "443/tls", "3478/udp"]);
    }

    #[test]
    fn any_is_every_port() {
        check("ANY", &["1-65535/"]);
        check("*", &["1-65535/"]);
    }

    #[test]
    fn what_is_no_port_is_refused() {
        refused("70000", "outside 1-65535");
        refused(&"1,".repeat(10_000), "more than 1000 ports");
        refused(&"1/".repeat(10_000), "more than 1000 ports");
        refused("0", "outside 1-65535");
        refused("60000-10000", "reversed");
        refused("5060 or higher", "cannot read `higher`");
        refused("- 5060", "dash");
        refused("99999999999999999999999", "is no port");
    }

    #[test]
    fn turn_beside_a_port_is_kept() {
        let ports = Ports::read("UDP/3478 (STUN)").unwrap();
        assert!(ports.groups[0].protocols.kinds.has(Kind::Turn));
        assert_eq!(ports.groups[0].protocols.wires, [Wire::Udp]);
    }
}
