//! The corpora of the fuzz targets, each file one input.
//!
//! Of `decide`'s inputs the first octet chooses the policy, the others are the frame.

use std::{fs, path::Path};

use anyhow::Result;
use filter_user::kernel::Sandbox;

use crate::{
    contest::{Contest, Dissent},
    judge::fixture,
};

/// Changes to the text of `tests/fixtures/policy.toml`, one policy each, which differ in the ways through `decide`.
const POLICIES: [&[(&str, &str)]; 6] = [
    &[],
    &[("[sbc]\n", "[sbc]\nscope = \"ports\"\n")],
    &[("[sbc]\n", "[sbc]\nfragments = \"drop\"\n")],
    &[(
        "[sbc.listen]",
        "[classes]\nping = \"pass\"\ndhcp = \"pass\"\nvrrp = \"pass\"\nospf = \"pass\"\nbfd = \"pass\"\n[sbc.listen]",
    )],
    &[("addresses = [\"198.51.100.10\", \"2001:db8:ffff::10\"]\n", "")],
    &[("[sbc]\n", "[sbc]\nmode = \"monitor\"\n"), ("[sbc.listen]", "[classes]\nlink_control = \"drop\"\n[sbc.listen]")],
];

/// The judges of every policy.
pub struct Judges(Vec<Contest>);

impl Judges {
    /// The judges, on the host.
    pub fn new() -> Self {
        let contest = |changes: &&[(&str, &str)]| Contest::new(&fixture(changes).expect("the fixture is a policy"));
        Self(POLICIES.iter().map(|changes| contest(changes).expect("the fixture compiles")).collect())
    }

    /// Lets the oracle and the host judge an input.
    ///
    /// # Errors
    /// What they say, if it is not the same.
    pub fn on_host(&self, input: &[u8]) -> Result<(), Dissent> {
        let Some((policy, frame)) = input.split_first() else {
            return Ok(());
        };
        self.0[usize::from(*policy) % self.0.len()].agreed(frame, None).map(drop)
    }

    /// Lets all three judge every input by every policy; returns how often the kernel did.
    ///
    /// # Errors
    /// What they say, if it is not the same.
    ///
    /// # Panics
    /// If a policy cannot be put in force.
    pub fn in_the_kernel(&self, inputs: &[Vec<u8>], kernel: &mut Sandbox) -> Result<usize, Dissent> {
        let mut judged = 0;
        for contest in &self.0 {
            contest.publish(kernel);
            for (_, frame) in inputs.iter().filter_map(|input| input.split_first()) {
                contest.agreed(frame, Some(kernel))?;
                judged += usize::from(Contest::reaches_the_kernel(frame));
            }
        }
        Ok(judged)
    }
}

impl Default for Judges {
    fn default() -> Self {
        Self::new()
    }
}

/// The inputs of a fuzz target that are checked in.
///
/// # Errors
/// If they cannot be read.
pub fn inputs(target: &str) -> Result<Vec<Vec<u8>>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    fs::read_dir(directory)?.map(|entry| Ok(fs::read(entry?.path())?)).collect()
}
