//! Reads the text of an address cell: hosts, CIDRs, ranges, wildcards and names.

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
};

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

use super::{
    super::{
        limits::MOST_PREFIXES_OF_A_CELL,
        problem::{Fault, Misread, Oddity, Remark},
        words::tidy,
    },
    address_words::{Token, is_mask, looks_like_address, tokens, without_remarks},
};

/// What an address cell says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Addresses {
    /// Canonical prefixes, in the order in which the cell states them, without repetitions.
    pub(crate) prefixes: Vec<IpNet>,
    /// Host names, `*.kore.ai`.
    pub(crate) names: Vec<String>,
    /// What was read otherwise than it was written, in words.
    pub(crate) remarks: Vec<Remark>,
    listed: HashSet<IpNet>,
    /// The lengths of the prefixes in `listed`.
    lengths: BTreeSet<u8>,
}

impl Addresses {
    /// Reads the text of a cell or line; a text without any address or name gives neither.
    ///
    /// # Errors
    /// Says in words what could not be read, where the text holds something like an address.
    pub(crate) fn read(text: &str) -> Result<Self, Misread> {
        let tokens = without_remarks(tokens(&tidy(text)));
        let strays = || tokens.iter().filter_map(Token::stray);
        let has_address = tokens.iter().any(Token::is_address);
        match strays().find(|word| looks_like_address(word)).or_else(|| strays().next()) {
            Some(word) if has_address || looks_like_address(word) => Err(misread(word)),
            Some(_) => Ok(Self::names_alone(tokens)),
            None => Sequence { tokens: &tokens, read: Self::default(), stated: 0 }.finish(),
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
            self.list(prefix);
        }
    }

    fn list(&mut self, prefix: IpNet) {
        self.listed.insert(prefix);
        self.lengths.insert(prefix.prefix_len());
        self.prefixes.push(prefix);
    }

    /// Whether a prefix already read holds all of `prefix`; takes hardly longer for many prefixes than for one.
    fn covers(&self, prefix: IpNet) -> bool {
        let lengths = self.lengths.range(..=prefix.prefix_len());
        lengths
            .into_iter()
            .any(|length| IpNet::new(prefix.addr(), *length).is_ok_and(|net| self.listed.contains(&net.trunc())))
    }

    /// Adds what another line of the same block states; yields what of it is new.
    pub(crate) fn extend(&mut self, other: Self) -> Self {
        let mut new = Self { names: other.names, remarks: other.remarks, ..Self::default() };
        for prefix in other.prefixes {
            if !self.covers(prefix) {
                self.list(prefix);
                new.list(prefix);
            }
        }
        self.names.extend(new.names.iter().cloned());
        self.remarks.extend(new.remarks.iter().cloned());
        new
    }

    /// The prefixes and names, one after the other.
    pub(crate) fn text(&self) -> String {
        let prefixes = self.prefixes.iter().map(ToString::to_string);
        prefixes.chain(self.names.iter().cloned()).collect::<Vec<_>>().join(" ")
    }

    /// Whether the text held neither address nor name.
    pub(crate) fn is_empty(&self) -> bool {
        self.prefixes.is_empty() && self.names.is_empty()
    }
}

fn misread(word: &str) -> Misread {
    Fault::BadAddress.of(format!("cannot read `{word}`: expected an address, a CIDR or a range of addresses"))
}

/// Reads tokens one after the other.
struct Sequence<'a> {
    tokens: &'a [Token],
    read: Addresses,
    /// How many prefixes the ranges have made, repetitions included.
    stated: usize,
}

