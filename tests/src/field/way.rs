//! The ways on which a party's signalling gets to the SBC.

use lab::Process;

use super::{
    network::{Field, Party, SBC, comes_about, is_bound},
    sbc::kamailio,
};

/// How signalling gets to the SBC.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// Over UDP, to 5060.
    Udp,
    /// Over TCP, to 5060.
    Tcp,
    /// By the party's edge, which speaks TLS to this port.
    Tls(u16),
}

/// A way that is open.
#[derive(Debug)]
pub(super) struct Opened {
    /// Where the party's `SIPp` sends to.
    pub(super) next: String,
    /// How it does, in its own words.
    pub(super) transport: &'static str,
    _edge: Option<Process>,
}

impl Way {
    /// The name of the service that it is of.
    pub const fn service(self) -> &'static str {
        match self {
            Self::Udp => "sip-udp",
            Self::Tcp => "sip-tcp",
            Self::Tls(_) => "sip-tls",
        }
    }

    /// Opens it for a party.
    pub(super) fn open(self, field: &Field, party: Party) -> Opened {
        let direct = |transport| Opened { next: format!("{SBC}:5060"), transport, _edge: None };
        match self {
            Self::Udp => direct("u1"),
            Self::Tcp => direct("t1"),
            Self::Tls(port) => {
                let next = format!("{}:5070", party.signalling);
                Opened { next, transport: "u1", _edge: Some(edge(field, party, port)) }
            }
        }
    }
}

/// Starts a party's edge.
fn edge(field: &Field, party: Party, port: u16) -> Process {
    let words = [("PROVIDER", party.signalling), ("PORT", &port.to_string())];
    let edge = kamailio(field, party.host, include_str!("edge.cfg"), &words, &[]);
    let listens = comes_about(|| is_bound(field.host(party.host), "udp", 5070));
    assert!(listens, "the edge does not listen: {}", field.said(&[&format!("{}.log", party.host)]));
    edge
}
