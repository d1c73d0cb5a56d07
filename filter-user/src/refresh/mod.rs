//! Documents that are fetched again and again: the last accepted one is what the policy uses.
//!
//! ```text
//! source ──fetch──▶ document ──judge──▶ state ──in force──▶ allowlist
//!                   names ────resolve────▲  (with what waits for its grace)
//! ```

mod clock;
mod document;
mod fetch;
mod grace;
mod hosts;
mod judge;
mod load;
mod names;
mod place;
mod refresher;
mod report;
mod schedule;
mod settle;
mod state;
mod store;
mod turns;

pub use clock::Moment;
pub use fetch::{FetchError, Fetched, Fetcher, Limits, Validators};
pub use judge::{Objection, judge};
pub use load::{load, load_text};
pub use names::{NameServers, Names, Resolved};
pub use place::Place;
pub use refresher::{Asking, Refresher, Step, Whom};
pub use report::{Departing, Outcome, Report};
pub use schedule::{LONGEST_SHARE_OF_JITTER, Schedule};
pub use settle::Settled;
pub use state::{Departed, State};
pub use store::{Store, StoreError};
pub use turns::Turns;

/// Where states are kept unless the command line says otherwise.
pub const DEFAULT_STATE: &str = "/var/lib/sipwall";
