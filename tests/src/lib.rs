//! What the tests share: frames, captures, judges, guests with another kernel, a browser, and the binary.

#![expect(clippy::expect_used, clippy::missing_panics_doc, clippy::panic, reason = "a test that cannot go on panics")]

pub mod browser;
pub mod campaign;
pub mod captures;
pub mod contest;
pub mod corpus;
pub mod field;
pub mod finding;
pub mod flood;
pub mod generate;
pub mod grafana;
pub mod guest;
pub mod guide;
pub mod http;
pub mod json;
pub mod judge;
pub mod keys;
pub mod moments;
pub mod oracle;
pub mod packaging;
pub mod packets;
pub mod pins;
pub mod ports;
pub mod prometheus;
pub mod scene;
pub mod sequence;
pub mod service;
pub mod sipwall;
pub mod swarm;
pub mod texts;
pub mod unpacked;
