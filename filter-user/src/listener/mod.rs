//! What the service shows over HTTP: a dashboard at `/`, and `/metrics` for Prometheus. It only reads.
//!
//! ```text
//! kernel ──collect──▶ Snapshot ──watch──▶ view ──▶ /events ──▶ the page
//!           service, samples ─┘      └──▶ metrics ──▶ /metrics
//! ```
//!
//! The listener runs on a thread of its own and takes snapshots from a channel that keeps only the newest: whoever reads
//! slowly misses some, and holds up nobody.

mod collect;
mod concern;
mod credentials;
mod events;
mod explain;
mod guard;
mod history;
mod metrics;
mod pages;
mod sampled;
mod server;
mod settings;
mod slow;
mod snapshot;
mod tls;
mod view;

pub use collect::{Collection, Contribute, Watched, collect};
pub use concern::{Concern, Level};
pub use credentials::Renewal;
pub use explain::{Answer, Explain, Explainer};
pub use sampled::Sampled;
pub use server::{Running, start};
pub use settings::{ListenError, Ready, Settings, TlsFiles};
pub use snapshot::{
    DroppedPacket, Fill, FleetStanding, InterfaceSnapshot, Knocking, ReasonTraffic, RuleTraffic, Samples,
    ServiceSnapshot, Snapshot, SourceSnapshot, StateSnapshot, Traffic, Unreadable,
};
