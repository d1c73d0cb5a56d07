//! What the tests share: frames, judges, and the binary.

pub mod judge;
pub mod packets;
pub mod sipwall;
