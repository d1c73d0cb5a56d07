//! Who judges: the program in the kernel, or the same decision on the host.

use std::ops::RangeInclusive;

use anyhow::Result;
use filter_common::{
    Reason, Verdict, decide,
    packet::{self, Content},
    tables::flags,
};

use super::CapturedFrame;
use crate::{
    kernel::Sandbox,
    policy::{CompiledPolicy, HostPolicy, HostState},
};

/// What is known of a frame's fate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The verdict, with the rule as its place in [`CompiledPolicy::rules`].
    Judged(Verdict),
    /// The decision needs octets that the capture cut off.
    Unknown,
}

/// Something that judges frames by a policy.
pub trait Engine {
    /// What becomes of a frame, whatever the policy's mode.
    ///
    /// # Errors
    /// If the engine breaks down.
    fn judge(&mut self, frame: &CapturedFrame<'_>) -> Result<Outcome>;
}

/// The decision on the host, which remembers fragments by the capture's clock.
pub struct HostEngine {
    policy: HostPolicy,
    state: HostState,
    /// Whether the fate of some frame was unknown.
    any_unknown: bool,
}

impl HostEngine {
    /// An engine that judges by this policy.
    pub fn new(policy: &CompiledPolicy) -> Self {
        Self { policy: HostPolicy::new(&policy.without_limits()), state: HostState::default(), any_unknown: false }
    }

    fn outcome(&self, frame: &CapturedFrame<'_>) -> Outcome {
        self.state.advance_to(frame.time());
        let verdict = decide(frame, &self.policy, &self.state);
        // The first fragment may be one of those whose fate is unknown.
        let early = self.any_unknown && verdict.reason() == Reason::FragmentEarly;
        if early || frame.has_missed() { Outcome::Unknown } else { Outcome::Judged(verdict) }
    }
}

impl Engine for HostEngine {
    fn judge(&mut self, frame: &CapturedFrame<'_>) -> Result<Outcome> {
        let outcome = self.outcome(frame);
        self.any_unknown |= outcome == Outcome::Unknown;
        Ok(outcome)
    }
}

/// The lengths in octets of the frames that the kernel's test run takes as they are.
///
/// It refuses those that are shorter than an Ethernet header, and splits those that do not fit into a page with its
/// headroom and its largest tailroom (256 and 768 octets, `net/bpf/test_run.c`): of such a frame the program would see
/// the first piece alone.
pub const KERNEL_FRAMES: RangeInclusive<usize> = 14..=3072;

/// The program in the kernel; the host stands in for it where the kernel does not take the frame as it was on the wire,
/// and for all that it would have to remember: the kernel's clock is not the capture's, and two memories would each have
/// a part.
pub struct KernelEngine {
    sandbox: Sandbox,
    host: HostEngine,
    /// Whether fragments are remembered.
    remembers: bool,
}

impl KernelEngine {
    /// Loads the program and puts this policy in force; nothing is attached.
    ///
    /// # Errors
    /// If the kernel refuses, which it does to all but root.
    pub fn new(policy: &CompiledPolicy) -> Result<Self> {
        let mut sandbox = Sandbox::new()?;
        sandbox.publish(&policy.without_limits())?;
        let remembers = policy.tables.settings.has(flags::FRAGMENTS_TRACKED);
        Ok(Self { sandbox, host: HostEngine::new(policy), remembers })
    }

    /// Whether the kernel judges the frame.
    fn takes(&self, frame: &CapturedFrame<'_>) -> bool {
        let as_it_was = frame.is_whole() && KERNEL_FRAMES.contains(&frame.length());
        as_it_was && !(self.remembers && is_fragment(frame))
    }
}

impl Engine for KernelEngine {
    fn judge(&mut self, frame: &CapturedFrame<'_>) -> Result<Outcome> {
        if self.takes(frame) {
            return Ok(Outcome::Judged(self.sandbox.judge(frame.octets())?));
        }
        self.host.judge(frame)
    }
}

fn is_fragment(frame: &CapturedFrame<'_>) -> bool {
    matches!(packet::parse(frame), Ok(Content::Ip(packet)) if !packet.fragment.is_whole())
}
