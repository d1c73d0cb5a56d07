//! The kernel's side: the program, its maps, its pins, its link. The only module that names aya.

mod attach;
mod counters;
mod egress;
mod interface;
mod maps;
mod pins;
mod program;
mod publish;
mod status;
mod test_run;
mod trie;

pub use attach::{AttachMode, Attached, attach, detach};
pub use counters::{ReasonCount, RuleCount, Stats, stats};
pub use interface::XdpMode;
pub use pins::{BPFFS, attached_interfaces};
pub use status::{Status, status};
pub use test_run::Sandbox;
