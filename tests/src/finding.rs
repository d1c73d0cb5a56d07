//! A packet on which the judges do not agree, made as small as it goes, and kept as a file.

use std::{
    fmt::{self, Write as _},
    path::Path,
};

use filter_common::Reason;
use filter_user::{allowlist::Allowlist, kernel::Sandbox};
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
    /// What the oracle says of the frame, to be kept.
    fn new(written: &WrittenPolicy, octets: &[u8]) -> Option<Self> {
        let contest = written.contest()?;
        let (reason, rule) = contest.oracle().judge(octets);
        Some(Self {
            what: "say here what went wrong".to_owned(),
            reason: reason.name().to_owned(),
            rule: rule.map(str::to_owned),
            frame: hexadecimal(octets),
            policy: written.text.clone(),
            allowlists: written.allowlists.clone(),
        })
    }

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
        let contest = written.contest().expect("the policy compiles");
        contest.publish(kernel);
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
        let octets = with_policy(&policy, kernel, |contest, kernel| smallest_frame(contest, frame, kernel))?;
        let shows = |policy: &[u32], kernel: &mut Sandbox| {
            with_policy(policy, kernel, |contest, kernel| contest.agreed(&octets, Some(kernel)).err()).flatten()
        };
        let policy = shrink(policy, |policy| shows(policy, kernel).is_some());
        let dissent = shows(&policy, kernel)?;
        Some((Finding::new(&WrittenPolicy::new(&mut Choices::replay(policy)), &octets)?, dissent))
    }
}

/// Does something with the policy of these choices in force, unless it must be refused.
fn with_policy<T>(choices: &[u32], kernel: &mut Sandbox, run: impl FnOnce(&Contest, &mut Sandbox) -> T) -> Option<T> {
    let contest = WrittenPolicy::new(&mut Choices::replay(choices.to_vec())).contest()?;
    contest.publish(kernel);
    Some(run(&contest, kernel))
}

/// The smallest frame found on which the judges still do not agree.
fn smallest_frame(contest: &Contest, choices: Vec<u32>, kernel: &mut Sandbox) -> Vec<u8> {
    let aim = Aim::new(contest.oracle());
    let octets = |choices: &[u32]| frame(&mut Choices::replay(choices.to_vec()), &aim);
    octets(&shrink(choices, |choices| contest.agreed(&octets(choices), Some(kernel)).is_err()))
}

/// Octets in hexadecimal digits.
pub(crate) fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut digits, octet| {
        write!(digits, "{octet:02x}").expect("a string takes every write");
        digits
    })
}
