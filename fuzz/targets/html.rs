//! The importer on HTML.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tests::texts::Kind;

fuzz_target!(|input: &[u8]| Kind::Html.check(input));
