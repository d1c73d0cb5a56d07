//! Which generation is in force, whether it stays, and where the next one goes.

use std::time::Duration;

use anyhow::{Context as _, Result};
use filter_common::{
    GenerationInfo, Trial,
    tables::{GENERATIONS, Switch},
};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use super::maps::{Maps, Value};
use crate::fault;

/// Whether the generation that was published last stays.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Confirmation {
    /// It stays.
    Confirmed,
    /// It stays if it is confirmed in time.
    Pending {
        /// Seconds until the policy before it is in force again, rounded up.
        remaining_seconds: u64,
        /// The generation that is in force then; nothing if everything passes then.
        fallback: Option<u64>,
    },
    /// It was not confirmed in time, and the one before it is in force again; or everything passes, if there was none.
    RolledBack {
        /// The generation that was not confirmed.
        generation: u64,
    },
}

/// What the switch and the trials say at some time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) switch: Switch,
    pub(super) trial: Trial,
    /// The monotonic clock, in nanoseconds.
    pub(super) now: u64,
}

impl Standing {
    /// The slot that packets are judged by; it may hold no policy.
    pub(super) const fn slot(&self) -> u32 {
        if self.trial.has_failed(self.now) { self.trial.fallback } else { self.switch.slot }
    }

    /// A slot that no packet looks at, nor will if the generation on trial fails.
    pub(super) fn free_slot(&self) -> u32 {
        let next = (self.switch.slot + 1) % GENERATIONS;
        let taken = self.trial.is_pending() && next == self.trial.fallback;
        if taken { (next + 1) % GENERATIONS } else { next }
    }

    /// The trial of the next generation: where it fails, what stays of those before it is in force again.
    pub(super) fn trial(&self, confirm_within: Option<Duration>) -> Result<Trial> {
        let Some(limit) = confirm_within else { return Ok(Trial::NONE) };
        let stays = if self.trial.is_pending() { self.trial.fallback } else { self.switch.slot };
        let limit = u64::try_from(limit.as_nanos()).context("the time to confirm is too long")?;
        Ok(Trial::until(self.now.saturating_add(limit), stays))
    }
}

impl Maps {
    /// Which generation is in force now.
    pub(super) fn standing(&self) -> Result<Standing> {
        let switch = self.switch()?;
        Ok(Standing { switch, trial: self.trials.get(&switch.slot, 0)?.0, now: now() })
    }

    /// The generation in force; nothing where everything passes.
    pub(super) fn in_force(&self) -> Result<Option<GenerationInfo>> {
        self.generation_in(self.standing()?.slot())
    }

    /// The generation in a slot.
    pub(super) fn generation_in(&self, slot: u32) -> Result<Option<GenerationInfo>> {
        let info = self.generation_info.get(&slot, 0)?.0;
        Ok((info.generation != 0).then_some(info))
    }

    /// The number of the generation that the switch names, on trial or not, failed or not; 0 where its slot is empty.
    pub(super) fn named_generation(&self) -> Result<u64> {
        Ok(self.generation_in(self.switch()?.slot)?.map_or(0, |info| info.generation))
    }

    /// The number of the last generation that was published; 0 before the first one.
    pub(super) fn last_generation(&self) -> Result<u64> {
        (0..GENERATIONS).try_fold(0, |last, slot| Ok(self.generation_info.get(&slot, 0)?.0.generation.max(last)))
    }

    /// Whether the generation that was published last stays.
    pub(super) fn confirmation(&self) -> Result<Confirmation> {
        let Standing { switch, trial, now } = self.standing()?;
        let generation = |slot| Ok::<_, anyhow::Error>(self.generation_in(slot)?.map(|info| info.generation));
        // An empty slot is nobody's trial.
        let Some(newest) = generation(switch.slot)? else { return Ok(Confirmation::Confirmed) };
        Ok(if trial.has_failed(now) {
            Confirmation::RolledBack { generation: newest }
        } else if trial.is_pending() {
            let left = Duration::from_nanos(trial.confirm_by - now);
            Confirmation::Pending {
                remaining_seconds: left.as_secs() + u64::from(left.subsec_nanos() > 0),
                fallback: generation(trial.fallback)?,
            }
        } else {
            Confirmation::Confirmed
        })
    }

    /// Ends the trial: the generation stays.
    pub(super) fn end_trial(&mut self) -> Result<()> {
        let Standing { switch, trial, now: _ } = self.standing()?;
        fault::step();
        self.trials
            .set(switch.slot, Value(Trial { confirmed: 1, ..trial }), 0)
            .context("cannot write the confirmation")?;
        fault::step();
        self.set_switch(switch.to(switch.slot, false))
    }
}

/// The monotonic clock, which the program in the kernel reads too, in nanoseconds.
pub(super) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    // It counts from the start of the machine, and has no negative part.
    let (seconds, nanoseconds) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    seconds * 1_000_000_000 + nanoseconds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(slot: u32, trial: Trial) -> Standing {
        Standing { switch: Switch { slot, lists: 0 }, trial, now: 100 }
    }

    #[test]
    fn no_slot_is_written_that_packets_look_at_or_will() {
        for slot in 0..GENERATIONS {
            for fallback in (0..GENERATIONS).filter(|fallback| *fallback != slot) {
                for trial in [Trial::NONE, Trial::until(50, fallback), Trial::until(150, fallback)] {
                    let standing = standing(slot, trial);
                    let free = standing.free_slot();
                    assert!(free < GENERATIONS && free != slot && free != standing.slot(), "{standing:?}");
                    assert!(!trial.is_pending() || free != fallback, "{standing:?}");
                }
            }
        }
    }

    #[test]
    fn what_fails_gives_way_to_what_was_confirmed_last() {
        let limit = Some(Duration::from_nanos(7));
        assert_eq!(standing(1, Trial::NONE).trial(limit).unwrap(), Trial::until(107, 1));
        assert_eq!(standing(1, Trial::until(150, 0)).trial(limit).unwrap(), Trial::until(107, 0), "still pending");
        assert_eq!(standing(1, Trial::until(50, 0)).trial(limit).unwrap(), Trial::until(107, 0), "has failed");
        assert_eq!(standing(1, Trial::until(150, 0)).trial(None).unwrap(), Trial::NONE);
    }
}
