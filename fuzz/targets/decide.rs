//! `decide` on raw octets, with the oracle beside it: a difference is a crash.

#![no_main]
#![expect(clippy::panic, reason = "a fuzz target fails by panicking")]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tests::corpus::Judges;

static JUDGES: LazyLock<Judges> = LazyLock::new(Judges::new);

fuzz_target!(|input: &[u8]| {
    if let Err(dissent) = JUDGES.on_host(input) {
        panic!("{dissent}");
    }
});
