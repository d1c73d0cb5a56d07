//! Replay: every frame of a capture is judged by a policy, before anything is attached.
//!
//! What a capture cannot show does not apply: rate limits and return traffic depend on time and on what the host sent.
//! Fragments do too where they are tracked: they are remembered by the capture's own clock.

pub mod capture;
mod engine;
mod flow;
mod frame;
mod talkers;
mod tally;

pub use capture::{Capture, CaptureError};
pub use engine::{Engine, HostEngine, KERNEL_FRAMES, KernelEngine, Outcome};
pub use flow::{Flow, Sender, Wanted};
pub use frame::CapturedFrame;
pub use talkers::{Talker, Talkers};
pub use tally::{Summary, Tally};
