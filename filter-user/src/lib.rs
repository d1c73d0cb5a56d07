//! sipwall's library: provider documents become allowlists, allowlists and a policy become tables,
//! tables become BPF maps.
//!
//! Arrows run one way: `cli → replay → kernel → policy → common`, `cli → refresh → policy`,
//! `cli → service → kernel, refresh`, `allowlist → common`.

pub mod allowlist;
mod codes;
pub mod kernel;
pub mod policy;
pub mod ports;
pub mod refresh;
pub mod replay;
pub mod service;
pub mod text_file;
