//! Sources that are refreshed: real servers on loopback, a clock that is moved by hand.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod command;
mod documents;
mod grace;
mod name_server;
mod names;
mod server;
