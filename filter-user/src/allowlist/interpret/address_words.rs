//! The words of an address cell: hosts, prefixes, names, and what stands between them.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::super::words::WordSet;

/// Words that may stand between addresses without changing what they say.
static FILLERS: WordSet = WordSet::new(
    "and or & + / | • · from ip ips ipv4 ipv6 address addresses range ranges cidr cidrs subnet \
    subnets network networks host hosts block which translates translate the on",
);

/// A word of an address cell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Token {
    Host(IpAddr),
    /// A prefix, and the text where its host bits were set.
    Net(IpNet, Option<String>),
    Name(String),
    Dash,
    To,
    /// Begins a range, `between A and B`.
    Between,
    Open,
    Close,
    Filler,
    Stray(String),
}

impl Token {
    /// Whether the word is an address or a prefix.
    pub(super) fn is_address(&self) -> bool {
        matches!(self, Self::Host(_) | Self::Net(..))
    }

    /// The word, where it is neither an address nor a name nor anything that stands between them.
    pub(super) fn stray(&self) -> Option<&str> {
        match self {
            Self::Stray(word) => Some(word),
            _ => None,
        }
    }

    fn of(word: &str) -> Self {
        match word {
            "(" => return Self::Open,
            ")" => return Self::Close,
            "-" => return Self::Dash,
            _ => {}
        }
        if let Ok(host) = word.parse() {
            return Self::Host(host);
        }
        net(word).unwrap_or_else(|| Self::of_word(word))
    }

    fn of_word(word: &str) -> Self {
        let lower = word.to_ascii_lowercase();
        match lower.as_str() {
            "to" | "through" | "until" => Self::To,
            "to:" => Self::Filler,
            "between" => Self::Between,
            word if FILLERS.has(word.trim_end_matches(':')) => Self::Filler,
            _ if is_name(word) => Self::Name(word.to_owned()),
            _ => Self::Stray(word.to_owned()),
        }
    }
}

/// A CIDR or a wildcard, `192.0.2.*`.
fn net(word: &str) -> Option<Token> {
    if let Some(net) = wildcard(word) {
        return Some(Token::Net(net, None));
    }
    let net: IpNet = word.parse().ok().or_else(|| with_mask(word))?;
    let remark = (net.trunc() != net).then(|| word.to_owned());
    Some(Token::Net(net.trunc(), remark))
}

/// `192.0.2.0/255.255.255.240`
fn with_mask(word: &str) -> Option<IpNet> {
    let (host, mask) = word.split_once('/')?;
    Some(Ipv4Net::new(host.parse().ok()?, mask_length(mask)?).ok()?.into())
}

/// `192.0.2.*`, `192.0.*.*`: whole octets, from the right.
fn wildcard(word: &str) -> Option<IpNet> {
    let octets: Vec<_> = word.split('.').collect();
    let stated = octets.iter().take_while(|octet| **octet != "*").count();
    let is_wildcard =
        octets.len() == 4 && (1..4).contains(&stated) && octets[stated..].iter().all(|octet| *octet == "*");
    if !is_wildcard {
        return None;
    }
    let base: Ipv4Addr = word.replace('*', "0").parse().ok()?;
    let length = u8::try_from(stated * 8).ok()?;
    Some(Ipv4Net::new(base, length).ok()?.into())
}

/// Whether `word` is a host name, a leading `*.` included.
pub(crate) fn is_name(word: &str) -> bool {
    let labels: Vec<_> = word.strip_prefix("*.").unwrap_or(word).trim_end_matches('.').split('.').collect();
    let is_label =
        |label: &&str| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    labels.len() >= 2
        && labels.iter().all(is_label)
        && labels.last().is_some_and(|top| top.len() >= 2 && top.chars().all(|c| c.is_ascii_alphabetic()))
}

