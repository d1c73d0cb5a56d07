//! The samples of a filter, followed for what they come to.

use std::time::Duration;

use anyhow::Result;

use super::{Event, Events, Refused, Trends, refused::Refusals};

/// How often samples are to be read, so that none is overwritten before: in this time a CPU takes 500, and 256 at once.
pub const SAMPLES_WAIT: Duration = Duration::from_millis(250);

/// Follows the samples of one filter.
pub struct Follower {
    interface: String,
    events: Events,
    missed: u64,
    trends: Trends,
    refusals: Refusals,
}

impl Follower {
    /// Begins with what is kept of the past.
    ///
    /// # Errors
    /// If the interface has no filter, or its pins cannot be read.
    pub fn open(interface: &str) -> Result<Self> {
        let events = Events::open(&[interface.to_owned()])?;
        let interface = interface.to_owned();
        Ok(Self { interface, events, missed: 0, trends: Trends::default(), refusals: Refusals::default() })
    }

    /// What came since the last time. Samples that were overwritten before that stood for as much as those that were not.
    ///
    /// # Errors
    /// If the samples cannot be read, or the filter was detached.
    pub fn read(&mut self) -> Result<Vec<Event>> {
        let events = self.events.read()?;
        let missed = self.events.missed() - self.missed;
        self.missed += missed;
        let read = u64::try_from(events.len()).unwrap_or(u64::MAX);
        let weigh = |event: &Event| {
            let share = u128::from(event.weight) * u128::from(read + missed) / u128::from(read);
            u64::try_from(share).unwrap_or(u64::MAX)
        };
        let weighed: Vec<_> = events.iter().map(|event| (event, weigh(event))).collect();
        for (event, weight) in &weighed {
            self.trends.count(event, *weight);
        }
        self.refusals.count(&self.interface, &weighed)?;
        Ok(events)
    }

    /// Whose packets were dropped in the past minute; what was before the first reading is not among it.
    pub fn refused(&self) -> Refused {
        self.refusals.lately()
    }

    /// What was dropped most.
    pub const fn trends(&self) -> &Trends {
        &self.trends
    }
}
