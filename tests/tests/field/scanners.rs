//! Those who look for SBCs: `SIPVicious`, nmap, hping3, and whoever asks for OPTIONS.

use std::process::Command;

use lab::run;

use crate::{
    network::{CALLER, Field, Party, SBC, text},
    programs,
};

/// Whether a party's OPTIONS are answered.
pub(crate) fn answers_options(field: &Field, party: Party) -> bool {
    let scenario = field.write("options.xml", include_str!("options.xml"), &[("SBC", SBC)]);
    let mut sipp = field.host(party.host).command("sipp");
    programs::quiet(sipp.args([&format!("{SBC}:5060"), "-sf", text(&scenario), "-m", "1", "-nostdin"]));
    sipp.args(["-i", party.signalling, "-p", "5060", "-timeout", "2", "-timeout_error"]);
    sipp.status().expect("SIPp starts").success()
}

/// What `svmap` prints of the SBC's network, from an unlisted address.
pub(crate) fn find_by_sip(field: &Field) -> String {
    let mut svmap = programs::command(field.host(CALLER.host), "usr/bin/svmap");
    svmap.env("HOME", field.path(""));
    said(svmap.args(["-b", CALLER.signalling, "-x", CALLER.signalling, "-p", "5060", SBC]))
}

/// The ports that nmap finds open, from port 5060 of an unlisted address.
pub(crate) fn open_ports(field: &Field) -> Vec<u16> {
    let mut nmap = programs::command(field.host(CALLER.host), "usr/bin/nmap");
    nmap.env("NMAPDIR", programs::file("usr/share/nmap"));
    nmap.args(["-n", "-Pn", "-sS", "-g", "5060", "--max-retries", "1", "-p", "5060,5061,5081,22,80", "-oG", "-", SBC]);
    let found = run(&mut nmap, "").expect("nmap runs");
    let ports = found.split(['\t', ' ', ',']).filter_map(|word| word.split_once("/open/").map(|(port, _)| port));
    ports.filter_map(|port| port.parse().ok()).collect()
}

/// How many of ten SYNs from port 5060 of an unlisted address are answered.
pub(crate) fn find_by_syn(field: &Field) -> u32 {
    let mut hping = programs::command(field.host(CALLER.host), "usr/sbin/hping3");
    let said =
        said(hping.args(["-I", "eth0", "-S", "-s", "5060", "-k", "-p", "5060", "-c", "10", "-i", "u20000", SBC]));
    let received =
        said.lines().find_map(|line| line.split(", ").find_map(|part| part.strip_suffix(" packets received")));
    received.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("hping3 said {said}"))
}

/// What a command prints, however it ends.
fn said(command: &mut Command) -> String {
    let output = command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let output = output.output().expect("it starts");
    [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
}
