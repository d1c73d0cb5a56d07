//! What counters and samples say, for whoever looks: rates, events, who sends most of what is dropped.

mod calls;
mod capture;
mod event;
mod follower;
mod listed;
mod packet;
mod ranking;
mod rates;
mod refused;
mod trends;

pub use calls::{Calls, Risk};
pub use capture::CaptureWriter;
pub use event::{Event, Events, Fate};
pub use follower::{Follower, SAMPLES_WAIT};
pub use listed::{SILENCE, concerns_listed, is_overridden_by_allow, provider};
pub use packet::{Headers, printable};
pub use rates::{Measured, MeasuredReason, MeasuredRule, Meter, Rate, Totals};
pub use refused::Refused;
pub use trends::{By, Ranked, Span, Trends};
