//! What the tests share: frames, captures, judges, and the binary.

#![expect(clippy::expect_used, clippy::missing_panics_doc, clippy::panic, reason = "a test that cannot go on panics")]

pub mod captures;
pub mod campaign;
pub mod contest;
pub mod finding;
pub mod generate;
pub mod judge;
pub mod oracle;
pub mod packets;
pub mod sipwall;
