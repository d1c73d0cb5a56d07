//! The stages of the filter, each with all that stand before it.

use aya_ebpf::{btf_maps::Array, macros::btf_map, programs::XdpContext};
use filter_common::{
    Address, Policy, Reason, Sequel, TheVerdict, Verdict,
    live::{Allowance, LiveQuery},
    packet::{self, Frame, Packet, PlainPacket, Transport},
    tables::{Knobs, Tables},
};

use crate::{
    frame::Sent,
    headers::{Header, Outcome},
    judge::judge_frame,
    outcome::{self, CarryOut},
    policy::PolicyInForce,
};

/// The source set of what is listed.
#[btf_map]
static BENCH_LISTED: Array<u32, 1> = Array::new();

/// A policy that knows every source without looking it up.
struct Known {
    policy: PolicyInForce,
    source_set: u32,
}

impl Policy for Known {
    #[inline(always)]
    fn tables(&self) -> &Tables {
        self.policy.tables()
    }

    #[inline(always)]
    fn knobs(&self) -> Knobs {
        self.policy.knobs
    }

    #[inline(always)]
    fn source_set(&self, _: Address) -> u32 {
        self.source_set
    }

    #[inline(always)]
    fn is_denied(&self, source: Address) -> bool {
        self.policy.is_denied(source)
    }

    #[inline(always)]
    fn live_allow(&self, source: Address, query: LiveQuery) -> Allowance {
        self.policy.live_allow(source, query)
    }

    #[inline(always)]
    fn has_live_entries(&self) -> bool {
        self.policy.has_live_entries()
    }
}

/// Counts a verdict, and no more.
struct Count<'a>(&'a Header);

impl Sequel for Count<'_> {
    type End = Outcome;

    #[inline(always)]
    fn of(self, verdict: Verdict, knobs: Knobs) -> Outcome {
        outcome::count(verdict, knobs, self.0.length() as u64);
        Outcome::of(verdict)
    }
}

/// Carries a verdict out, and says what it was.
struct Whole<'a>(CarryOut<'a, Sent>);

impl Sequel for Whole<'_> {
    type End = Outcome;

    #[inline(always)]
    fn of(self, verdict: Verdict, knobs: Knobs) -> Outcome {
        self.0.of(verdict, knobs);
        Outcome::of(verdict)
    }
}

impl Outcome {
    const REFUSED: Self = Self { passes: false, digest: 0 };

    #[inline(always)]
    fn of(verdict: Verdict) -> Self {
        Self { passes: verdict.is(Reason::Listed), digest: verdict.code().into() }
    }
}

#[inline(always)]
pub(crate) fn nothing(_: &XdpContext, header: &Header) -> Outcome {
    let octet = header.read::<14>(0).map_or(0, packet::Header::u8::<12>);
    Outcome { passes: false, digest: octet.into() }
}

#[inline(always)]
pub(crate) fn parse(_: &XdpContext, header: &Header) -> Outcome {
    Outcome { passes: false, digest: parsed(header) }
}

#[inline(always)]
pub(crate) fn policy_in_force(_: &XdpContext, header: &Header) -> Outcome {
    let generation = PolicyInForce::read().map_or(0, |policy| policy.tables().settings.generation);
    Outcome { passes: false, digest: parsed(header).wrapping_add(generation) }
}

#[inline(always)]
pub(crate) fn unlisted(context: &XdpContext, header: &Header) -> Outcome {
    known(context, header, 0)
}

#[inline(always)]
pub(crate) fn listed(context: &XdpContext, header: &Header) -> Outcome {
    known(context, header, BENCH_LISTED.get(0).copied().unwrap_or_default())
}

#[inline(always)]
pub(crate) fn decision(context: &XdpContext, header: &Header) -> Outcome {
    match PolicyInForce::read() {
        Some(policy) => Outcome::of(judge_frame(context, header, &policy, policy.switch, TheVerdict)),
        None => Outcome::REFUSED,
    }
}

#[inline(always)]
pub(crate) fn counted(context: &XdpContext, header: &Header) -> Outcome {
    let Some(policy) = PolicyInForce::read() else { return Outcome::REFUSED };
    judge_frame(context, header, &policy, policy.switch, Count(header))
}

#[inline(always)]
pub(crate) fn whole(context: &XdpContext, header: &Header) -> Outcome {
    let Some(policy) = PolicyInForce::read() else { return Outcome::REFUSED };
    judge_frame(context, header, &policy, policy.switch, Whole(CarryOut { context, frame: header }))
}

#[inline(always)]
fn known(context: &XdpContext, header: &Header, source_set: u32) -> Outcome {
    match PolicyInForce::read() {
        Some(policy) => {
            let switch = policy.switch;
            let policy = Known { policy, source_set };
            Outcome::of(judge_frame(context, header, &policy, switch, TheVerdict))
        }
        None => Outcome::REFUSED,
    }
}

/// What the parser found, in one number.
#[inline(always)]
pub(crate) fn parsed(header: &Header) -> u64 {
    match packet::parse_plain(header) {
        Some(PlainPacket::Udp(packet) | PlainPacket::Tcp(packet)) => digest(&packet),
        None => 1,
    }
}

#[inline(always)]
fn digest(packet: &Packet) -> u64 {
    let [high, low] = packet.source.words();
    let ports = match packet.transport {
        Transport::Udp { source, destination } | Transport::Tcp { source, destination, .. } => {
            u64::from(source.number()) << 16 | u64::from(destination.number())
        }
        _ => 0,
    };
    high ^ low ^ ports
}
