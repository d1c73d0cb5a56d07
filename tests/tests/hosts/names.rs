//! DNS by a real resolver, with the answers tracked and by a list.

use std::{
    io::ErrorKind,
    net::{TcpStream, UdpSocket},
    time::Duration,
};

use lab::{Host, Process};
use tests::{service::wait_for, unpacked::start};

use crate::place::{DAEMONS, PLAIN, Place, Policy, SBC, SERVER, SILENCE, receives, socket};

pub(crate) const TRACKED: Policy<'static> = Policy { sbc: "return_traffic = \"tracked\"", ..PLAIN };
/// Names that a local resolver is asked for.
const NAMES: u16 = 40;

/// A resolver on a host, until it is dropped. It listens at an address, `127.0.0.1@5300` where the port is not 53.
fn resolver(place: &Place, host: &Host, address: &str, more: &str) -> Process {
    let name = format!("unbound-{}", host.name());
    let words = [("ADDRESS", address), ("DIRECTORY", &place.path("")), ("NAME", &name), ("MORE", more)];
    let configuration = place.write(&name, include_str!("unbound.conf"), &words);
    let mut unbound = DAEMONS.command(host, "usr/sbin/unbound");
    let process = start(unbound.args(["-d", "-c", &configuration]), place.path(&format!("{name}.log")).as_ref());
    let (address, port) = address.split_once('@').unwrap_or((address, "53"));
    wait_for("the resolver answers on its own host", || {
        let mut dig = DAEMONS.command(host, "usr/bin/dig");
        dig.args([&format!("@{address}"), "-p", port, "ready.test"]).args(QUICK);
        let said = dig.output().expect("dig starts").stdout;
        said.starts_with(b"127.").then_some(())
    });
    process
}

/// The server's resolver, which knows `*.example`, and a text of 3 KB at `big.test`.
fn server(place: &Place) -> Process {
    let line = |number| format!("    local-data: 'big.test. TXT \"{}{number}\"'\n", "x".repeat(90));
    let text: String = (0..30).map(line).collect();
    let example = "    local-zone: \"example.\" redirect\n    local-data: \"example. A 203.0.113.5\"\n";
    resolver(place, place.host(SERVER), SERVER.ipv4, &[example, &text].concat())
}

/// Options for `dig`: one try, and no more than what is asked for.
const QUICK: [&str; 3] = ["+short", "+tries=1", "+time=1"];
const PATIENT: [&str; 3] = ["+short", "+tries=1", "+time=10"];

/// What the SBC learns from the server; nothing where no answer comes.
fn ask(place: &Place, options: &[&str], question: &[&str]) -> String {
    let mut dig = DAEMONS.command(place.sbc(), "usr/bin/dig");
    let output = dig.arg(format!("@{}", SERVER.ipv4)).args(["-b", SBC.ipv4]).args(options).args(question).output();
    let said = String::from_utf8(output.expect("dig starts").stdout).expect("text");
    said.lines().filter(|line| !line.starts_with(';')).collect::<Vec<_>>().join("\n")
}

