//! The verdict as the documentation words it, the host's and the kernel's, on made-up packets and policies.
//!
//! `SIPWALL_PACKETS`, `SIPWALL_SECONDS` and `SIPWALL_SEED` make it longer or other; `docs/testing.md` says more.

use std::{fs, path::Path};

use filter_common::Reason;
use filter_user::kernel::Sandbox;
use tests::{
    campaign::{Campaign, Failure, Tally},
    finding::Finding,
};

/// What the judges must agree on each time.
const PACKETS: u64 = 1_000_000;
/// Fewer of one reason than one in so many would prove nothing of it.
const RAREST: u64 = 10_000;
/// Made-up policies are all in force, and each packet is the first: what comes of others before it is for sequences.
const NEVER: [Reason; 7] = [
    Reason::NoPolicy,
    Reason::FragmentTracked,
    Reason::FragmentEarly,
    Reason::ReturnTraffic,
    Reason::RateLimitSip,
    Reason::RateLimitTcp,
    Reason::RateLimitIcmp,
];

#[test]
fn made_up_packets_have_the_same_verdict_from_oracle_host_and_kernel() {
    match Campaign::from_environment(PACKETS).run() {
        Ok(tally) => assert_reaches_every_reason(&tally),
        Err(Failure::Counters(counts)) => panic!("the kernel counts otherwise than it judges: {counts}"),
        Err(Failure::Verdict(disagreement, dissent)) => {
            let mut kernel = Sandbox::new().expect("the program loads");
            match disagreement.shrunk(&mut kernel) {
                Some((finding, dissent)) => panic!("{dissent}\nsave as tests/regressions/NAME.toml:\n\n{finding}"),
                None => panic!("{dissent}, but not again"),
            }
        }
    }
}

/// Packets that never meet a reason prove nothing of it.
fn assert_reaches_every_reason(tally: &Tally) {
    let all: u64 = tally.values().sum();
    for reason in Reason::ALL.iter().filter(|reason| !NEVER.contains(reason)) {
        let count = tally.get(reason.name()).copied().unwrap_or(0);
        assert!(count * RAREST >= all, "only {count} of {all} packets are {}: {tally:?}", reason.name());
    }
}

#[test]
fn what_was_found_once_stays_found() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let mut kernel = Sandbox::new().expect("the program loads (this needs root)");
    for entry in fs::read_dir(directory).expect("there are findings") {
        let path = entry.expect("a directory can be read").path();
        let name = path.display().to_string();
        Finding::read(&path).unwrap_or_else(|error| panic!("{name}: {error}")).check(&name, &mut kernel);
    }
}
