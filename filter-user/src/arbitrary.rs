//! Values that tests try at random.

use std::net::IpAddr;

use ipnet::IpNet;
use proptest::prelude::*;

/// A prefix of either family.
pub(crate) fn prefix() -> impl Strategy<Value = IpNet> {
    let v4 = (any::<u32>(), 0..=32_u8).prop_map(|(bits, length)| (IpAddr::V4(bits.into()), length));
    let v6 = (any::<u128>(), 0..=128_u8).prop_map(|(bits, length)| (IpAddr::V6(bits.into()), length));
    prop_oneof![v4, v6].prop_map(|(address, length)| IpNet::new(address, length).expect("a length").trunc())
}
