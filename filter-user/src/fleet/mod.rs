//! A fleet of nodes, which follow signed policies that a broker hands on: NATS with JetStream.
//!
//! ```text
//! operator ──signs──▶ document ──bucket──▶ agent ──plane──▶ trial ──health──▶ stays, or falls back
//!        ◀──────────── state ◀──bucket──────┘
//! ```
//!
//! The broker is trusted with nothing but being there: it can withhold, and no more. What a node enforces without it is what
//! bpffs has.

mod agent;
mod broker;
mod bucket;
mod config;
mod content;
mod document;
mod envelope;
mod events;
mod facts;
mod health;
mod keys;
mod memory;
mod node;
mod operator;
mod plane;
mod samples;
mod state;
mod targets;

pub use agent::Agent;
pub use broker::Broker;
pub use bucket::{Bucket, ChangeError, DENY_BUCKET, Entry, POLICY_BUCKET, STATE_BUCKET};
pub use config::{Access, Config, ConfigError, DEFAULT_CONFIG, Identity};
pub use content::PackError;
pub use document::{Content, DenyDocument, DenyItem, Document, Head, PolicyDocument, Target, Terms, Withdrawal};
pub use envelope::{LARGEST_ENVELOPE, Refused};
pub use events::{Bounds, Change, EVENTS_STREAM, FleetEvent, MOST_EVENTS, Reading, Span, Told, make as make_events};
pub use facts::{merge, of as facts_of};
pub use health::Tally;
pub use keys::{KeyError, KeyId, Signer, Trust, Verifier};
pub use memory::Memory;
pub use node::Node;
pub use operator::{Ended, Operator, Progress, Rollout, Version, nodes_at};
pub use plane::{Look, Plane, Standing};
pub use state::{FRESH, InterfaceState, NodeState, Phase, Seen};
pub use targets::{TargetGroup, target_groups};
