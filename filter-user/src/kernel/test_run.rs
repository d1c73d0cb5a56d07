//! The program in the kernel without an interface: `BPF_PROG_TEST_RUN`.

use anyhow::{Context as _, Result, bail};
use aya::{Ebpf, TestRun as _, TestRunOptions};
use filter_common::Action;

use super::{counters::Stats, maps::Maps, program};
use crate::policy::CompiledPolicy;

/// A loaded program with maps of its own, attached to nothing.
pub struct Sandbox {
    ebpf: Ebpf,
    maps: Maps,
}

/// `XDP_DROP` in the kernel's `include/uapi/linux/bpf.h`.
const XDP_DROP: u32 = 1;
/// `XDP_PASS` in the kernel's `include/uapi/linux/bpf.h`.
const XDP_PASS: u32 = 2;

impl Sandbox {
    /// Loads the program.
    ///
    /// # Errors
    /// If the kernel refuses it, which it does to all but root.
    pub fn new() -> Result<Self> {
        let mut ebpf = program::load(None)?;
        let maps = Maps::of(&mut ebpf)?;
        Ok(Self { ebpf, maps })
    }

    /// Puts a policy in force and returns its generation.
    ///
    /// # Errors
    /// If the maps cannot be written.
    pub fn publish(&mut self, policy: &CompiledPolicy) -> Result<u64> {
        self.maps.publish(policy, "sandbox")
    }

    /// Runs the program on a frame of at least 14 octets and says what it did with it.
    ///
    /// # Errors
    /// If the kernel refuses the frame, or the program ends in an action that it should not know.
    pub fn run(&mut self, frame: &[u8]) -> Result<Action> {
        let options = TestRunOptions { data_in: Some(frame), ..TestRunOptions::default() };
        let result = program::xdp(&mut self.ebpf)?.test_run(options).context("the kernel refuses the test run")?;
        match result.return_value {
            XDP_DROP => Ok(Action::Drop),
            XDP_PASS => Ok(Action::Pass),
            other => bail!("the program ended in the XDP action {other}"),
        }
    }

    /// What the program has counted.
    ///
    /// # Errors
    /// If the maps cannot be read.
    pub fn stats(&self) -> Result<Stats> {
        self.maps.stats("sandbox")
    }
}
