//! What is known at one moment: all that the metrics and the dashboard are made from.

use std::net::IpAddr;

use serde::Serialize;

use crate::{
    kernel::Status,
    telemetry::{By, Ranked, Refused, Span},
};

/// One moment of the filters, and of the service beside them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Snapshot {
    /// When it was taken, in milliseconds since the epoch.
    pub taken_at: u64,
    /// The filters that could be read.
    pub interfaces: Vec<InterfaceSnapshot>,
    /// The interfaces whose filter could not be read.
    pub unreadable: Vec<Unreadable>,
    /// The sources that are fetched again and again.
    pub sources: Vec<SourceSnapshot>,
    /// The service itself.
    pub service: ServiceSnapshot,
    /// How the node stands with its fleet; nothing where it is in none.
    pub fleet: Option<FleetStanding>,
}

/// An interface that should have a filter, and why nothing can be said of it.
#[derive(Clone, Debug, Serialize)]
pub struct Unreadable {
    /// The interface.
    pub interface: String,
    /// Why.
    pub why: String,
}

/// One filter.
#[derive(Clone, Debug, Serialize)]
pub struct InterfaceSnapshot {
    /// What runs there.
    pub status: Status,
    /// What each reason ended, every one of them.
    pub reasons: Vec<ReasonTraffic>,
    /// What each rule let in.
    pub rules: Vec<RuleTraffic>,
    /// The past minutes, oldest first.
    pub traffic: Vec<Traffic>,
    /// How full the maps are.
    pub fill: Vec<Fill>,
    /// Whether the policy file says something else than what runs; nothing where nobody compared them.
    pub drift: Option<bool>,
    /// How many drops were sampled; nothing where that is not known.
    pub samples: Option<Samples>,
    /// Whose packets were dropped in the past minute, as far as samples say.
    pub refused: Refused,
    /// What was dropped most, by each thing and over each span; nothing where no samples can be read.
    pub knocking: Option<Vec<Knocking>>,
    /// What was dropped last, newest first; nothing where no samples can be read.
    pub drops: Option<Vec<DroppedPacket>>,
}

/// What a reason ended, in all and lately.
#[derive(Clone, Debug, Serialize)]
pub struct ReasonTraffic {
    /// The reason.
    pub reason: &'static str,
    /// `pass`, `drop` or `would_drop`.
    pub action: &'static str,
    /// Packets since the filter was attached.
    pub packets: u64,
    /// Octets since the filter was attached.
    pub bytes: u64,
    /// Packets of the past ten seconds.
    pub recent_packets: u64,
}

/// What a rule let in, in all and lately.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RuleTraffic {
    /// The rule.
    pub rule: String,
    /// Packets since the filter was attached.
    pub packets: u64,
    /// Octets since the filter was attached.
    pub bytes: u64,
    /// Packets of the past ten seconds.
    pub recent_packets: u64,
    /// Octets of the past ten seconds.
    pub recent_bytes: u64,
    /// Packets in each of the past minutes' spans of ten seconds, oldest first.
    pub trend: Vec<u64>,
    /// For how many seconds nothing has come; since when this has been watched if nothing came since.
    pub quiet_for: u64,
}

/// A span of about a second.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Traffic {
    /// How long it was, in milliseconds.
    pub milliseconds: u64,
    /// Packets that passed as they should.
    pub passed: u64,
    /// Packets that were dropped.
    pub dropped: u64,
    /// Packets that monitor mode let pass.
    pub would_drop: u64,
    /// Those of both that came from a listed source: calls may be among them.
    pub listed_dropped: u64,
    /// Packets that a rule of a provider let in.
    pub by_rule: u64,
}

/// How full a map is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Fill {
    /// What the map holds, in snake case.
    pub map: &'static str,
    /// Its entries.
    pub entries: u64,
    /// How many it has room for.
    pub capacity: u64,
}

/// What became of the samples of drops.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Samples {
    /// Drops that were sampled.
    pub taken: u64,
    /// Drops that were not, because of the rate.
    pub lost: u64,
}

/// What was dropped most of late. From samples: numbers are estimates.
#[derive(Clone, Debug, Serialize)]
pub struct Knocking {
    /// Over which time.
    pub span: Span,
    /// By what.
    pub by: By,
    /// About how many packets were dropped in all.
    pub packets: u64,
    /// How many there were to choose from; at least.
    pub count: usize,
    /// The first of them, most first.
    pub most: Vec<Ranked>,
}

/// A sample of what was dropped.
#[derive(Clone, Debug, Serialize)]
pub struct DroppedPacket {
    /// When, in milliseconds since the epoch.
    pub at: u64,
    /// From where: an address, else a station of the link.
    pub source: String,
    /// From which port.
    pub source_port: Option<u16>,
    /// Where to, if it is an IP packet.
    pub destination: Option<IpAddr>,
    /// To which port.
    pub destination_port: Option<u16>,
    /// Its protocol, as in `udp`.
    pub protocol: String,
    /// The first line of its payload, if it looks like text.
    pub text: Option<String>,
    /// Why.
    pub reason: &'static str,
    /// Whether it passed all the same, in monitor mode.
    pub would_drop: bool,
}

/// A source that is fetched again and again.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SourceSnapshot {
    /// The provider.
    pub provider: String,
    /// For how many seconds its last accepted answer has been here; nothing if there is none.
    pub age: Option<u64>,
    /// How often it is asked, in seconds.
    pub every: u64,
    /// How many requests failed or were refused since the service was started; nothing where nobody counts.
    pub failures: Option<u64>,
}

/// How a node stands with its fleet.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FleetStanding {
    /// The node's name.
    pub node: String,
    /// Its group.
    pub group: Option<String>,
    /// Whether its broker is reached.
    pub connected: bool,
    /// The revision that the fleet wants, as far as is known.
    pub wanted: Option<u64>,
    /// The revision that is in force and stays; nothing if it is the node's own policy.
    pub running: Option<u64>,
    /// How many samples were published, and how many were not; nothing where none are to be.
    pub events: Option<[u64; 2]>,
}

/// The service beside the filters.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ServiceSnapshot {
    /// What went wrong and still is, a sentence each.
    pub errors: Vec<String>,
    /// How its policy stands on its interfaces: each state that there is, of each of them.
    pub states: Vec<StateSnapshot>,
}

/// Whether an interface is in a state.
#[derive(Clone, Debug, Serialize)]
pub struct StateSnapshot {
    /// The interface.
    pub interface: String,
    /// The state.
    pub state: &'static str,
    /// Whether it is in it.
    pub holds: bool,
}
