//! What a source no longer states stays for a while, whatever the clock does.

use std::fs;

use filter_user::refresh::{Asking, Moment};

use crate::bench::{Bench, page};

/// Ten hosts were accepted, and the tenth is gone since now.
fn one_gone() -> Bench {
    let mut bench = Bench::new("acme.md", "grace = \"7d\"");
    write(&bench, &page(1..=10));
    bench.ask(&Asking::due());
    bench.hours_pass(6);
    write(&bench, &page(1..=9));
    let report = bench.ask(&Asking::due());
    assert_eq!((report.departing.len(), report.removed.len()), (1, 0), "{report:?}");
    assert_eq!(report.departing[0].until, bench.now.wall + 7 * 24 * 3600);
    bench
}

fn write(bench: &Bench, page: &str) {
    fs::write(bench.directory.path().join("acme.md"), page).unwrap();
}

/// Refreshes, and says whether the tenth host is still allowed.
fn allows_tenth(bench: &Bench) -> bool {
    bench.ask(&Asking::due());
    bench.hosts().contains(&10)
}

#[test]
fn a_prefix_that_is_gone_stays_with_its_line_until_the_grace_is_over() {
    let mut bench = one_gone();
    let departed = bench.state().departed;
    assert_eq!((departed[0].entry.line, departed[0].entry.remote[0].to_string().as_str()), (14, "198.51.100.10/32"));
    bench.hours_pass(7 * 24 - 1);
    assert!(allows_tenth(&bench));
    bench.hours_pass(1);
    let report = bench.ask(&Asking::only([].into()));
    assert_eq!((report.removed.len(), report.departing.len()), (1, 0), "{report:?}");
    assert_eq!(report.removed[0].remote.to_string(), "198.51.100.10/32");
    assert_eq!(bench.hosts(), (1..=9).collect::<Vec<_>>());
    assert_eq!(bench.state().changed, bench.now.wall);
}

#[test]
fn what_comes_back_waits_anew_when_it_goes_again() {
    let mut bench = one_gone();
    bench.hours_pass(6 * 24);
    write(&bench, &page(1..=10));
    let report = bench.ask(&Asking::due());
    assert_eq!((report.added.len(), report.departing.len()), (0, 0), "{report:?}");
    bench.hours_pass(6 * 24);
    write(&bench, &page(1..=9));
    assert!(allows_tenth(&bench));
    bench.hours_pass(6 * 24);
    assert!(allows_tenth(&bench));
    bench.hours_pass(24);
    assert!(!allows_tenth(&bench));
}

#[test]
fn a_wall_clock_that_jumps_ends_no_grace() {
    let mut bench = one_gone();
    bench.now.wall += 365 * 24 * 3600;
    assert!(allows_tenth(&bench));
    bench.now.wall = 0;
    assert!(allows_tenth(&bench));
    bench.now.uptime += 7 * 24 * 3600;
    assert!(!allows_tenth(&bench));
}

#[test]
fn a_clock_that_is_wrong_after_a_reboot_ends_no_grace() {
    let rebooted =
        |bench: &Bench, boot: &str, wall: u64| Moment { wall, boot: boot.to_owned(), uptime: bench.now.uptime.min(60) };
    let mut bench = one_gone();
    bench.now = rebooted(&bench, "second", 0);
    assert!(allows_tenth(&bench));
    bench.now = rebooted(&bench, "third", 4_000_000_000);
    assert!(allows_tenth(&bench));
    // A day at the most was credited.
    bench.hours_pass(6 * 24 - 1);
    assert!(allows_tenth(&bench));
    bench.hours_pass(1);
    assert!(!allows_tenth(&bench));
}

#[test]
fn other_ports_of_a_prefix_are_another_rule() {
    let bench = one_gone();
    write(&bench, &page(1..=9).replace("| 198.51.100.9 | 5061 |", "| 198.51.100.9 | 5071 |"));
    let report = bench.ask(&Asking::due().accepting(["acme".to_owned()].into()));
    assert_eq!((report.added.len(), report.departing.len()), (1, 2), "{report:?}");
    assert_eq!(
        (report.added[0].remote_ports.as_str(), report.departing[1].rule.remote_ports.as_str()),
        ("5071", "5061")
    );
}

#[test]
fn without_a_grace_nothing_waits() {
    let mut bench = Bench::new("acme.md", "grace = \"0s\"");
    write(&bench, &page(1..=10));
    bench.ask(&Asking::due());
    bench.hours_pass(6);
    write(&bench, &page(1..=9));
    assert_eq!(bench.ask(&Asking::due()).removed.len(), 1);
    assert!(!bench.hosts().contains(&10));
}

#[test]
fn a_grace_that_is_made_shorter_counts_at_once() {
    let mut bench = one_gone();
    bench.hours_pass(24);
    let shorter = Bench::new("acme.md", "grace = \"1d\"");
    bench.file = shorter.file;
    assert!(!allows_tenth(&bench));
}
