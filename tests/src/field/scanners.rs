//! Those who look for SBCs: `SIPVicious`, nmap and hping3.

use std::process::{Command, Stdio};

use lab::run;

use super::{
    network::{CALLER, Field, Party, SBC},
    programs,
};

/// What `svmap` prints of the SBC's network, from an unlisted address.
pub fn find_by_sip(field: &Field) -> String {
    vicious(field, "svmap", &[])
}

/// What `svwar` prints of extensions that may register, from an unlisted address.
pub fn find_extensions(field: &Field) -> String {
    vicious(field, "svwar", &["-e", "999-1001"])
}

/// What `svcrack` prints when it tries passwords of an extension, from an unlisted address.
pub fn crack(field: &Field) -> String {
    vicious(field, "svcrack", &["-u", "1000", "-r", "1230-1235"])
}

fn vicious(field: &Field, tool: &str, arguments: &[&str]) -> String {
    let mut command = programs::command(field.host(CALLER.host), &format!("usr/bin/{tool}"));
    command.env("HOME", field.path(""));
    said(command.args(arguments).args(["-b", CALLER.signalling, "-x", CALLER.signalling, "-p", "5060", SBC]))
}

/// The TCP ports that nmap finds open, from port 5060 of an unlisted address.
pub fn open_ports(field: &Field) -> Vec<u16> {
    let found = nmap(field, CALLER, &["-sS", "--max-retries", "1", "-p", "5060,5061,5081,22,80"]);
    ports(&found, "/open/").collect()
}

/// The TCP ports that nmap finds open with segments cut into fragments of eight octets, from port 5060 of a party.
pub fn open_ports_by_fragments(field: &Field, party: Party) -> Vec<u16> {
    let found = nmap(field, party, &["-sS", "-f", "--max-retries", "0", "-p", "5060,5061,5081"]);
    ports(&found, "/open/").collect()
}

/// The UDP ports of which nmap hears anything, open or closed, from port 5060 of an unlisted address.
pub fn scan_udp(field: &Field) -> Vec<u16> {
    let found = nmap(field, CALLER, &["-sU", "--max-retries", "1", "-p", "53,5060,20000,40000"]);
    let mut heard: Vec<_> = ports(&found, "/open/").chain(ports(&found, "/closed/")).collect();
    heard.sort_unstable();
    heard
}

fn nmap(field: &Field, party: Party, arguments: &[&str]) -> String {
    let mut nmap = programs::command(field.host(party.host), "usr/bin/nmap");
    nmap.env("NMAPDIR", programs::file("usr/share/nmap"));
    nmap.args(["-n", "-Pn", "-g", "5060", "-e", "eth0", "-S", party.signalling]);
    run(nmap.args(arguments).args(["-oG", "-", SBC]), "").expect("nmap runs")
}

/// The ports of which nmap says this.
fn ports(found: &str, state: &str) -> impl Iterator<Item = u16> {
    let words = found.split(['\t', ' ', ',']);
    words.filter_map(move |word| word.split_once(state).and_then(|(port, _)| port.parse().ok()))
}

/// Packets with an invented source.
#[derive(Clone, Copy, Debug)]
pub struct Spoof {
    /// Where they say that they are from.
    pub from: (&'static str, u16),
    /// The port of the SBC that they go to.
    pub to: u16,
    /// Whether they are datagrams, and not SYNs.
    pub is_udp: bool,
}

impl Spoof {
    /// How many packets are sent.
    pub const COUNT: u64 = 5;

    /// Sends them from the unlisted caller's host.
    pub fn send(self, field: &Field) {
        hping(field, self, Self::COUNT);
    }
}

/// How many SYNs from port 5060 of the unlisted caller itself are answered.
pub fn find_by_syn(field: &Field) -> u32 {
    hping(field, Spoof { from: (CALLER.signalling, 5060), to: 5060, is_udp: false }, Spoof::COUNT)
}

/// Sends packets, and returns how many are answered.
fn hping(field: &Field, Spoof { from: (address, port), to, is_udp }: Spoof, count: u64) -> u32 {
    let mut hping = programs::command(field.host(CALLER.host), "usr/sbin/hping3");
    hping.args(["-I", "eth0", "-a", address, if is_udp { "-2" } else { "-S" }, "-s", &port.to_string(), "-k"]);
    let said = said(hping.args(["-p", &to.to_string(), "-c", &count.to_string(), "-i", "u20000", SBC]));
    let received =
        said.lines().find_map(|line| line.split(", ").find_map(|part| part.strip_suffix(" packets received")));
    received.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("hping3 said {said}"))
}

/// What a command prints, however it ends.
fn said(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = output.output().expect("it starts");
    [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
}
