//! Live allows: what an operator lets in while the filter runs, beside the policy.

use std::fmt;

use filter_common::{
    Name,
    live::{Expiry, LIVE_PREFIXES, LIVE_TERMS, LiveNote, LiveNotes, LiveSet, LiveTerm, LiveTerms, Remark},
    packet::ip,
};
use ipnet::IpNet;

use super::outermost;
use crate::ports::PortRange;

/// What is let in from the sources of a live allow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LiveMatch {
    /// TCP to these ports.
    Tcp(PortRange),
    /// UDP to these ports.
    Udp(PortRange),
    /// A whole IP protocol.
    Protocol(u8),
}

impl fmt::Display for LiveMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(ports) => write!(f, "TCP {ports}"),
            Self::Udp(ports) => write!(f, "UDP {ports}"),
            Self::Protocol(protocol) => write!(f, "protocol {protocol}"),
        }
    }
}

/// An allow that is in force beside the policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LiveAllow {
    /// Its name, without `allow/`.
    pub name: String,
    /// Its sources.
    pub from: Vec<IpNet>,
    /// What it lets in from them.
    pub matches: Vec<LiveMatch>,
    /// When it ends, by the monotonic clock.
    pub expiry: Expiry,
    /// What was remarked of it; empty if nothing.
    pub comment: String,
}

impl LiveAllow {
    /// The name that it is counted and shown under.
    pub fn rule(&self) -> String {
        format!("allow/{}", self.name)
    }

    /// Whether it lets in the same from the same sources.
    pub fn lets_in_the_same(&self, other: &Self) -> bool {
        sources(&self.from) == sources(&other.from) && terms(&self.matches) == terms(&other.matches)
    }
}

/// Live allows as the data plane takes them.
#[derive(Clone, Debug)]
pub struct LiveTables {
    /// Prefixes with the terms that cover them, ascending.
    pub sources: Vec<(IpNet, LiveSet)>,
    /// The terms.
    pub terms: LiveTerms,
    /// Whose each term is.
    pub notes: LiveNotes,
}

/// A limit that live allows exceed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LiveLimit {
    /// Too many terms.
    #[error(
        "with `{0}` the live allows would need {1} of {LIVE_TERMS} terms: one for each range of ports and each \
         protocol\nhint: remove some with `sipwall allow remove`, or write them into the policy"
    )]
    Terms(String, usize),
    /// Too many prefixes.
    #[error(
        "the live allows would have {0} prefixes of {1}, and there is room for {LIVE_PREFIXES}\nhint: write them into \
         the policy"
    )]
    Prefixes(usize, &'static str),
    /// A comment that does not fit.
    #[error("the comment of `{0}` is longer than 127 octets or contains NUL")]
    Comment(String),
    /// A name that does not fit.
    #[error("`{0}` cannot be a name")]
    Name(String),
}

impl LiveTables {
    /// The tables of these allows, whose rules have these numbers.
    ///
    /// # Errors
    /// If there is no room for them.
    pub fn new(allows: &[LiveAllow], rules: &[u16]) -> Result<Self, LiveLimit> {
        let mut notes = LiveNotes([LiveNote { name: Name::EMPTY, comment: Remark::EMPTY }; LIVE_TERMS]);
        let mut all = LiveTerms([LiveTerm::default(); LIVE_TERMS]);
        let mut stated: Vec<(IpNet, u64)> = Vec::new();
        let mut used = 0;
        for (allow, rule) in allows.iter().zip(rules) {
            let note = note(allow)?;
            let first = used;
            for (protocol, first_port, last_port) in terms(&allow.matches) {
                if let Some(term) = all.0.get_mut(used) {
                    *term = LiveTerm {
                        expiry: allow.expiry,
                        first_port,
                        last_port,
                        protocol: protocol.into(),
                        rule: *rule,
                    };
                    notes.0[used] = note;
                }
                used += 1;
            }
            if used > LIVE_TERMS {
                return Err(LiveLimit::Terms(allow.name.clone(), used));
            }
            let bits = (first..used).fold(0, |bits, place| bits | 1 << place);
            stated.extend(sources(&allow.from).into_iter().map(|prefix| (prefix, bits)));
        }
        let sources = push_down(stated);
        for (family, is_v4) in [("IPv4", true), ("IPv6", false)] {
            let count = sources.iter().filter(|(prefix, _)| prefix.addr().is_ipv4() == is_v4).count();
            if count > usize::try_from(LIVE_PREFIXES).unwrap_or(usize::MAX) {
                return Err(LiveLimit::Prefixes(count, family));
            }
        }
        Ok(Self { sources, terms: all, notes })
    }

    /// The allows that these tables are of, in the order of their terms. Of prefixes inside each other the widest are told.
    pub fn allows(&self) -> Vec<LiveAllow> {
        let mut allows: Vec<LiveAllow> = Vec::new();
        for (place, (term, note)) in self.terms.0.iter().zip(&self.notes.0).enumerate() {
            let Some(name) = note.name.as_str() else { continue };
            let matching = lets_in(term);
            if let Some(allow) = allows.iter_mut().find(|allow| allow.name == name) {
                allow.matches.push(matching);
                continue;
            }
            let from: Vec<IpNet> = self
                .sources
                .iter()
                .filter(|(_, set)| set.bits() >> place & 1 == 1)
                .map(|(prefix, _)| *prefix)
                .collect();
            allows.push(LiveAllow {
                name: name.to_owned(),
                from: outermost(&from),
                matches: vec![matching],
                expiry: term.expiry,
                comment: note.comment.as_str().unwrap_or_default().to_owned(),
            });
        }
        allows
    }
}

