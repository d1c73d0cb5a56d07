//! What packets cost in each slice of a run: what the programs that measure note of it.

use anyhow::{Context as _, Result};
use aya::{maps::Array, programs::RawTracePoint};
use rustix::thread::sched_getcpu;

use super::Bench;
use crate::kernel::maps::Value;

/// How many slices are kept.
const SLICES: usize = 8192;
/// The softirqs whose beginning and end are timed.
const TIMED: [&str; 2] = ["softirq_entry", "softirq_exit"];

/// The packets of one slice of a run, and what they cost.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Slice {
    /// What they cost, in nanoseconds.
    pub nanoseconds: u64,
    /// How many they were.
    pub packets: u64,
}

#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Slices {
    cpu: u64,
    begun: u64,
    current: Slice,
    closed: u64,
    list: [Slice; SLICES],
}

impl Bench {
    /// Times what the CPU of this thread takes in from now on.
    ///
    /// # Errors
    /// If the kernel does not let programs see its softirqs.
    pub fn time_softirqs(&mut self) -> Result<()> {
        for name in TIMED {
            let program: &mut RawTracePoint =
                self.ebpf.program_mut(name).context("a program is missing")?.try_into()?;
            program.attach(name).with_context(|| format!("`{name}` cannot be watched"))?;
        }
        Ok(())
    }

    /// What packets have cost since the slices were emptied: the last of them, where they were more than are kept.
    ///
    /// # Errors
    /// If the map cannot be read.
    pub fn slices(&mut self) -> Result<Vec<Slice>> {
        let map: Array<_, Value<Slices>> = self.map("BENCH_SLICES")?.try_into()?;
        let Value(slices) = map.get(&0, 0)?;
        Ok(slices.list[..SLICES.min(slices.closed.try_into()?)].to_vec())
    }

    /// Empties the slices.
    ///
    /// # Errors
    /// If the map cannot be written.
    pub fn empty_slices(&mut self) -> Result<()> {
        let none: Slices = bytemuck::Zeroable::zeroed();
        let map = self.map("BENCH_SLICES")?;
        Ok(Array::try_from(map)?.set(0, Value(Slices { cpu: sched_getcpu().try_into()?, ..none }), 0)?)
    }
}
