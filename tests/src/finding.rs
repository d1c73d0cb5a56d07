//! A packet on which the judges do not agree, made as small as it goes, and kept as a file.

use std::{
    fmt::{self, Write as _},
    path::Path,
};

use filter_common::Reason;
use filter_user::{allowlist::Allowlist, kernel::Sandbox, policy::Policy};
use serde::{Deserialize, Serialize};

use crate::{
    contest::{Contest, Dissent},
    generate::{Aim, Choices, WrittenPolicy, frame, shrink},
};

/// A packet, the policy that it is judged by, and the verdict that the documentation words.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What went wrong, in a sentence.
    pub what: String,
    /// The reason's name.
    pub reason: String,
    /// The rule's name.
    pub rule: Option<String>,
    /// The frame in hexadecimal digits.
    pub frame: String,
    /// The policy file.
    pub policy: String,
    /// The allowlists that it names.
    #[serde(default)]
    pub allowlists: Vec<Allowlist>,
}

impl Finding {
    /// Reads a finding from its file.
    ///
    /// # Errors
    /// If the file cannot be read or is no finding.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        Ok(toml::from_str(&std::fs::read_to_string(path)?)?)
    }

    /// The frame's octets.
    pub fn octets(&self) -> Vec<u8> {
        let digits = self.frame.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap_or_default());
        digits.map(|pair| u8::from_str_radix(pair, 16).expect("the frame is in hexadecimal digits")).collect()
    }

    /// Asserts that every judge gives the verdict that the finding states.
    ///
    /// # Panics
    /// If one does not.
    pub fn check(&self, name: &str, kernel: &mut Sandbox) {
        let written = WrittenPolicy { text: self.policy.clone(), allowlists: self.allowlists.clone() };
        let (policy, contest) = judges(&written).expect("the policy compiles");
        kernel.publish(&policy.compile().expect("the policy compiles")).expect("the policy is in force");
        let fate = contest.agreed(&self.octets(), Some(kernel)).unwrap_or_else(|dissent| panic!("{name}: {dissent}"));
        let stated = Reason::from_name(&self.reason).expect("the finding names a reason");
        assert_eq!(fate, (stated, self.rule.as_deref()), "{name}: {}", self.what);
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&toml::to_string_pretty(self).map_err(|_| fmt::Error)?)
    }
}

/// The judges of a policy, unless it must be refused.
pub fn judges(written: &WrittenPolicy) -> Option<(Policy, Contest)> {
    let policy = written.load()?;
    let compiled = policy.compile().ok()?;
    let contest = Contest::new(&policy, &compiled);
    Some((policy, contest))
}

/// The choices behind a policy and a frame on which the judges do not agree.
pub struct Disagreement {
    /// Those of the policy.
    pub policy: Vec<u32>,
    /// Those of the frame.
    pub frame: Vec<u32>,
}

impl Disagreement {
    /// The smallest policy and frame found on which the judges still do not agree, and what they say.
    ///
    /// The kernel is asked too, which takes a policy to be put in force for every attempt.
    pub fn shrunk(self, kernel: &mut Sandbox) -> Option<(Finding, Dissent)> {
        let Self { policy, frame } = self;
        let written = WrittenPolicy::new(&mut Choices::replay(policy.clone()));
        publish(&written, kernel);
        let frame = shrink(frame, |frame| {
            let octets = aimed(&written, frame);
            octets.is_some_and(|octets| dissent(&written, &octets, kernel).is_some())
        });
        let octets = aimed(&written, &frame)?;
        let policy = shrink(policy, |policy| {
            let written = WrittenPolicy::new(&mut Choices::replay(policy.to_vec()));
            publish(&written, kernel) && dissent(&written, &octets, kernel).is_some()
        });
        let written = WrittenPolicy::new(&mut Choices::replay(policy));
        publish(&written, kernel);
        let dissent = dissent(&written, &octets, kernel)?;
        Some((finding(&written, &octets), dissent))
    }
}

fn publish(written: &WrittenPolicy, kernel: &mut Sandbox) -> bool {
    let compiled = written.load().and_then(|policy| policy.compile().ok());
    compiled.is_some_and(|compiled| kernel.publish(&compiled).is_ok())
}

fn aimed(written: &WrittenPolicy, choices: &[u32]) -> Option<Vec<u8>> {
    let (policy, contest) = judges(written)?;
    Some(frame(&mut Choices::replay(choices.to_vec()), &Aim::new(&policy, contest.oracle())))
}

fn dissent(written: &WrittenPolicy, octets: &[u8], kernel: &mut Sandbox) -> Option<Dissent> {
    let (_, contest) = judges(written)?;
    contest.agreed(octets, Some(kernel)).err()
}

/// What the oracle says of the frame, as a finding to be kept.
fn finding(written: &WrittenPolicy, octets: &[u8]) -> Finding {
    let judges = judges(written);
    let fate = judges.as_ref().map(|(_, contest)| contest.oracle().judge(octets));
    Finding {
        what: "say here what went wrong".to_owned(),
        reason: fate.map_or("", |(reason, _)| reason.name()).to_owned(),
        rule: fate.and_then(|(_, rule)| rule).map(str::to_owned),
        frame: hexadecimal(octets),
        policy: written.text.clone(),
        allowlists: written.allowlists.clone(),
    }
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut digits, octet| {
        write!(digits, "{octet:02x}").expect("a string takes every write");
        digits
    })
}
