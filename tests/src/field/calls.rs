//! Calls by `SIPp` from a provider: INVITE, audio, re-INVITE, BYE.

use std::{fs, time::Duration};

use lab::Process;
use tempfile::TempDir;

use super::{
    network::{Field, PATIENCE, Party, SBC, text},
    programs,
    way::{Opened, Way},
};

/// Where callers send their audio from: inside what every provider publishes.
const MEDIA_PORT: u16 = 20_000;
/// Octets of a millisecond of PCMU.
const MILLISECOND: usize = 8;

/// The file for what `SIPp` counts.
const STATISTICS: &str = "statistics.csv";
/// How the name of the one for response times ends.
const TIMES: &str = "_rtt.csv";

/// A call to be made.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Who calls.
    pub party: Party,
    /// The way of its signalling.
    pub way: Way,
    /// Octets that its INVITE is longer by.
    pub padding: usize,
    /// How many there are, four begun in a second.
    pub number: u32,
    /// How long its audio is.
    pub length: Duration,
    /// How long the caller waits for what does not come.
    pub patience: Duration,
}

/// A call that is going on.
#[derive(Debug)]
pub struct Calling {
    call: Call,
    sipp: Process,
    log: String,
    /// What it traces it leaves where it runs.
    traces: TempDir,
    _way: Opened,
}

impl Call {
    /// A short call with a short INVITE.
    pub const fn short(party: Party, way: Way) -> Self {
        Self { party, way, padding: 10, number: 1, length: Duration::from_secs(2), patience: PATIENCE }
    }

    /// A call that is not expected to be answered.
    pub const fn hopeless(party: Party, way: Way) -> Self {
        Self { length: Duration::from_millis(100), patience: Duration::from_secs(3), ..Self::short(party, way) }
    }

    /// How many RTP packets it sends: one for 20 ms.
    pub fn packets(&self) -> usize {
        usize::try_from(u128::from(self.number) * self.length.as_millis() / 20).expect("a short call")
    }

    /// Asserts that about so many were sent: on a busy machine `SIPp` hangs up before it has sent all.
    ///
    /// # Panics
    /// If they were fewer, or more.
    pub fn assert_sent(&self, sent: usize) {
        let all = self.packets();
        assert!((all * 9 / 10..=all).contains(&sent), "{self:?}: {sent} packets were sent");
    }

    /// The rule that lets its signalling in.
    pub fn signalling_rule(&self) -> String {
        format!("{}/{}", self.party.host, self.way.service())
    }

    /// Begins it.
    pub fn begin(self, field: &Field) -> Calling {
        let Self { party, way, padding, number, length, patience } = self;
        let log = format!("{}-{way:?}.log", party.host);
        let milliseconds = usize::try_from(length.as_millis()).expect("a short call");
        let audio = field.path(&format!("{}-{way:?}.audio", party.host));
        fs::write(&audio, vec![0xff; milliseconds * MILLISECOND]).expect("a file");
        // Somewhat more than the audio in all, so that all of it is sent.
        let half = (milliseconds / 2 + 300).to_string();
        let words = [("AUDIO", text(&audio)), ("HALF", &half), ("SBC", SBC), ("PADDING", &"x".repeat(padding))];
        let scenario = field.write(&format!("{}-{way:?}.xml", party.host), include_str!("call.xml"), &words);
        let opened = way.open(field, party);
        let traces = field.directory();
        let mut sipp = field.host(party.host).command("env");
        sipp.arg("--chdir").arg(traces.path()).arg("sipp");
        programs::quiet(sipp.args([&opened.next, "-sf", text(&scenario), "-t", opened.transport, "-nostdin"]));
        sipp.args(["-m", &number.to_string(), "-r", "4", "-trace_rtt", "-rtt_freq", "1"]);
        sipp.args(["-i", party.signalling, "-p", "5060", "-mi", party.media]);
        sipp.args(["-mp", &MEDIA_PORT.to_string()]);
        sipp.args(["-timeout", &(length + patience).as_secs().to_string(), "-timeout_error"]);
        sipp.args(["-trace_stat", "-stf", STATISTICS]);
        sipp.args(["-trace_err", "-error_file", text(&field.path(&format!("{log}.errors")))]);
        Calling { call: self, sipp: programs::start(&mut sipp, &field.path(&log)), log, traces, _way: opened }
    }
}

impl Calling {
    /// Whether it has not ended yet.
    pub fn goes_on(&mut self) -> bool {
        self.sipp.wait(Duration::ZERO).expect("a process").is_none()
    }

    /// Waits for the end, and returns how many of the calls got to theirs, and how long it took until each was answered.
    pub fn survivors(mut self) -> (u64, Vec<Duration>) {
        self.sipp.wait(self.call.length + self.call.patience + PATIENCE).expect("a process");
        (self.successful(), self.setup_times())
    }

    fn successful(&self) -> u64 {
        let statistics = fs::read_to_string(self.traces.path().join(STATISTICS)).expect("a file");
        let [names, numbers] = [statistics.lines().next(), statistics.lines().last()]
            .map(|line| line.unwrap_or_default().split(';').collect::<Vec<_>>());
        let column = names.iter().position(|name| *name == "SuccessfulCall(C)").expect("a column");
        numbers[column].parse().expect("a number")
    }

    /// In the file are the time, the milliseconds and the name of each. There is none where nothing was answered.
    fn setup_times(&self) -> Vec<Duration> {
        let files = fs::read_dir(self.traces.path()).expect("a directory").map(|entry| entry.expect("an entry").path());
        let times = files.filter(|path| path.to_string_lossy().ends_with(TIMES));
        let times: String = times.map(|path| fs::read_to_string(path).expect("a file")).collect();
        let milliseconds = times.lines().skip(1).filter_map(|line| line.split(';').nth(1)?.parse::<f64>().ok());
        milliseconds.map(|milliseconds| Duration::from_secs_f64(milliseconds / 1000.0)).collect()
    }

    /// Waits for its end, and says whether it was what it should be.
    pub fn completes(mut self) -> bool {
        // It ends by itself before.
        let ended = self.sipp.wait(self.call.length + self.call.patience + PATIENCE).expect("a process");
        ended.is_some_and(|status| status.success())
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it fails: with what the programs said.
    pub fn assert_completes(self, field: &Field) {
        let (call, log) = (self.call, self.log.clone());
        if self.completes() {
            return;
        }
        let edge = format!("{}.log", call.party.host);
        let said = field.said(&[&format!("{log}.errors"), &log, &edge, "sbc.log", "rtpengine.log"]);
        panic!("{call:?} failed; dropped: {:?}\n{said}", field.dropped());
    }
}
