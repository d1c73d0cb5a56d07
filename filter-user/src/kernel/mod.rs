//! The kernel's side: the program, its maps, its pins, its link. The only module that names aya.

mod apply;
mod attach;
mod compare;
mod confirm;
mod counters;
mod deny;
mod egress;
mod footprint;
mod interface;
mod lock;
mod maps;
pub mod needs;
mod pins;
mod program;
mod publish;
mod readback;
mod standing;
mod status;
mod test_run;
mod trie;

pub use apply::{Applied, apply};
pub use attach::{AttachMode, Attached, Change, attach, detach};
pub use compare::{Comparison, Lately, compare, take_snapshot};
pub use confirm::{confirm, revert};
pub use counters::{ReasonCount, RuleCount, Stats, stats};
pub use deny::{DeniedPrefix, deny_add, deny_list, deny_remove};
pub use footprint::{Footprint, map_types};
pub use interface::XdpMode;
pub use pins::{BPFFS, attached_interfaces};
pub use standing::Confirmation;
pub use status::{Status, status};
pub use test_run::Sandbox;
