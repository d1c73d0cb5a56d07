//! When slots were left: what is written into one must not be in the middle of being read.
//!
//! There are three slots, of policies and of live allows. What is new goes into one that no packet finds its way into any
//! more. But a packet that found it before may still be on its way through the program.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result};
use rustix::thread::{MembarrierCommand, membarrier};

use super::{
    maps::{Maps, Value},
    standing,
};
use crate::fault;

/// How long after a slot was left no packet is in the middle of it.
///
/// The program takes less than a microsecond for a packet, and nothing on its CPU interrupts it but interrupts. Only where
/// a hypervisor takes the CPU itself away does it last longer.
const SETTLED: Duration = Duration::from_secs(1);

/// What stands in place of a time while packets find their way into a slot.
const IN_USE: u64 = u64::MAX;

/// What has slots.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Slots {
    Policies,
    LiveAllows,
}

impl Maps {
    /// Waits until no packet is in the middle of a slot that is to be written, and is none that was left long ago.
    pub(super) fn await_slot(&mut self, of: Slots, slot: u32) -> Result<()> {
        let mut left_at = self.left_at.get(&(of as u32), 0).context("cannot read when slots were left")?.0;
        let left = &mut left_at[usize::try_from(slot)?];
        let since = Duration::from_nanos(standing::now().saturating_sub(*left));
        if *left != 0 && since < SETTLED {
            wait(SETTLED.saturating_sub(since));
        }
        *left = IN_USE;
        fault::step();
        self.left_at.set(of as u32, Value(left_at), 0).context("cannot note when slots were left")
    }

    /// Notes after a switch that packets find their way into these slots alone. What is not noted, such as a trial's end, is
    /// taken for in use: the next that is written there waits.
    pub(super) fn note_slots(&mut self, of: Slots, in_use: &[u32]) -> Result<()> {
        let now = standing::now();
        let mut left_at = self.left_at.get(&(of as u32), 0).context("cannot read when slots were left")?.0;
        for (slot, left) in (0..).zip(&mut left_at) {
            if *left == IN_USE && !in_use.contains(&slot) {
                *left = now;
            }
        }
        fault::step();
        self.left_at.set(of as u32, Value(left_at), 0).context("cannot note when slots were left")
    }
}

/// Waits for every packet that is in the middle of the program.
fn wait(at_the_most: Duration) {
    // In the kernel this is `synchronize_rcu` (`kernel/sched/membarrier.c`): it returns when every CPU has left what it was
    // in. Kernels whose CPUs can do without a tick refuse it.
    if membarrier(MembarrierCommand::Global).is_err() {
        thread::sleep(at_the_most);
    }
}
