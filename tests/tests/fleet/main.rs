//! A fleet with a real broker: roll-outs, and all that can go wrong with them.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

mod access;
mod faults;
mod guide;
mod hostile;
mod rollouts;
mod world;
