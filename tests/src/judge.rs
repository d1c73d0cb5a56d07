//! Judging a frame in both worlds at once: `decide` on the host, and the program in the kernel.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use anyhow::{Result, ensure};
use filter_common::{Action, Reason, SAMPLE_OCTETS, Sample, Stateless, Verdict, decide};
use filter_user::{
    kernel::{Sandbox, Stats},
    policy::{CompiledPolicy, HostPolicy, LiveAllow, LiveTables, Policy},
};
use tempfile::TempDir;

use crate::contest::check_plain;

/// The SBC's own addresses in `tests/fixtures/policy.toml`.
pub const SBC: &str = "198.51.100.10";
/// The same in IPv6.
pub const SBC_V6: &str = "2001:db8:ffff::10";

/// That address with a port.
pub fn sbc(port: u16) -> String {
    format!("{SBC}:{port}")
}

/// The same in IPv6.
pub fn sbc_v6(port: u16) -> String {
    format!("[{SBC_V6}]:{port}")
}

/// A policy in force in both worlds.
pub struct Judges {
    host: HostPolicy,
    rules: Vec<String>,
    kernel: MutexGuard<'static, Sandbox>,
}

/// What the kernel's counters say of one frame: reason, action as counted, and rule.
type Counted = (&'static str, &'static str, Option<String>);

impl Judges {
    /// Puts `tests/fixtures/policy.toml` in force, with these replacements made in its text.
    ///
    /// # Errors
    /// If a replacement matches nothing, the policy does not compile, or the kernel refuses the program.
    pub fn new(changes: &[(&str, &str)]) -> Result<Self> {
        Self::with_policy(&fixture_policy(changes)?)
    }

    /// Puts a compiled policy in force, until this is dropped: only then can another one be.
    ///
    /// # Errors
    /// If the kernel refuses the program.
    pub fn with_policy(policy: &CompiledPolicy) -> Result<Self> {
        let mut kernel = kernel()?;
        kernel.publish(policy)?;
        let rules = policy.rules.iter().map(|rule| rule.name.clone()).collect();
        Ok(Self { host: HostPolicy::new(policy), rules, kernel })
    }

    /// Lets in what these allows let in, beside the policy.
    ///
    /// # Errors
    /// If there is no room for them.
    pub fn allow(mut self, allows: &[LiveAllow]) -> Result<Self> {
        let rules: Vec<u16> =
            (0..allows.len()).map(|place| u16::try_from(self.rules.len() + place)).collect::<Result<_, _>>()?;
        // They have ended or never do: a time far from both ends does for now.
        self.host = self.host.with_live(LiveTables::new(allows, &rules)?, u64::from(u32::MAX));
        self.rules.extend(allows.iter().map(LiveAllow::rule));
        self.kernel.allow(allows)?;
        Ok(self)
    }

    /// The program alone, with no policy in force.
    ///
    /// # Errors
    /// If the kernel refuses the program.
    pub fn without_policy() -> Result<Unjudged> {
        Ok(Unjudged(Sandbox::new()?))
    }

    /// Asserts that both worlds give this reason and rule, and that the kernel acts and counts accordingly.
    ///
    /// # Panics
    /// If one does not.
    pub fn check(&mut self, name: &str, frame: &[u8], reason: Reason, rule: Option<&str>) {
        self.check_host(name, frame, reason, rule);
        let verdict = self.kernel.judge(frame).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        assert_eq!(self.named(verdict), (reason, rule), "the kernel's verdict on {name}");
        let expected = (reason.name(), reason.action().name(), rule.map(str::to_owned));
        assert_eq!(run(&mut self.kernel, name, frame), (reason.action(), expected), "the kernel on {name}");
    }

    /// Asserts that both worlds give this reason, and that the kernel lets the frame pass and counts it as `would_drop`.
    ///
    /// # Panics
    /// If one does not.
    pub fn check_monitored(&mut self, name: &str, frame: &[u8], reason: Reason) {
        self.check_host(name, frame, reason, None);
        let expected = (reason.name(), "would_drop", None);
        assert_eq!(run(&mut self.kernel, name, frame), (Action::Pass, expected), "the kernel on {name}");
    }

    /// Asserts that the kernel takes samples of these frames, in this order and of nothing else, under these reasons.
    ///
    /// # Panics
    /// If it does not.
    pub fn check_sampled(&mut self, frames: &[(&[u8], Reason)]) {
        let samples = |kernel: &Sandbox| kernel.samples().expect("the samples can be read").samples;
        let begun = samples(&self.kernel).last().map_or(0, |sample| sample.time);
        for (frame, _) in frames {
            self.kernel.run(frame).unwrap_or_else(|error| panic!("{error:#}"));
        }
        let sampled = samples(&self.kernel).into_iter().filter(|sample| sample.time > begun).collect::<Vec<_>>();
        let expected = frames.iter().filter(|(_, reason)| reason.action() == Action::Drop);
        let expected: Vec<_> = expected.map(|(frame, reason)| (*frame, frame.len(), *reason, 1)).collect();
        let whole = |sample: &Sample| usize::try_from(sample.length).expect("a length");
        let sampled = sampled.iter().map(|sample| {
            let (reason, would_drop) = sample.reason().expect("a reason");
            assert!(!would_drop, "{reason:?}");
            (sample.frame(), whole(sample), reason, sample.weight)
        });
        let kept = |(frame, length, reason, weight): (&'_ [u8], usize, Reason, u64)| {
            (frame[..frame.len().min(SAMPLE_OCTETS)].to_vec(), length, reason, weight)
        };
        assert_eq!(sampled.map(kept).collect::<Vec<_>>(), expected.into_iter().map(kept).collect::<Vec<_>>());
    }

