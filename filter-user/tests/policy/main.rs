//! Policies from their text to the verdicts that they give.

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod documentation;
mod lab;
mod limits;
mod lints;
mod nesting;
mod refusals;
mod verdicts;
