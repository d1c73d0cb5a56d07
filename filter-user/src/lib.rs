//! sipwall's library: provider documents become allowlists, allowlists and a policy become tables,
//! tables become BPF maps.
//!
//! Arrows run one way: `cli → telemetry → replay → kernel → policy → common`, `cli → refresh → policy`,
//! `cli → lockout → policy`, `cli → fleet → service → listener, kernel, refresh, lockout`, `listener → telemetry`,
//! `allowlist → common`.

pub mod allowlist;
#[cfg(test)]
mod arbitrary;
mod codes;
mod fault;
mod file_identity;
pub mod fleet;
pub mod instant;
pub mod kernel;
pub mod listener;
pub mod lockout;
pub mod policy;
pub mod ports;
pub mod refresh;
pub mod replay;
pub mod service;
mod stacking;
pub mod telemetry;
pub mod text_file;
