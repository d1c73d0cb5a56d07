//! What the programs cost the kernel is in `docs/kernel.md`, and stays what it says there.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    fs,
    sync::{Mutex, PoisonError},
};

use filter_common::tables::Tables;
use filter_user::kernel::{
    Footprint, Sandbox, map_types, memory_of_maps,
    needs::{FILTER, HELPERS, MAP_TYPES, RETURN_TRAFFIC},
};
use tests::judge::fixture_policy;

/// By how many hundredths a figure may be more than what is written, as on another kernel; more must be looked at, and
/// written down.
const MORE: u64 = 10;
/// By how many it may be less before what is written is stale.
const LESS: u64 = 30;

/// Held while there are maps: their memory is counted by process.
static ALONE: Mutex<()> = Mutex::new(());

fn footprints() -> Vec<Footprint> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    Sandbox::new().expect("the program loads (this needs root)").footprints().expect("the kernel tells")
}

/// Asserts that a figure is near to what is written of it.
fn check_near(what: &str, now: u64, written: &str) {
    let written: u64 = written.replace(',', "").parse().expect("a number");
    let (most, least) = (written + written * MORE / 100, written - written * LESS / 100);
    assert!((least..=most).contains(&now), "{what}: {now} is not near {written}");
}

/// The cells of the page's tables, row by row.
fn rows() -> Vec<Vec<String>> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/kernel.md")).expect("the page");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.map(|row| row.split(" | ").map(str::to_owned).collect()).collect()
}

#[test]
fn every_program_costs_what_is_written() {
    let rows = rows();
    for Footprint { program, verified, translated, jitted, stack, calls, helpers: _ } in footprints() {
        let now = [verified, translated, jitted, stack, calls];
        let row = rows.iter().find(|row| row[0] == format!("`{program}`"));
        let row = row.unwrap_or_else(|| panic!("`{program}` is not on the page: {now:?}"));
        for (figure, written) in now.into_iter().zip(&row[2..]) {
            check_near(&format!("{row:?}, where now is {now:?}"), figure.into(), written);
        }
    }
}

#[test]
fn the_maps_take_up_what_is_written() {
    let rows = rows();
    let check = |what: &str, octets: u64| {
        let row = rows.iter().find(|row| row[0] == what).unwrap_or_else(|| panic!("`{what}` is not on the page"));
        check_near(what, octets, &row[1]);
    };
    check("the tables of one policy", u64::try_from(size_of::<Tables>()).expect("a size"));
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let policy = fixture_policy(&[]).expect("the policy compiles");
    let mut kernel = Sandbox::for_policy(&policy).expect("the program loads (this needs root)");
    kernel.publish(&policy).expect("the policy is published");
    check("all maps, with a small policy", memory_of_maps().expect("the kernel tells"));
}

#[test]
fn no_program_comes_near_the_limits_of_the_verifier() {
    for footprint in footprints() {
        // `BPF_COMPLEXITY_LIMIT_INSNS` and `MAX_BPF_STACK` in the kernel's `include/linux`: half, and all of it.
        assert!(footprint.verified < 500_000 && footprint.stack <= 512, "{footprint:?}");
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
