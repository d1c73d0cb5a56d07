//! NTP by chrony on both sides, neither of which ever sets a clock.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use lab::{Host, Process};
use tests::{service::wait_for, unpacked::start};

use crate::{
    names::{TRACKED, servers},
    place::{DAEMONS, PLAIN, Place, Policy, SBC, SERVER},
};

/// chrony on a host, until it is dropped.
fn chrony(place: &Place, host: &Host, lines: &str) -> Process {
    let directory = place.path(host.name());
    fs::create_dir(&directory).expect("a directory");
    // It opens its command socket in no directory that others may write to.
    fs::set_permissions(&directory, Permissions::from_mode(0o750)).expect("a directory of ours");
    let words = [("LINES", lines), ("DIRECTORY", &directory)];
    let configuration = place.write(&format!("chrony-{}", host.name()), include_str!("chrony.conf"), &words);
    let mut chronyd = DAEMONS.command(host, "usr/sbin/chronyd");
    chronyd.args(["-x", "-d", "-u", "root", "-f", &configuration]);
    start(&mut chronyd, place.path(&format!("chrony-{}.log", host.name())).as_ref())
}

/// What chrony on the SBC thinks of its server: `^*` where it follows it.
fn state(place: &Place) -> String {
    let mut chronyc = DAEMONS.command(place.sbc(), "usr/bin/chronyc");
    let output = chronyc.args(["-h", &format!("{}/socket", place.path("sbc")), "-c", "sources"]).output();
    let said = String::from_utf8(output.expect("chronyc starts").stdout).expect("text");
    said.split(',').take(2).collect()
}

#[test]
fn a_clock_is_followed_where_answers_are_tracked_or_the_server_is_on_a_list() {
    let place = Place::new(&[SBC, SERVER]);
    let _server = chrony(&place, place.host(SERVER), "local stratum 1\nallow all");
    place.attach(PLAIN);
    let _client = chrony(&place, place.sbc(), &format!("server {} iburst minpoll -4 maxpoll -4", SERVER.ipv4));
    place.await_reason("source_unlisted", 3);
    assert_eq!(state(&place), "^?", "{}", place.said("chrony-sbc.log"));

    place.attach(TRACKED);
    wait_for("the clock is followed", || (state(&place) == "^*").then_some(()));
    place.await_reason("return_traffic", 3);

    let servers = servers(&place);
    place.attach(Policy { more: &servers, ..PLAIN });
    let ((), dropped) = place.grows("source_unlisted", || {
        wait_for("answers come in by the list", || (place.rule("servers/other") >= 10).then_some(()));
    });
    assert_eq!((state(&place).as_str(), dropped), ("^*", 0));
}
