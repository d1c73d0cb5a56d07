//! Allowlists: what providers publish, read from their documents.
//!
//! ```text
//! provider document ──reader──▶ headings, tables, blocks ──interpret──▶ Allowlist ──file──▶ TOML or JSON
//! ```

pub mod builtin;
pub mod compare;
pub mod diff;
mod document;
pub mod file;
pub mod import;
mod interpret;
mod limits;
pub mod merge;
mod model;
mod problem;
mod reader;
mod suspect;
pub mod trunk;
mod words;

pub(crate) use limits::LARGEST_DOCUMENT;
pub use model::{Allowlist, Entry, Finding, Protocol, Service, Unenforced};
pub use problem::{Fault, Oddity, Why};

use crate::ports::PortRange;

/// Port ranges as people list them, `443,5349`; empty for none.
pub fn ports_text(ranges: &[PortRange]) -> String {
    let ranges: Vec<_> = ranges.iter().map(ToString::to_string).collect();
    ranges.join(",")
}
