//! Calls by `SIPp` with media: two providers' calls, which must get through, and an unlisted caller's.

use std::{
    fs,
    net::IpAddr,
    process::{ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use lab::{Host, Lab, Process};
use tempfile::TempDir;

use super::Scene;
use crate::demo::{
    flow::{ANY, Fate, Flow, Protocol},
    network::{CALLER, SBC, ipv4},
    sockets::PATIENCE,
};

/// Someone who calls.
struct Party {
    host: &'static str,
    signalling: IpAddr,
    media: IpAddr,
    /// The rules that let the signalling and the media in; none: not listed.
    rules: Option<[&'static str; 2]>,
    titles: [&'static str; 2],
}

const PARTIES: [Party; 3] = [
    Party {
        host: "kore",
        signalling: ipv4(54, 161, 251, 110),
        media: ipv4(54, 161, 251, 110),
        rules: Some(["kore/sip-udp", "kore/media"]),
        titles: ["Kore.ai calls, SIP over UDP", "Kore.ai calls, RTP"],
    },
    Party {
        host: "twilio",
        signalling: ipv4(208, 78, 112, 64),
        media: ipv4(168, 86, 130, 5),
        rules: Some(["twilio/sip-udp", "twilio/media"]),
        titles: ["Twilio calls, SIP over UDP", "Twilio calls, RTP"],
    },
    Party {
        host: "caller",
        signalling: CALLER,
        media: CALLER,
        rules: None,
        titles: ["unlisted caller, SIP over UDP", ""],
    },
];

/// Calls that each party makes.
const CALLS: &str = "3";

/// The SBC's SIP port, and the media port that it answers with.
const SIP_PORT: u16 = 5060;
const MEDIA_PORT: u16 = 16_384;

/// The port that callers send media from: inside what both providers publish.
const CALLER_MEDIA_PORT: &str = "20000";

/// A second of silence as PCMU: 50 RTP packets.
const AUDIO: [u8; 8000] = [0xff; 8000];

pub(super) fn scene() -> Scene {
    let mut flows = Vec::new();
    for party in PARTIES {
        let [signalling, media] = party.titles;
        let [sip, rtp] = match party.rules {
            Some(rules) => rules.map(Fate::Listed),
            None => [Fate::Dropped("source_unlisted"); 2],
        };
        flows.push(flow(signalling, party.signalling, SIP_PORT, sip));
        if party.rules.is_some() {
            flows.push(flow(media, party.media, MEDIA_PORT, rtp));
        }
    }
    Scene { flows, play }
}

fn flow(title: &'static str, source: IpAddr, port: u16, fate: Fate) -> Flow {
    Flow { title, source: source.into(), protocol: Protocol::Udp, source_ports: ANY, ports: port..=port, fate }
}

fn play(lab: &Lab) -> Result<String> {
    let files = tempfile::tempdir()?;
    fs::write(files.path().join("audio"), AUDIO)?;
    let audio = files.path().join("audio").display().to_string();
    fs::write(files.path().join("call.xml"), include_str!("call.xml").replace("AUDIO", &audio))?;
    let _answering = answer_calls(lab.host("sbc")?)?;
    let mut calling = Vec::new();
    for party in &PARTIES {
        calling.push((party, call(lab, party, &files)?));
    }
    for (party, process) in &mut calling {
        let ended = process.wait(3 * PATIENCE)?;
        let completed = ended.is_some_and(|status: ExitStatus| status.success());
        ensure!(completed == party.rules.is_some(), "{}: SIPp ended with {ended:?}", party.titles[0]);
    }
    Ok(format!("{CALLS} calls of each provider were answered and carried audio; the unlisted caller got no answer"))
}

/// `SIPp` as the SBC: it answers calls, and sends audio back.
fn answer_calls(sbc: &Host) -> Result<Process> {
    let (address, sip, media) = (SBC.to_string(), SIP_PORT.to_string(), MEDIA_PORT.to_string());
    let mut sipp = sbc.command("sipp");
    sipp.args(["-sn", "uas", "-i", &address, "-p", &sip, "-mi", &address, "-mp", &media, "-rtp_echo", "-nostdin"]);
    let process = Process::start(sipp.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))?;
    let end = Instant::now() + PATIENCE;
    while !sbc.enter(|| is_bound(SIP_PORT))?? {
        ensure!(Instant::now() < end, "SIPp does not listen on the SBC");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(process)
}

/// Whether this thread's network namespace has a UDP socket at that port.
fn is_bound(port: u16) -> Result<bool> {
    let sockets = fs::read_to_string("/proc/thread-self/net/udp")?;
    let local_port = format!(":{port:04X}");
    Ok(sockets.lines().any(|line| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&local_port))))
}

fn call(lab: &Lab, party: &Party, files: &TempDir) -> Result<Process> {
    let (signalling, media) = (party.signalling.to_string(), party.media.to_string());
    let mut sipp = lab.host(party.host)?.command("sipp");
    sipp.arg(format!("{SBC}:{SIP_PORT}")).arg("-sf").arg(files.path().join("call.xml"));
    sipp.args(["-i", &signalling, "-p", "5060", "-mi", &media, "-mp", CALLER_MEDIA_PORT]);
    sipp.args(["-m", CALLS, "-r", CALLS, "-nostdin", "-timeout", "5", "-timeout_error"]);
    Process::start(sipp.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
}
