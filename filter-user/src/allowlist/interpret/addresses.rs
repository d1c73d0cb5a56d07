//! Reads the text of an address cell: hosts, CIDRs, ranges, wildcards and names.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr},
};

use ipnet::{IpNet, Ipv4Net, Ipv4Subnets, Ipv6Subnets};

use super::super::words::tidy;

/// Words that may stand between addresses without changing what they say.
const FILLERS: [&str; 26] = [
    "and",
    "or",
    "&",
    "from",
    "between",
    "ip",
    "ips",
    "ipv4",
    "ipv6",
    "address",
    "addresses",
    "range",
    "ranges",
    "cidr",
    "cidrs",
    "subnet",
    "subnets",
    "network",
    "networks",
    "host",
    "hosts",
    "block",
    "which",
    "translates",
    "the",
    "to:",
];

/// What an address cell says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Addresses {
    /// Canonical prefixes, in the order in which the cell states them, without repetitions.
    pub(crate) prefixes: Vec<IpNet>,
    /// Host names, `*.kore.ai`.
    pub(crate) names: Vec<String>,
    /// What was read otherwise than it was written, in words.
    pub(crate) remarks: Vec<String>,
    listed: HashSet<IpNet>,
}

impl Addresses {
    /// Reads the text of a cell or line; a text without any address or name gives neither.
    ///
    /// # Errors
    /// Says in words what could not be read, where the text holds something like an address.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let tokens = without_remarks(tokens(&tidy(text)));
        let stray = tokens.iter().find_map(|token| match token {
            Token::Stray(word) => Some(word.clone()),
            _ => None,
        });
        let has_address = tokens.iter().any(Token::is_address);
        match stray {
            Some(word) if looks_like_address(&word) => Err(misread(&word)),
            Some(word) if has_address => Err(misread(&word)),
            Some(_) => Ok(Self::names_alone(tokens)),
            None => Sequence { tokens: &tokens, read: Self::default() }.finish(),
        }
    }

    fn names_alone(tokens: Vec<Token>) -> Self {
        let names = tokens.into_iter().filter_map(|token| match token {
            Token::Name(name) => Some(name),
            _ => None,
        });
        Self { names: names.collect(), ..Self::default() }
    }

    fn push(&mut self, prefix: IpNet) {
        if !self.covers(prefix) {
            self.listed.insert(prefix);
            self.prefixes.push(prefix);
        }
    }

    /// Whether a prefix already read holds all of `prefix`; takes as long for many prefixes as for one.
    fn covers(&self, prefix: IpNet) -> bool {
        std::iter::successors(Some(prefix), IpNet::supernet).any(|covering| self.listed.contains(&covering))
    }

    /// Adds what another line of the same block states.
    pub(crate) fn extend(&mut self, other: Self) {
        for prefix in other.prefixes {
            self.push(prefix);
        }
        self.names.extend(other.names);
        self.remarks.extend(other.remarks);
    }

    /// Whether the text held neither address nor name.
    pub(crate) fn is_empty(&self) -> bool {
        self.prefixes.is_empty() && self.names.is_empty()
    }
}

fn misread(word: &str) -> String {
    format!("cannot read `{word}`: expected an address, a CIDR or a range of addresses")
}

/// A word of an address cell.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Token {
    Host(IpAddr),
    /// A prefix, and the text where its host bits were set.
    Net(IpNet, Option<String>),
    Name(String),
    Dash,
    To,
    Open,
    Close,
    Filler,
    Stray(String),
}

impl Token {
    fn is_address(&self) -> bool {
        matches!(self, Self::Host(_) | Self::Net(..))
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
            filler if FILLERS.contains(&filler.trim_end_matches(':')) || filler == "to:" => Self::Filler,
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
    let net: IpNet = word.parse().ok()?;
    let remark = (net.trunc() != net).then(|| word.to_owned());
    Some(Token::Net(net.trunc(), remark))
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
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let parts = word.split('.').filter(|part| {
        part.ends_with(|c: char| c.is_ascii_digit() || c == '*') || part.starts_with(|c: char| c.is_ascii_digit())
    });
    let dotted = parts.count() >= 3 && digits >= 3 && !is_name(word);
    let coloned = word.matches(':').count() >= 2 && word.chars().all(|c| c.is_ascii_hexdigit() || ":/.-%".contains(c));
    dotted || coloned
}

fn tokens(text: &str) -> Vec<Token> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ").replace(['[', ']'], " ");
    let words = spaced.split(|c: char| c.is_whitespace() || c == ',' || c == ';');
    let words = words.filter(|word| !word.is_empty());
    words.flat_map(|word| split_range(word).unwrap_or_else(|| vec![Token::of(word)])).collect()
}

