//! The filter before the software that users run: an SBC of Kamailio and rtpengine, its providers, and those who are none.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

mod attackers;
mod captures;
mod changes;
mod providers;
mod relays;
