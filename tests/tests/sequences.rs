//! What is remembered between packets, compared on made-up sequences: the oracle, the host and the kernel.
//!
//! `SIPWALL_SEQUENCES` and `SIPWALL_SEED` make it longer or other.

#![expect(clippy::panic, reason = "a test that cannot go on panics")]

use std::env;

use filter_common::Reason;
use filter_user::kernel::Sandbox;
use tests::sequence::{Tally, compare};

/// Sequences that are compared each time.
const SEQUENCES: u64 = 800;
/// The reasons that only sequences come to; each must be the right one so often, or nothing is proved of it.
const REMEMBERED: [Reason; 7] = [
    Reason::FragmentTracked,
    Reason::FragmentEarly,
    Reason::FragmentOverlap,
    Reason::ReturnTraffic,
    Reason::RateLimitSip,
    Reason::RateLimitTcp,
    Reason::RateLimitIcmp,
];
const AT_LEAST: u64 = 50;

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

#[test]
fn sequences_have_the_same_verdicts_from_oracle_host_and_kernel() {
    let mut kernel = Sandbox::new().expect("the program loads (this needs root)");
    let mut tally = Tally::new();
    let seed = number("SIPWALL_SEED", 1);
    for seed in seed..seed + number("SIPWALL_SEQUENCES", SEQUENCES) {
        let round = compare(seed, &mut kernel).unwrap_or_else(|dissent| panic!("{dissent}"));
        for (reason, count) in round {
            *tally.entry(reason).or_default() += count;
        }
    }
    for reason in REMEMBERED {
        let count = tally.get(reason.name()).copied().unwrap_or_default();
        assert!(count >= AT_LEAST, "only {count} packets are {}: {tally:?}", reason.name());
    }
}