    fn check_host(&self, name: &str, frame: &[u8], reason: Reason, rule: Option<&str>) {
        check_plain(frame);
        assert_eq!(self.named(decide(frame, &self.host, &Stateless)), (reason, rule), "the host on {name}");
    }

    /// A verdict with its rule's name.
    fn named(&self, verdict: Verdict) -> (Reason, Option<&str>) {
        (verdict.reason(), verdict.rule().map(|rule| self.rules[usize::from(rule)].as_str()))
    }
}

/// One program for all policies: the kernel takes a second to verify it, and many where it is emulated.
fn kernel() -> Result<MutexGuard<'static, Sandbox>> {
    static KERNEL: OnceLock<Mutex<Sandbox>> = OnceLock::new();
    let kernel = match KERNEL.get() {
        Some(kernel) => kernel,
        None => {
            let kernel = Mutex::new(Sandbox::new()?);
            KERNEL.get_or_init(|| kernel)
        }
    };
    // A test that failed leaves nothing half done: the next one puts its own policy in force.
    Ok(kernel.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The program with no policy in force.
pub struct Unjudged(Sandbox);

impl Unjudged {
    /// Asserts that the frame passes because there is no policy.
    ///
    /// # Panics
    /// If it does not.
    pub fn check_unjudged(&mut self, frame: &[u8]) {
        let expected = (Reason::NoPolicy.name(), "pass", None);
        assert_eq!(run(&mut self.0, "a frame", frame), (Action::Pass, expected));
    }
}

/// Runs the program on a frame; says what it did and what it counted for it: one packet and all its octets, once.
fn run(kernel: &mut Sandbox, name: &str, frame: &[u8]) -> (Action, Counted) {
    let before = kernel.stats().expect("the counters can be read");
    let action = kernel.run(frame).unwrap_or_else(|error| panic!("{name}: {error:#}"));
    let after = kernel.stats().expect("the counters can be read");
    (action, counted(name, frame, &before, &after))
}

fn counted(name: &str, frame: &[u8], before: &Stats, after: &Stats) -> Counted {
    let one = |packets: u64, bytes: u64| match (packets, bytes) {
        (0, 0) => false,
        (1, bytes) if bytes == frame.len() as u64 => true,
        _ => panic!("{name}: counted {packets} packets and {bytes} octets"),
    };
    let reasons = after.reasons.iter().zip(&before.reasons);
    let mut reasons = reasons.filter(|(now, then)| one(now.packets - then.packets, now.bytes - then.bytes));
    let rules = after.rules.iter().zip(&before.rules);
    let mut rules = rules.filter(|(now, then)| one(now.packets - then.packets, now.bytes - then.bytes));
    let (reason, _) = reasons.next().unwrap_or_else(|| panic!("{name}: no reason was counted"));
    let rule = rules.next().map(|(now, _)| now.rule.clone());
    assert!(reasons.next().is_none() && rules.next().is_none(), "{name}: counted twice");
    (reason.reason, reason.action, rule)
}

/// `tests/fixtures/policy.toml`, compiled, with these replacements made in its text.
///
/// # Errors
/// If a replacement matches nothing or the policy does not compile.
pub fn fixture_policy(changes: &[(&str, &str)]) -> Result<CompiledPolicy> {
    Ok(fixture(changes)?.compile()?)
}

/// `tests/fixtures/policy.toml` with these replacements made in its text.
///
/// # Errors
/// If a replacement matches nothing or the policy must be refused.
pub fn fixture(changes: &[(&str, &str)]) -> Result<Policy> {
    let (_directory, path) = fixture_file(changes)?;
    Ok(Policy::load(&path)?)
}

/// A file with the text of `tests/fixtures/policy.toml`, with these replacements made in it, in a directory that goes
/// with the first of the pair.
///
/// # Errors
/// If a replacement matches nothing.
pub fn fixture_file(changes: &[(&str, &str)]) -> Result<(TempDir, PathBuf)> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut text = fs::read_to_string(fixtures.join("policy.toml"))?;
    for (old, new) in changes {
        ensure!(text.contains(old), "the policy does not contain `{old}`");
        text = text.replacen(old, new, 1);
    }
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("policy.toml");
    fs::write(&path, text)?;
    fs::copy(fixtures.join("carrier.toml"), directory.path().join("carrier.toml"))?;
    Ok((directory, path))
}