/// Whether `word` was meant as an address: dotted or coloned digits.
pub(crate) fn looks_like_address(word: &str) -> bool {
    if is_uri(word) {
        return false;
    }
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let parts = word.split('.').filter(|part| {
        part.ends_with(|c: char| c.is_ascii_digit() || c == '*') || part.starts_with(|c: char| c.is_ascii_digit())
    });
    let dotted = parts.count() >= 3 && digits >= 3 && !is_name(word);
    let coloned = word.matches(':').count() >= 2 && word.chars().all(|c| c.is_ascii_hexdigit() || ":/.-%".contains(c));
    dotted || coloned
}

/// Whether `word` names a user or resource at an address: `sip:192.0.2.1`, `https://192.0.2.1/`.
fn is_uri(word: &str) -> bool {
    let has_scheme = word
        .split_once(':')
        .is_some_and(|(scheme, _)| scheme.len() >= 3 && scheme.chars().all(|c| c.is_ascii_alphabetic()));
    has_scheme && !word.contains("::") || word.contains('@')
}

/// The words of a cell.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ").replace(['[', ']'], " ");
    let words = spaced.split(|c: char| c.is_whitespace() || c == ',' || c == ';');
    let words = words.filter(|word| !word.is_empty());
    let mut tokens = Vec::new();
    for word in words {
        match split_range(word) {
            Some(range) => tokens.extend(range),
            None => push(&mut tokens, word),
        }
    }
    tokens
}

/// Adds a word; a length or netmask belongs to the host before it, and `between A and B` is a range.
fn push(tokens: &mut Vec<Token>, word: &str) {
    if let Some(Token::Host(host)) = tokens.last() {
        let length = word.strip_prefix('/').and_then(|length| length.parse().ok()).or_else(|| mask_length(word));
        if let Some(net) = length.and_then(|length| IpNet::new(*host, length).ok()) {
            let remark = (net.trunc() != net).then(|| format!("{host} {word}"));
            tokens.pop();
            return tokens.push(Token::Net(net.trunc(), remark));
        }
    }
    let ends_range = word == "and" && matches!(tokens[..], [.., Token::Between, Token::Host(_)]);
    tokens.push(if ends_range { Token::To } else { Token::of(word) });
}

/// The prefix length of a netmask: 28 of `255.255.255.240`.
fn mask_length(word: &str) -> Option<u8> {
    let mask: Ipv4Addr = word.parse().ok().filter(|mask| is_mask(*mask))?;
    ipnet::ipv4_mask_to_prefix(mask).ok()
}

/// Whether an address can only be a netmask.
pub(super) fn is_mask(host: Ipv4Addr) -> bool {
    host.octets()[0] == 255
}

/// Takes out parentheses that hold no address: `192.0.2.1 (primary)`.
pub(super) fn without_remarks(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut open = None;
    for token in tokens {
        match token {
            Token::Open => open = Some(kept.len()),
            Token::Close => {
                if let Some(start) = open.take().filter(|start| is_remark(&kept[start + 1..])) {
                    kept.truncate(start);
                    continue;
                }
            }
            _ => {}
        }
        kept.push(token);
    }
    kept
}

/// Words that take something from the address that they stand behind.
static EXCEPTIONS: WordSet =
    WordSet::new("except excepted excluding excludes excl exclude excluded without not but minus less");

/// Whether a word takes something from the address beside it.
pub(super) fn takes_away(word: &str) -> bool {
    EXCEPTIONS.has(word.trim_matches([':', '.']).to_ascii_lowercase().as_str())
}

fn is_remark(tokens: &[Token]) -> bool {
    !tokens.iter().any(|token| match token {
        Token::Stray(word) => looks_like_address(word) || takes_away(word),
        other => other.is_address(),
    })
}

/// The three tokens of `192.0.2.1-192.0.2.9` written without spaces.
fn split_range(word: &str) -> Option<Vec<Token>> {
    let (first, last) = word.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    Some(vec![Token::Host(first), Token::Dash, Token::Host(last)])
}
