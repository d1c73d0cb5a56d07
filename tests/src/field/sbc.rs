//! The SBC: Kamailio for its signalling, rtpengine for its media, and a PBX behind it that takes every call.

use lab::Process;

use super::{
    network::{Field, RELAY, SBC, comes_about, is_bound, text},
    programs,
};

/// What runs on the SBC, until it is dropped.
#[derive(Debug)]
pub struct Sbc {
    _processes: [Process; 3],
}

impl Sbc {
    /// Starts it, and waits until it listens.
    pub fn start(field: &Field) -> Self {
        Self::start_with(field, &[])
    }

    /// Starts one whose log complains of strangers.
    pub fn start_complaining(field: &Field) -> Self {
        Self::start_with(field, &["-A", "LOG_STRANGERS"])
    }

    fn start_with(field: &Field, options: &[&str]) -> Self {
        let kamailio = kamailio(field, "sbc", include_str!("sbc.cfg"), &[], options);
        let processes = [pbx(field), rtpengine(field), kamailio];
        let host = field.host("sbc");
        let sockets = [("udp", 5060), ("udp", 5070), ("udp", 2223), ("tcp", 5060), ("tcp", 5061), ("tcp", 5081)];
        let listens = comes_about(|| sockets.iter().all(|(table, port)| is_bound(host, table, *port)));
        assert!(listens, "the SBC does not listen: {}", field.said(&["sbc.log", "rtpengine.log", "pbx.log"]));
        Self { _processes: processes }
    }
}

/// The PBX: `SIPp`, which sends back all audio that it gets.
fn pbx(field: &Field) -> Process {
    let scenario = field.write("answer.xml", include_str!("answer.xml"), &[]);
    let mut sipp = field.host("sbc").command("sipp");
    programs::quiet(sipp.args(["-sf", text(&scenario), "-i", "127.0.0.1", "-p", "5070", "-nostdin"]));
    sipp.args(["-mi", "127.0.0.1", "-mp", "40000", "-rtp_echo"]);
    programs::start(&mut sipp, &field.path("pbx.log"))
}

fn rtpengine(field: &Field) -> Process {
    let mut rtpengine = programs::command(field.host("sbc"), "usr/bin/rtpengine");
    rtpengine.args(["--foreground", "--log-stderr", "--table=-1", "--delete-delay=0", "--listen-ng=127.0.0.1:2223"]);
    rtpengine.arg(format!("--interface=ext/{SBC}")).arg("--interface=int/127.0.0.1");
    rtpengine.args(["--port-min=16384", "--port-max=32766", "--num-threads=2"]);
    programs::start(&mut rtpengine, &field.path("rtpengine.log"))
}

/// Kamailio with a configuration in which words stand for others.
pub(super) fn kamailio(
    field: &Field,
    host: &str,
    configuration: &str,
    words: &[(&str, &str)],
    options: &[&str],
) -> Process {
    let [certificate, key] = certificate(field);
    let modules = programs::file("usr/lib/x86_64-linux-gnu/kamailio/modules");
    let mut all = vec![("MODULES", text(&modules)), ("CERTIFICATE", &certificate), ("KEY", &key), ("SBC", SBC)];
    all.splice(0..0, words.iter().copied());
    let configuration = field.write(&format!("{host}.cfg"), configuration, &all);
    let mut kamailio = programs::command(field.host(host), "usr/sbin/kamailio");
    kamailio.args(["-DD", "-E", "-m", "32", "-M", "4", "-f", text(&configuration)]).args(options);
    kamailio.args(["-Y", text(&field.path("")), "-P", text(&field.path(&format!("{host}.pid")))]);
    programs::start(&mut kamailio, &field.path(&format!("{host}.log")))
}

/// A certificate of the SBC and the relay, by which others know them, and its key.
pub(super) fn certificate(field: &Field) -> [String; 2] {
    let [certificate, key] = ["sbc.pem", "sbc.key"].map(|name| field.path(name));
    if !certificate.exists() {
        let signed = rcgen::generate_simple_self_signed([SBC, RELAY].map(str::to_owned)).expect("a certificate");
        std::fs::write(&certificate, signed.cert.pem()).expect("a file");
        std::fs::write(&key, signed.signing_key.serialize_pem()).expect("a file");
    }
    [certificate, key].map(|path| text(&path).to_owned())
}