impl Sequence<'_> {
    fn finish(mut self) -> Result<Addresses, Misread> {
        let mut follows_net = false;
        while let Some((token, rest)) = self.tokens.split_first() {
            self.tokens = rest;
            match token {
                Token::Host(first) => self.host_or_range(*first)?,
                Token::Net(net, remark) => self.net(*net, remark.as_deref()),
                Token::Name(name) => self.read.names.push(name.clone()),
                Token::Open => self.parentheses()?,
                Token::Dash if !self.read.is_empty() => return Err(misread("-")),
                Token::To if follows_net && rest.first().is_some_and(Token::is_address) => return Err(misread("to")),
                Token::Dash | Token::To | Token::Between | Token::Close | Token::Filler | Token::Stray(_) => {}
            }
            follows_net = token.is_address();
            if self.stated > MOST_PREFIXES_OF_A_CELL {
                let message = format!("more than {MOST_PREFIXES_OF_A_CELL} prefixes in one place");
                return Err(Fault::TooManyPrefixes.of(message));
            }
        }
        Ok(self.read)
    }

    fn net(&mut self, net: IpNet, remark: Option<&str>) {
        if let Some(written) = remark {
            let message = format!("`{written}` has host bits set: read as `{net}`");
            self.read.remarks.push(Oddity::HostBits.of(message));
        }
        self.read.push(net);
    }

    fn host_or_range(&mut self, first: IpAddr) -> Result<(), Misread> {
        if matches!(first, IpAddr::V4(host) if is_mask(host)) {
            return Err(Fault::BadAddress.of(format!("the netmask `{first}` stands without an address before it")));
        }
        let [Token::Dash | Token::To, Token::Host(last), rest @ ..] = self.tokens else {
            self.read.push(first.into());
            return Ok(());
        };
        self.tokens = rest;
        let nets = range(first, *last)?;
        self.stated += nets.len();
        // The prefixes of one range do not overlap each other.
        let is_first = self.read.prefixes.is_empty();
        for net in nets {
            if is_first {
                self.read.list(net);
            } else {
                self.read.push(net);
            }
        }
        Ok(())
    }

    /// What stands in parentheses says the same again, or names the address: `192.0.2.1 (sbc.example.com)`.
    ///
    /// Parentheses inside parentheses part nothing, so that no depth of them costs anything.
    fn parentheses(&mut self) -> Result<(), Misread> {
        let tokens = self.tokens;
        let length = tokens.iter().position(|token| *token == Token::Close).unwrap_or(tokens.len());
        let (inner, rest) = tokens.split_at(length);
        self.tokens = rest;
        let inner: Vec<_> = inner.iter().filter(|token| **token != Token::Open).cloned().collect();
        let inner = Sequence { tokens: &inner, read: Addresses::default(), stated: 0 }.finish()?;
        if self.read.prefixes.is_empty() {
            self.read.extend(inner);
            return Ok(());
        }
        match inner.prefixes.iter().find(|prefix| !self.read.covers(**prefix)) {
            Some(other) => {
                let message = format!("`{other}` stands in parentheses but lies outside the address before it");
                Err(Fault::OutsideParentheses.of(message))
            }
            None => Ok(()),
        }
    }
}

/// The fewest prefixes that hold the addresses from `first` to `last` and no others.
fn range(first: IpAddr, last: IpAddr) -> Result<Vec<IpNet>, Misread> {
    if first > last {
        return Err(Fault::BadRange.of(format!("the range {first} - {last} is reversed")));
    }
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => Ok(Ipv4Subnets::new(first, last, 0).map(Into::into).collect()),
        (IpAddr::V6(first), IpAddr::V6(last)) => Ok(Ipv6Subnets::new(first, last, 0).map(Into::into).collect()),
        _ => Err(Fault::BadRange.of(format!("the range {first} - {last} mixes IPv4 and IPv6"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&[&str], &str>) {
        let read = Addresses::read(text).map(|read| read.prefixes.iter().map(ToString::to_string).collect::<Vec<_>>());
        match (read, expected) {
            (Ok(prefixes), Ok(expected)) => assert_eq!(prefixes, expected, "{text:?}"),
            (Err(Misread { message, .. }), Err(expected)) => {
                assert!(message.contains(expected), "{text:?}: {message}");
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
        check(&"(".repeat(1_000_000), Ok(&[]));
        check(&format!("192.0.2.0/24 {} 192.0.2.7", "( ".repeat(1_000_000)), Ok(&["192.0.2.0/24"]));
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
        assert_eq!(read.remarks, [Oddity::HostBits.of("`192.0.2.9/24` has host bits set: read as `192.0.2.0/24`")]);
    }

    #[test]
    fn run_together_text_is_refused() {
        check("168.86.128.0/1810,000 - 60,000", Err("cannot read `168.86.128.0/1810`"));
        check("54.161.251.1105060", Err("cannot read"));
        check("ANY168.86.128.0/18", Err("cannot read"));
        check("208.78.112.64Ports", Err("cannot read"));
        check("1.2.3", Err("cannot read"));
        check("Media UDP ANY 198.51.100.0/2410,000 - 60,000", Err("cannot read `198.51.100.0/2410`"));
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

    #[test]
    fn more_prefixes_than_any_provider_has_are_refused() {
        let ranges: Vec<_> = (0..1_000).map(|n| format!("{n:x}::1-{n:x}:ffff::2")).collect();
        check(&ranges.join(" "), Err("more than 10000 prefixes in one place"));
    }
}
