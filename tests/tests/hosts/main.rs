//! The host behind the filter stays alive, and gets along with what else is on its NIC.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on panics")]

mod clock;
mod failover;
mod leases;
mod names;
mod neighbors;
mod nftables;
mod path_mtu;
mod place;
mod routing;
mod stacked;
mod tagged;
mod tc;
mod xdp;
