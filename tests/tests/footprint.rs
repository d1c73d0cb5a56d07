//! What the programs cost the kernel is in `docs/kernel.md`, and stays what it says there.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::fs;

use filter_user::kernel::{
    Footprint, Sandbox, map_types,
    needs::{FILTER, HELPERS, MAP_TYPES, RETURN_TRAFFIC},
};

/// By how many hundredths a figure may be more than what is written, as on another kernel; more must be looked at, and
/// written down.
const MORE: u32 = 10;
/// By how many it may be less before what is written is stale.
const LESS: u32 = 30;

fn footprints() -> Vec<Footprint> {
    Sandbox::new().expect("the program loads (this needs root)").footprints().expect("the kernel tells")
}

/// The cells of the page's tables, row by row.
fn rows() -> Vec<Vec<String>> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/kernel.md")).expect("the page");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.map(|row| row.split(" | ").map(str::to_owned).collect()).collect()
}

#[test]
fn every_program_costs_what_is_written() {
    for Footprint { program, verified, translated, jitted, stack, helpers: _ } in footprints() {
        let now = [verified, translated, jitted, stack];
        let rows = rows();
        let row = rows.iter().find(|row| row[0] == format!("`{program}`"));
        let row = row.unwrap_or_else(|| panic!("`{program}` is not on the page: {now:?}"));
        let written: Vec<u32> = row[2..6].iter().map(|cell| cell.replace(',', "").parse().expect("a number")).collect();
        for (now, written) in now.into_iter().zip(written) {
            let most = written + written * MORE / 100;
            let least = written - written * LESS / 100;
            assert!((least..=most).contains(&now), "`{program}`: {now} is not near {written}, of {row:?}");
        }
    }
}

#[test]
fn no_program_comes_near_the_limits_of_the_verifier() {
    for footprint in footprints() {
        // `BPF_COMPLEXITY_LIMIT_INSNS` and `MAX_BPF_STACK` in the kernel's `include/linux`: a quarter, and all of it.
        assert!(footprint.verified < 250_000 && footprint.stack <= 512, "{footprint:?}");
    }
}

#[test]
fn the_lowest_kernels_are_those_of_the_helpers_and_maps_that_are_used() {
    let mut helpers: Vec<i32> = footprints().into_iter().flat_map(|footprint| footprint.helpers).collect();
    helpers.sort_unstable();
    helpers.dedup();
    assert_eq!(helpers, HELPERS.map(|(number, ..)| number), "list them in `kernel/needs.rs`");
    assert_eq!(
        map_types().expect("the object"),
        MAP_TYPES.map(|(number, ..)| number),
        "list them in `kernel/needs.rs`"
    );
    let parts = HELPERS.iter().map(|(_, _, since)| since).chain(MAP_TYPES.iter().map(|(_, _, since)| since));
    assert!(parts.into_iter().all(|since| *since <= FILTER.since), "a part is newer than the whole");
}

#[test]
fn the_page_says_what_each_part_needs() {
    let rows = rows();
    let said = |name: &str, (major, minor): (u8, u8)| {
        let version = format!("{major}.{minor}");
        assert!(rows.iter().any(|row| row[0] == name && row[1] == version), "`{name}`: Linux {version}");
    };
    for need in [FILTER, RETURN_TRAFFIC] {
        said(need.feature, need.since);
    }
    for (_, helper, since) in HELPERS {
        said(&format!("`{helper}`"), since);
    }
    for (_, map, since) in MAP_TYPES {
        said(map, since);
    }
}
