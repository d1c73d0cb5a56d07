//! `sipwall replay`

mod progress;
mod report;

use std::{
    io::{self, BufWriter, ErrorKind, StdoutLock, Write},
    net::IpAddr,
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Result, bail};
use filter_user::{
    policy::{CompiledPolicy, Policy, file::Sbc},
    replay::{Capture, CaptureError, CapturedFrame, Engine, Flow, HostEngine, KernelEngine, Outcome, Sender, Tally},
};
use serde::Serialize;

use self::progress::Progress;
use super::{WRONG_INPUT, check, policy::PolicyArgument, refresh::StateDirectory};

/// Judge every packet of a capture by a policy, with nothing attached
///
/// Says what would pass and what would be dropped, whatever the policy's mode. Rate limits and return traffic do not
/// apply; fragments are tracked by the capture's clock, on the host. Where the decision needs octets that the capture
/// cut off, the fate is unknown.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall replay capture.pcap policy.toml                          # what it would have dropped
  sipwall replay - --policy policy.toml --json                     # a capture from standard input
  sipwall replay capture.pcap --policy policy.toml --engine host   # without root")]
pub(crate) struct Replay {
    /// The capture, pcap or pcapng of an Ethernet interface; `-` for standard input
    capture: PathBuf,
    #[command(flatten)]
    policy: PolicyArgument,
    #[command(flatten)]
    state: StateDirectory,
    /// Who judges
    #[arg(long, value_enum, default_value_t = Judge::Kernel)]
    engine: Judge,
    /// Leave out what the host itself sent: packets from its own `addresses`
    #[arg(long)]
    skip_egress: bool,
    /// Print one JSON object for each packet, then one with the summary
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Judge {
    /// The program itself, loaded into this machine's kernel; needs root
    Kernel,
    /// The same decision, on the host
    Host,
}

/// A packet's line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    index: u64,
    action: &'a str,
    rule: Option<&'a str>,
    reason: Option<&'a str>,
}

impl Replay {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let (policy, compiled) = match check::load(self.policy.path(), &self.state) {
            Ok(loaded) => loaded,
            Err(refusals) => return Ok(check::refuse(&refusals)),
        };
        if self.skip_egress && policy.file().sbc.addresses.is_empty() {
            eprintln!(
                "error: `--skip-egress` needs the host's own addresses\nhint: set `addresses` in the policy's `[sbc]`"
            );
            return Ok(ExitCode::from(WRONG_INPUT));
        }
        match Capture::open(&self.capture) {
            Ok(capture) => self.replay(capture, &policy, &compiled),
            Err(error) => Ok(self.refuse(&error)),
        }
    }

    fn replay(&self, capture: Capture, policy: &Policy, compiled: &CompiledPolicy) -> Result<ExitCode> {
        let Sbc { addresses, monitor, .. } = &policy.file().sbc;
        let mut run = Run {
            command: self,
            policy: compiled,
            own: if self.skip_egress { addresses } else { &[] },
            tally: Tally::new(compiled),
            output: BufWriter::new(io::stdout().lock()),
        };
        let broken = run.judge_all(capture, self.engine(compiled)?);
        match broken.and_then(|broken| run.finish(*monitor, broken)) {
            // A reader that went away ends the command in peace.
            Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
            ended => ended,
        }
    }

    fn engine(&self, policy: &CompiledPolicy) -> Result<Box<dyn Engine>> {
        if self.engine == Judge::Host {
            return Ok(Box::new(HostEngine::new(policy)));
        }
        match KernelEngine::new(policy) {
            Ok(engine) => Ok(Box::new(engine)),
            Err(error) => bail!("cannot judge in the kernel: {error:#}\nhint: `--engine host` needs no root"),
        }
    }

    fn refuse(&self, error: &CaptureError) -> ExitCode {
        eprintln!("error: `{}` {error}", self.capture.display());
        ExitCode::from(WRONG_INPUT)
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// A replay under way.
struct Run<'a> {
    command: &'a Replay,
    policy: &'a CompiledPolicy,
    /// The addresses from which packets are left out.
    own: &'a [IpAddr],
    tally: Tally,
    output: BufWriter<StdoutLock<'static>>,
}

impl Run<'_> {
    /// Judges every packet; returns why it had to stop before the end, if it had to.
    fn judge_all(&mut self, mut capture: Capture, mut engine: Box<dyn Engine>) -> Result<Option<CaptureError>> {
        let progress = Progress::new(capture.size(), self.command.json);
        for index in 0.. {
            progress.show(index, capture.position());
            let frame = match capture.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => return Ok(Some(error)),
            };
            if self.is_own(&frame) {
                self.tally.skip();
                continue;
            }
            let outcome = engine.judge(&frame)?;
            self.tally.count(&frame, outcome);
            if self.command.json {
                self.line(index, outcome)?;
            }
        }
        Ok(None)
    }

    /// Whether the host itself sent the packet, and those are to be left out.
    fn is_own(&self, frame: &CapturedFrame<'_>) -> bool {
        !self.own.is_empty()
            && matches!(Flow::of(frame.octets()).sender, Sender::Address(source) if self.own.contains(&source))
    }

    fn line(&mut self, index: u64, outcome: Outcome) -> Result<()> {
        let line = match outcome {
            Outcome::Unknown => Line { index, action: "unknown", rule: None, reason: None },
            Outcome::Judged(verdict) => Line {
                index,
                action: verdict.action().name(),
                rule: verdict.rule().and_then(|rule| Some(self.policy.rules.get(usize::from(rule))?.name.as_str())),
                reason: Some(verdict.reason().name()),
            },
        };
        self.json(&line)
    }

    /// Sums up, also what came before the place where the capture is broken.
    fn finish(&mut self, monitor: bool, broken: Option<CaptureError>) -> Result<ExitCode> {
        let summary = self.tally.summary(self.policy);
        if self.command.json {
            self.json(&serde_json::json!({ "summary": summary }))?;
        } else {
            report::write(&mut self.output, &self.tally, &summary, monitor)?;
        }
        self.output.flush()?;
        Ok(broken.map_or(ExitCode::SUCCESS, |error| self.command.refuse(&error)))
    }

    fn json(&mut self, data: &impl Serialize) -> Result<()> {
        let line = serde_json::to_string(data)?;
        Ok(writeln!(self.output, "{line}")?)
    }
}
