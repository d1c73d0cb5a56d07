//! The kernel's side: the program, its maps, its pins, its link. The only module that names aya.

mod apply;
mod attach;
mod compare;
mod confirm;
mod counters;
mod deny;
mod deny_lists;
mod egress;
mod footprint;
mod interface;
mod judge;
mod live;
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
pub use deny_lists::{DenyListInfo, ListChange, LoadedList, deny_load, deny_lists, deny_unload};
