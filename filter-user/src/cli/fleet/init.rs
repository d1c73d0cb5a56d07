//! `sipwall fleet init`

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use filter_user::fleet::{Bounds, Bucket, EVENTS_STREAM, make_events};

use super::{super::time::parse_duration, Access};

/// A megabyte.
const MB: u64 = 1_000_000;

/// Make the fleet's buckets and the stream of its events at the broker where they are missing
#[derive(clap::Args)]
pub(super) struct Init {
    /// How many servers of the broker keep each of them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,
    /// How many megabytes of events are kept, on each of these servers; the oldest go first
    #[arg(long, value_name = "MB", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    events_size: u64,
    /// How long events are kept
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = parse_duration)]
    events_age: Duration,
    #[command(flatten)]
    access: Access,
}

impl Init {
    pub(super) fn run(self) -> Result<ExitCode> {
        let Self { replicas, events_size, events_age, access } = self;
        let replicas = usize::from(replicas);
        let bounds = Bounds { size: events_size * MB, age: events_age, replicas };
        access.with_new_broker(async |broker| {
            let made = Bucket::make_all(&broker, replicas).await?;
            for name in &made {
                eprintln!("made the bucket `{name}`");
            }
            let is_new = make_events(&broker, &bounds).await?;
            if is_new {
                eprintln!("made the stream `{EVENTS_STREAM}`");
            }
            if made.is_empty() && !is_new {
                eprintln!("all of it is there already");
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}