fn note(allow: &LiveAllow) -> Result<LiveNote, LiveLimit> {
    Ok(LiveNote {
        name: Name::new(&allow.name).ok_or_else(|| LiveLimit::Name(allow.name.clone()))?,
        comment: Remark::new(&allow.comment).ok_or_else(|| LiveLimit::Comment(allow.name.clone()))?,
    })
}

/// The prefixes without those that others cover, ascending.
fn sources(from: &[IpNet]) -> Vec<IpNet> {
    let mut from = from.to_vec();
    from.sort_unstable();
    from.dedup();
    outermost(&from)
}

/// Protocol, first port and last port of each term, in their order and each once.
fn terms(matches: &[LiveMatch]) -> Vec<(u8, u16, u16)> {
    let mut terms: Vec<_> = matches
        .iter()
        .map(|matching| match matching {
            LiveMatch::Tcp(ports) => (ip::TCP, ports.first(), ports.last()),
            LiveMatch::Udp(ports) => (ip::UDP, ports.first(), ports.last()),
            LiveMatch::Protocol(protocol) => (*protocol, 0, u16::MAX),
        })
        .collect();
    terms.sort_unstable();
    terms.dedup();
    terms
}

/// What a term lets in. No packet has port 0, so a range that begins there is a whole protocol's.
fn lets_in(term: &LiveTerm) -> LiveMatch {
    let protocol = u8::try_from(term.protocol).unwrap_or_default();
    match (protocol, PortRange::new(term.first_port.into(), term.last_port.into())) {
        (ip::TCP, Ok(ports)) => LiveMatch::Tcp(ports),
        (ip::UDP, Ok(ports)) => LiveMatch::Udp(ports),
        _ => LiveMatch::Protocol(protocol),
    }
}

/// Each prefix once, with the terms of those that cover it too: the longest prefix must carry them all.
fn push_down(mut stated: Vec<(IpNet, u64)>) -> Vec<(IpNet, LiveSet)> {
    stated.sort_unstable_by_key(|(prefix, _)| *prefix);
    let mut around: Vec<(IpNet, u64)> = Vec::new();
    let mut pushed: Vec<(IpNet, u64)> = Vec::new();
    for (prefix, bits) in stated {
        while around.last().is_some_and(|(outer, _)| !outer.contains(&prefix)) {
            around.pop();
        }
        let bits = around.last().map_or(0, |(_, outer)| *outer) | bits;
        match pushed.last_mut() {
            Some((last, all)) if *last == prefix => *all |= bits,
            _ => pushed.push((prefix, bits)),
        }
        around.push((prefix, bits));
    }
    pushed.into_iter().map(|(prefix, bits)| (prefix, LiveSet::new(bits))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(name: &str, from: &[&str], matches: &[LiveMatch]) -> LiveAllow {
        LiveAllow {
            name: name.to_owned(),
            from: from.iter().map(|text| text.parse().unwrap()).collect(),
            matches: matches.to_vec(),
            expiry: Expiry::at(7),
            comment: "why".to_owned(),
        }
    }

    fn tcp(ports: &str) -> LiveMatch {
        LiveMatch::Tcp(ports.parse().unwrap())
    }

    #[test]
    fn allows_come_back_from_their_tables() {
        let allows = [
            allow("a", &["10.0.0.0/8", "2001:db8::/32"], &[tcp("22"), tcp("80-90")]),
            allow("b", &["10.1.0.0/16", "10.1.2.0/24"], &[LiveMatch::Protocol(47)]),
            allow("c", &["10.1.0.0/16"], &[LiveMatch::Udp("5060".parse().unwrap())]),
        ];
        let tables = LiveTables::new(&allows, &[5, 6, 7]).unwrap();
        let bits: Vec<_> = tables.sources.iter().map(|(prefix, set)| (prefix.to_string(), set.bits())).collect();
        let expected = [("10.0.0.0/8", 0b11), ("10.1.0.0/16", 0b1111), ("2001:db8::/32", 0b11)];
        assert_eq!(bits, expected.map(|(prefix, bits)| (prefix.to_owned(), bits)));
        let back = tables.allows();
        assert_eq!((&back[0], &back[2], back.len()), (&allows[0], &allows[2], 3));
        assert_eq!(back[1].from, [allows[1].from[0]], "the widest");
        assert!(back.iter().zip(&allows).all(|(back, allow)| back.lets_in_the_same(allow)));
    }

    #[test]
    fn more_terms_than_there_is_room_for_are_refused_by_name() {
        let ports: Vec<_> = (1..=65).map(|port| tcp(&port.to_string())).collect();
        let refused = LiveTables::new(&[allow("many", &["10.0.0.1/32"], &ports)], &[0]).unwrap_err();
        assert_eq!(refused, LiveLimit::Terms("many".to_owned(), 65));
        assert!(LiveTables::new(&[allow("many", &["10.0.0.1/32"], &ports[..64])], &[0]).is_ok());
    }
}
