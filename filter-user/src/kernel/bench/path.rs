//! A packet's whole way measured: what makes packets, and what the filter stands beside on an interface.

use anyhow::{Context as _, Result};
use aya::{
    TestRun as _, TestRunAttrs, TestRunOptions,
    maps::{Array, PerCpuArray},
    programs::{Xdp, xdp::XdpMode},
};
use filter_common::Counter;

use super::{Bench, Slice};
use crate::kernel::maps::Value;

/// How many packets are made before the CPU turns to who receives them.
const BATCH: u32 = 64;

/// A program that stands on an interface in the filter's place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PathProgram {
    /// Drops everything, which is the least that a filter can do.
    DropAll,
    /// Lets everything in.
    PassAll,
    /// Reads the packet as the filter does, and drops it.
    DropParsed,
    /// Reads the packet as the filter does, and lets it in.
    PassParsed,
    /// Reads the packet as the filter does, one word by the source, counts and drops it.
    DropLeast,
    /// The same with another word by the port, and lets it in.
    PassLeast,
    /// The kernel's trie and a list of port ranges: the prefixes and ranges of [`Bench::set_peer`].
    DropByTrie,
}

impl Bench {
    /// Sends so many IPv4 packets out of an interface of this thread's network namespace, each from a new source of
    /// [`Bench::set_sources`]; the same sources every time. Says what taking them in cost, which
    /// [`Bench::time_softirqs`] times.
    ///
    /// # Errors
    /// If the kernel refuses the frame.
    pub fn flood(&mut self, interface: u32, frame: &[u8], packets: u32) -> Result<Vec<Slice>> {
        Array::try_from(self.map("FLOOD_OUT_OF")?)?.set(0, interface, 0)?;
        self.seed()?;
        self.empty_slices()?;
        let attrs = TestRunAttrs::new().xdp_live_frames(BATCH);
        let options = TestRunOptions { data_in: Some(frame), repeat: packets, attrs, ..TestRunOptions::default() };
        self.xdp("flood")?.test_run(options).context("the kernel refuses the live frames")?;
        self.slices()
    }

    /// Attaches a program to an interface of this thread's network namespace; `generic`: in the stack, not in the driver.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn attach(&mut self, program: PathProgram, interface: &str, generic: bool) -> Result<()> {
        let name = match program {
            PathProgram::DropAll => "drop_all",
            PathProgram::PassAll => "pass_all",
            PathProgram::DropParsed => "drop_parsed",
            PathProgram::PassParsed => "pass_parsed",
            PathProgram::DropLeast => "drop_least",
            PathProgram::PassLeast => "pass_least",
            PathProgram::DropByTrie => "drop_by_trie",
        };
        let mode = if generic { XdpMode::Skb } else { XdpMode::Driver };
        let attached = self.xdp(name)?.attach(interface, mode);
        attached.map(drop).with_context(|| format!("`{name}` cannot be attached to `{interface}`"))
    }

    /// How many packets these programs have dropped.
    ///
    /// # Errors
    /// If the map cannot be read.
    pub fn dropped(&mut self) -> Result<u64> {
        let counters: PerCpuArray<_, Value<Counter>> = self.map("PATH_DROPPED")?.try_into()?;
        Ok(counters.get(&0, 0)?.iter().map(|Value(counter)| counter.packets).sum())
    }

    pub(super) fn xdp(&mut self, name: &str) -> Result<&mut Xdp> {
        let program = self.ebpf.program_mut(name).with_context(|| format!("the object has no program `{name}`"))?;
        Ok(program.try_into()?)
    }
}