/// Takes out parentheses that hold no address: `192.0.2.1 (primary)`.
fn without_remarks(tokens: Vec<Token>) -> Vec<Token> {
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

fn is_remark(tokens: &[Token]) -> bool {
    !tokens.iter().any(|token| match token {
        Token::Stray(word) => looks_like_address(word),
        other => other.is_address(),
    })
}

/// The three tokens of `192.0.2.1-192.0.2.9` written without spaces.
fn split_range(word: &str) -> Option<Vec<Token>> {
    let (first, last) = word.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    Some(vec![Token::Host(first), Token::Dash, Token::Host(last)])
}

/// Reads tokens one after the other.
struct Sequence<'a> {
    tokens: &'a [Token],
    read: Addresses,
}

impl Sequence<'_> {
    fn finish(mut self) -> Result<Addresses, String> {
        while let Some((token, rest)) = self.tokens.split_first() {
            self.tokens = rest;
            match token {
                Token::Host(first) => self.host_or_range(*first)?,
                Token::Net(net, remark) => self.net(*net, remark.as_deref()),
                Token::Name(name) => self.read.names.push(name.clone()),
                Token::Open => self.parentheses()?,
                Token::Dash if !self.read.is_empty() => return Err(misread("-")),
                Token::Dash | Token::To | Token::Close | Token::Filler | Token::Stray(_) => {}
            }
        }
        Ok(self.read)
    }

    fn net(&mut self, net: IpNet, remark: Option<&str>) {
        if let Some(written) = remark {
            self.read.remarks.push(format!("`{written}` has host bits set: read as `{net}`"));
        }
        self.read.push(net);
    }

    fn host_or_range(&mut self, first: IpAddr) -> Result<(), String> {
        let [Token::Dash | Token::To, Token::Host(last), rest @ ..] = self.tokens else {
            self.read.push(first.into());
            return Ok(());
        };
        self.tokens = rest;
        for net in range(first, *last)? {
            self.read.push(net);
        }
        Ok(())
    }

    /// What stands in parentheses says the same again, or names the address: `192.0.2.1 (sbc.example.com)`.
    fn parentheses(&mut self) -> Result<(), String> {
        let length = self.tokens.iter().position(|token| *token == Token::Close).unwrap_or(self.tokens.len());
        let (inner, rest) = self.tokens.split_at(length);
        self.tokens = rest;
        let inner = Sequence { tokens: inner, read: Addresses::default() }.finish()?;
        if self.read.prefixes.is_empty() {
            self.read.extend(inner);
            return Ok(());
        }
        match inner.prefixes.iter().find(|prefix| !self.read.covers(**prefix)) {
            Some(other) => Err(format!("`{other}` stands in parentheses but lies outside the address before it")),
            None => Ok(()),
        }
    }
}

