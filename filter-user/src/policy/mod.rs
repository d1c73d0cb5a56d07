//! Policies: what the operator wants, compiled with the providers' allowlists into tables.

mod compile;
mod cover;
mod edit;
mod explain;
pub mod file;
mod host;
mod inputs;
mod lint;
mod live;
mod origin;
mod outline;
mod port_set;
mod probe;
mod rate;
mod refusal;
mod source_index;
mod state;
mod summary;

pub use compile::{CompiledPolicy, Match, PortMatch, ProviderDeny, RuleInfo, SourcePrefix, TermInfo};
pub use cover::Cover;
pub use edit::{PolicyEdit, SaveError};
pub use explain::{Explainer, Explanation};
pub use host::HostPolicy;
pub use inputs::{Policy, Unavailable};
pub use lint::{Advice, Level, Lint, is_wide};
pub use live::{LiveAllow, LiveLimit, LiveMatch, LiveTables};
pub use origin::{Document, Origin};
pub use outline::{Grant, Outline, OutlineDiff, PrefixDiff, RuleDiff, SettingDiff};
pub(crate) use outline::{outermost, ports_where};
pub use port_set::PortSet;
pub use probe::{Endpoint, Probe, ProbeError, Protocol, TcpFlags};
pub use rate::PacketRate;
pub use refusal::{Code, Refusal, Refusals};
pub use source_index::{FamilyIndex, IndexRoom};
pub use state::HostState;
pub use summary::{ProviderSummary, RuleSummary, Summary};
