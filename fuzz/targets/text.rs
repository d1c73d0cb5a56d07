//! The importer on plain text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tests::texts::Kind;

fuzz_target!(|input: &[u8]| Kind::Text.check(input));
