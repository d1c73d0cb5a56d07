//! Three judges of one frame: the oracle, `decide` on the host, and the program in the kernel.

use std::fmt;

use filter_common::{
    Action, Stateless, Verdict, decide,
    packet::{self, Content, PlainPacket},
};
use filter_user::{
    kernel::Sandbox,
    policy::{CompiledPolicy, HostPolicy, Policy, Refusals},
};

use crate::oracle::{Fate, Oracle};

/// A policy, as the oracle and the host judge by it.
pub struct Contest {
    compiled: CompiledPolicy,
    oracle: Oracle,
    host: HostPolicy,
    monitor: bool,
}

/// Asserts that what is read as a plain packet is what the parser reads in full.
///
/// # Panics
/// If it is not.
pub fn check_plain(frame: &[u8]) {
    if let Some(PlainPacket::Udp(packet) | PlainPacket::Tcp(packet)) = packet::parse_plain(frame) {
        assert_eq!(packet::parse(frame), Ok(Content::Ip(packet)));
    }
}

impl Contest {
    /// Judges by this policy, compiled and as it was written.
    ///
    /// # Errors
    /// If the policy must be refused.
    pub fn new(policy: &Policy) -> Result<Self, Refusals> {
        let compiled = policy.compile()?;
        Ok(Self {
            oracle: Oracle::new(policy),
            host: HostPolicy::new(&compiled),
            monitor: policy.file().sbc.monitor,
            compiled,
        })
    }

    /// Puts the policy in force in the kernel.
    ///
    /// # Panics
    /// If the kernel refuses it.
    pub fn publish(&self, kernel: &mut Sandbox) {
        kernel.publish(&self.compiled.without_limits()).expect("the policy is in force");
    }

    /// Whether drops are counted, not carried out.
    pub const fn monitors(&self) -> bool {
        self.monitor
    }

    /// The oracle.
    pub const fn oracle(&self) -> &Oracle {
        &self.oracle
    }

    /// Whether the kernel takes the frame in a test run: an Ethernet header is the least.
    pub const fn reaches_the_kernel(frame: &[u8]) -> bool {
        frame.len() >= 14
    }

    /// The host's verdict.
    ///
    /// # Panics
    /// If the frame is taken for a plain packet that is not in it.
    pub fn host(&self, frame: &[u8]) -> Fate<'_> {
        check_plain(frame);
        self.named(decide(frame, &self.host, &Stateless))
    }

    /// What all judges say of the frame; the kernel, where it is given, has the same policy in force.
    ///
    /// # Errors
    /// What each of them says, where they do not agree.
    ///
    /// # Panics
    /// If the kernel does not judge.
    pub fn agreed(&self, frame: &[u8], kernel: Option<&mut Sandbox>) -> Result<Fate<'_>, Dissent> {
        let (oracle, host) = (self.oracle.judge(frame), self.host(frame));
        let mut dissent = Dissent { oracle: text(oracle), host: text(host), kernel: None };
        let agreed = match kernel.filter(|_| Self::reaches_the_kernel(frame)) {
            None => oracle == host,
            Some(kernel) => {
                let verdict = self.named(kernel.judge(frame).expect("the program judges"));
                let action = kernel.run(frame).expect("the program runs");
                let passes = oracle.0.action() == Action::Pass || self.monitor;
                dissent.kernel = Some(format!("{} and {action:?}", text(verdict)));
                oracle == host && oracle == verdict && (action == Action::Pass) == passes
            }
        };
        if agreed { Ok(oracle) } else { Err(dissent) }
    }

    fn named(&self, verdict: Verdict) -> Fate<'_> {
        (verdict.reason(), verdict.rule().map(|rule| self.compiled.rules[usize::from(rule)].name.as_str()))
    }
}

/// What each judge says where they do not agree.
#[derive(Clone, Debug)]
pub struct Dissent {
    oracle: String,
    host: String,
    kernel: Option<String>,
}

impl fmt::Display for Dissent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { oracle, host, kernel } = self;
        write!(f, "the oracle says {oracle}, the host {host}")?;
        kernel.iter().try_for_each(|kernel| write!(f, ", the kernel {kernel}"))
    }
}

fn text((reason, rule): Fate<'_>) -> String {
    match rule {
        Some(rule) => format!("{} by {rule}", reason.name()),
        None => reason.name().to_owned(),
    }
}