/// The fewest prefixes that hold the addresses from `first` to `last` and no others.
fn range(first: IpAddr, last: IpAddr) -> Result<Vec<IpNet>, String> {
    if first > last {
        return Err(format!("the range {first} - {last} is reversed"));
    }
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => Ok(Ipv4Subnets::new(first, last, 0).map(Into::into).collect()),
        (IpAddr::V6(first), IpAddr::V6(last)) => Ok(Ipv6Subnets::new(first, last, 0).map(Into::into).collect()),
        _ => Err(format!("the range {first} - {last} mixes IPv4 and IPv6")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&[&str], &str>) {
        let read = Addresses::read(text).map(|read| read.prefixes.iter().map(ToString::to_string).collect::<Vec<_>>());
        match (read, expected) {
            (Ok(prefixes), Ok(expected)) => assert_eq!(prefixes, expected, "{text:?}"),
            (Err(message), Err(expected)) => {
                assert!(message.contains(expected), "{text:?}: {message}")
            }
            (read, expected) => panic!("{text:?}: {read:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn hosts_and_cidrs_are_read_in_order() {
        check("54.161.251.110", Ok(&["54.161.251.110/32"]));
        check("168.86.128.0/18", Ok(&["168.86.128.0/18"]));
        check(
            "192.0.2.1, 192.0.2.9; 198.51.100.0/24\n203.0.113.7 and 203.0.113.8",
            Ok(&["192.0.2.1/32", "192.0.2.9/32", "198.51.100.0/24", "203.0.113.7/32", "203.0.113.8/32"]),
        );
        check("2001:db8::1 2001:db8:1::/48", Ok(&["2001:db8::1/128", "2001:db8:1::/48"]));
        check("192\\.0\\.2\\.1", Ok(&["192.0.2.1/32"]));
    }

    #[test]
    fn ranges_become_the_fewest_cidrs() {
        check("34.203.254.0 - 34.203.254.255", Ok(&["34.203.254.0/24"]));
        check("54.172.60.0–54.172.61.255", Ok(&["54.172.60.0/23"]));
        check("IP addresses from 192.0.2.0 to 192.0.2.127", Ok(&["192.0.2.0/25"]));
        check("88.214.8.230-88.214.8.240", Ok(&["88.214.8.230/31", "88.214.8.232/29", "88.214.8.240/32"]));
        check("2001:db8:: - 2001:db8::ff", Ok(&["2001:db8::/120"]));
        check("192.0.2.9 - 192.0.2.1", Err("reversed"));
        check("192.0.2.9 - 2001:db8::1", Err("mixes"));
    }

    #[test]
    fn wildcards_are_whole_octets() {
        check("192.0.2.*", Ok(&["192.0.2.0/24"]));
        check("192.0.*.*", Ok(&["192.0.0.0/16"]));
        check("192.*.2.1", Err("cannot read"));
    }

    #[test]
    fn what_is_said_twice_counts_once() {
        check("13.229.255.0/27 (13.229.255.0 - 13.229.255.31)", Ok(&["13.229.255.0/27"]));
        check("54.172.60.0/30 which translates to: 54.172.60.0 54.172.60.1", Ok(&["54.172.60.0/30"]));
        check("192.0.2.0/24 (198.51.100.1)", Err("outside"));
    }

    #[test]
    fn a_name_beside_an_address_is_told_apart() {
        let read = Addresses::read("192.0.2.1 (sbc.example.com)").unwrap();
        assert_eq!((read.prefixes.len(), read.names.len()), (1, 0));
        let read = Addresses::read("*.kore.ai").unwrap();
        assert_eq!((read.prefixes.len(), read.names), (0, vec!["*.kore.ai".to_owned()]));
    }

    #[test]
    fn set_host_bits_are_cleared_with_a_remark() {
        let read = Addresses::read("192.0.2.9/24").unwrap();
        assert_eq!(read.prefixes[0].to_string(), "192.0.2.0/24");
        assert_eq!(read.remarks, ["`192.0.2.9/24` has host bits set: read as `192.0.2.0/24`"]);
    }

    #[test]
    fn run_together_text_is_refused() {
        check("168.86.128.0/1810,000 - 60,000", Err("cannot read `168.86.128.0/1810`"));
        check("54.161.251.1105060", Err("cannot read"));
        check("ANY168.86.128.0/18", Err("cannot read"));
        check("208.78.112.64Ports", Err("cannot read"));
        check("1.2.3", Err("cannot read"));
    }

    #[test]
    fn a_word_that_could_change_the_meaning_is_refused() {
        check("192.0.2.0/24 except 192.0.2.7", Err("cannot read `except`"));
        check("192.0.2.0/24 (not 192.0.2.7)", Err("cannot read `not`"));
        check("192.0.2.0/24 (primary)", Ok(&["192.0.2.0/24"]));
    }

    #[test]
    fn text_without_an_address_gives_none() {
        check("Genesys Cloud, Amazon AWS", Ok(&[]));
        check("ANY", Ok(&[]));
        check("", Ok(&[]));
    }
}
