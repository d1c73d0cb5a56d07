//! Allowlists: what providers publish, read from their documents.
//!
//! ```text
//! provider document ──reader──▶ headings, tables, blocks ──interpret──▶ Allowlist ──file──▶ TOML or JSON
//! ```

pub mod builtin;
mod document;
pub mod file;
pub mod import;
mod interpret;
mod model;
mod reader;
mod words;

pub use model::{Allowlist, Entry, Finding, Protocol, Service, Unenforced};
