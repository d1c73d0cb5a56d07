//! Calls by `SIPp` from a provider: INVITE, audio, re-INVITE, BYE.

use std::{fs, time::Duration};

use lab::Process;

use crate::{
    network::{Field, PATIENCE, Party, SBC, comes_about, is_bound, text},
    programs,
    sbc::kamailio,
};

/// Where callers send their audio from: inside what every provider publishes.
const MEDIA_PORT: u16 = 20_000;
/// Octets of a millisecond of PCMU.
const MILLISECOND: usize = 8;

/// How a call's signalling gets to the SBC.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Udp,
    Tcp,
    /// By the provider's edge, which speaks TLS to this port.
    Tls(u16),
}

/// A call to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) party: Party,
    pub(crate) way: Way,
    /// Octets that its INVITE is longer by.
    pub(crate) padding: usize,
    pub(crate) length: Duration,
}

/// A call that is going on.
#[derive(Debug)]
pub(crate) struct Calling {
    call: Call,
    sipp: Process,
    log: String,
    _edge: Option<Process>,
}

impl Call {
    /// A short call with a short INVITE.
    pub(crate) const fn short(party: Party, way: Way) -> Self {
        Self { party, way, padding: 10, length: Duration::from_secs(2) }
    }

    /// How many RTP packets it sends: one for 20 ms.
    pub(crate) fn packets(&self) -> usize {
        usize::try_from(self.length.as_millis() / 20).expect("a short call")
    }

    /// Begins it.
    pub(crate) fn begin(self, field: &Field) -> Calling {
        let Self { party, way, padding, length } = self;
        let host = field.host(party.host);
        let log = format!("{}-{way:?}.log", party.host);
        let milliseconds = usize::try_from(length.as_millis()).expect("a short call");
        let audio = field.path(&format!("{}-{way:?}.audio", party.host));
        fs::write(&audio, vec![0xff; milliseconds * MILLISECOND]).expect("a file");
        // Somewhat more than the audio in all, so that all of it is sent.
        let half = (milliseconds / 2 + 300).to_string();
        let words = [("AUDIO", text(&audio)), ("HALF", &half), ("SBC", SBC), ("PADDING", &"x".repeat(padding))];
        let scenario = field.write(&format!("{}-{way:?}.xml", party.host), include_str!("call.xml"), &words);
        let mut edge = None;
        let (next, transport) = match way {
            Way::Udp => (format!("{SBC}:5060"), "u1"),
            Way::Tcp => (format!("{SBC}:5060"), "t1"),
            Way::Tls(port) => {
                let words = [("PROVIDER", party.signalling), ("PORT", &port.to_string())];
                edge = Some(kamailio(field, party.host, include_str!("edge.cfg"), &words));
                let listens = comes_about(|| is_bound(host, "udp", 5070));
                assert!(
                    listens,
                    "the provider's edge does not listen: {}",
                    field.said(&[&format!("{}.log", party.host)])
                );
                (format!("{}:5070", party.signalling), "u1")
            }
        };
        let mut sipp = host.command("sipp");
        programs::quiet(sipp.args([&next, "-sf", text(&scenario), "-t", transport, "-m", "1", "-nostdin"]));
        sipp.args(["-i", party.signalling, "-p", "5060", "-mi", party.media, "-mp", &MEDIA_PORT.to_string()]);
        sipp.args(["-timeout", &(milliseconds / 1000 + 15).to_string(), "-timeout_error"]);
        sipp.args(["-trace_err", "-error_file", text(&field.path(&format!("{log}.errors")))]);
        Calling { call: self, sipp: programs::start(&mut sipp, &field.path(&log)), log, _edge: edge }
    }
}

impl Calling {
    /// Whether it has not ended yet.
    pub(crate) fn goes_on(&mut self) -> bool {
        self.sipp.wait(Duration::ZERO).expect("a process").is_none()
    }

    /// Waits for its end, and says whether it was what it should be.
    pub(crate) fn completes(mut self) -> bool {
        let ended = self.sipp.wait(self.call.length + PATIENCE).expect("a process");
        ended.is_some_and(|status| status.success())
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it fails: with what the programs said.
    pub(crate) fn assert_completes(self, field: &Field) {
        let (call, log) = (self.call, self.log.clone());
        if self.completes() {
            return;
        }
        let edge = format!("{}.log", call.party.host);
        let said = field.said(&[&format!("{log}.errors"), &log, &edge, "sbc.log", "rtpengine.log"]);
        panic!("{call:?} failed; dropped: {:?}\n{said}", field.dropped());
    }
}