/// Sends a question for `NUMBER.example` to a resolver, without waiting for its answer.
fn send_question(socket: &UdpSocket, resolver: (&str, u16), number: u16) {
    let [high, low] = number.to_be_bytes();
    let label = format!("{number:05}");
    let header = [high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let question = [&[5], label.as_bytes(), b"\x07example\0", &[0, 1, 0, 1]].concat();
    socket.send_to(&[&header, &question[..]].concat(), resolver).expect("a question leaves");
}

#[test]
fn names_are_resolved_where_answers_are_tracked_or_the_server_is_on_a_list() {
    let place = Place::new(&[SBC, SERVER]);
    let _resolver = server(&place);

    place.attach(PLAIN);
    assert_eq!(ask(&place, &QUICK, &["sip.example"]), "");
    place.await_reason("source_unlisted", 1);

    place.attach(TRACKED);
    let (answer, returned) = place.grows("return_traffic", || ask(&place, &PATIENT, &["sip.example"]));
    assert_eq!((answer.as_str(), returned), ("203.0.113.5", 1));
    // Too long for the 1,232 octets that `dig` offers to take: asked for again by TCP.
    let (text, returned) = place.grows("return_traffic", || ask(&place, &PATIENT, &["big.test", "TXT"]));
    assert_eq!(text.lines().count(), 30);
    assert!(returned >= 4, "{returned} packets of a connection");

    let servers = servers(&place);
    place.attach(Policy { more: &servers, ..PLAIN });
    assert_eq!(ask(&place, &PATIENT, &["sip.example"]), "203.0.113.5");
    assert_eq!(ask(&place, &PATIENT, &["+tcp", "big.test", "TXT"]).lines().count(), 30);
    assert!(place.rule("servers/other") >= 5, "{}", place.stats("eth0"));
    // A list lets answers in alone: what the server opens stays out.
    let server = place.host(SERVER);
    let to = format!("{}:40000", SBC.ipv4).parse().expect("an address");
    let refused = server.enter(|| TcpStream::connect_timeout(&to, SILENCE)).expect("a host");
    assert_eq!(refused.expect_err("nothing gets in").kind(), ErrorKind::TimedOut);
    place.await_reason("port_closed", 1);
}

/// A list of this host's own servers, imported as any provider's page.
pub(crate) fn servers(place: &Place) -> String {
    let page = place.write("servers.md", include_str!("servers.md"), &[]);
    place.sipwall(&["import", &page, "-o", &place.path("servers.toml")]).assert_done();
    "[[provider]]\nname = \"servers\"\nallowlist = \"servers.toml\"".to_owned()
}

#[test]
fn a_long_answer_in_fragments_needs_fragments_to_be_tracked_too() {
    let place = Place::new(&[SBC, SERVER]);
    let _resolver = server(&place);
    let long = ["+bufsize=4096", "+ignore", "big.test", "TXT"];
    place.attach(TRACKED);
    assert_eq!(ask(&place, &QUICK, &long), "");
    // Three fragments, of which the first has the ports that tell its flow.
    place.await_reason("fragment_unlisted", 2);
    assert_eq!(place.reason("return_traffic"), 1);
    place.attach(Policy { sbc: "return_traffic = \"tracked\"\nfragments = \"tracked\"", ..PLAIN });
    let (answer, passed) = place.grows("fragment_tracked", || ask(&place, &PATIENT, &long));
    assert_eq!((answer.lines().count(), passed), (30, 2));
}

#[test]
fn a_resolver_of_its_own_must_keep_off_the_media_ports() {
    let place = Place::new(&[SBC, SERVER]);
    let _server = server(&place);
    place.attach(TRACKED);
    // A quarter of the ports that it may ask from are for media: what comes back there is no answer.
    let (local, _asking) = ask_local_resolver(&place, "");
    place.await_reason("source_unlisted", 1);
    drop(local);
    let ((), dropped) = place.grows("source_unlisted", || {
        let (_local, asking) = ask_local_resolver(&place, "    outgoing-port-avoid: 16384-32767");
        assert!((0..NAMES).all(|_| receives(&asking)), "every question is answered");
    });
    assert_eq!(dropped, 0);
}

/// Asks a resolver on the SBC itself, which asks the server, for many names at once.
fn ask_local_resolver(place: &Place, option: &str) -> (Process, UdpSocket) {
    let more = format!("{option}\nforward-zone:\n    name: \".\"\n    forward-addr: {}", SERVER.ipv4);
    let local = resolver(place, place.sbc(), "127.0.0.1@5300", &more);
    let asking = socket(place.sbc(), "127.0.0.1", 0, Duration::from_secs(20));
    (0..NAMES).for_each(|number| send_question(&asking, ("127.0.0.1", 5300), number));
    (local, asking)
}
