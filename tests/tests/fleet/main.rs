//! A fleet with a real broker: roll-outs, and all that can go wrong with them.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

mod access;
mod events;
mod faults;
mod guide;
mod hostile;
mod mistakes;
mod rollouts;
mod scale;
mod targets;
mod world;
