//! Allowlists: what providers publish, read from their documents.

mod model;

pub use model::{Allowlist, Entry, Finding, Protocol, Service, Unenforced};
