//! `sipwall events`

mod top;

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::builder::PossibleValuesParser;
use filter_common::{Action, Reason};
use filter_user::{
    kernel,
    telemetry::{CaptureWriter, Event, Events},
};
use ipnet::IpNet;
use serde::Serialize;

use super::{live::prefix, output, pause::Pauses, target::Interfaces};

/// How long nothing is read while events are followed. In this time a CPU overwrites none that it took after the last.
const PAUSE: Duration = Duration::from_millis(200);

/// Show dropped packets, of many at once a sample
///
/// Each CPU keeps its last samples, whoever looks and however often: nobody takes them from anybody. In monitor mode they
/// are of what would have been dropped.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall events                                     # what was dropped last
  sipwall events --top                               # who sends most of it, and what for
  sipwall events eth0 --follow --reason source_port  # as it comes
  sipwall events --follow --pcap dropped.pcapng      # for Wireshark")]
#[expect(clippy::struct_excessive_bools, reason = "each is an option on the command line")]
pub(crate) struct ShowEvents {
    #[command(flatten)]
    interfaces: Interfaces,
    /// Go on with what comes, until a signal
    #[arg(long, short)]
    follow: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
    /// Show the first octets too, in hexadecimal
    #[arg(long)]
    octets: bool,
    /// Write them into a capture, pcapng, too; `-` for standard output, and nothing else there
    #[arg(long, value_name = "FILE", conflicts_with = "top")]
    pcap: Option<PathBuf>,
    /// Rank sources, networks and what they wanted instead
    #[arg(long, conflicts_with_all = ["follow", "octets"])]
    top: bool,
}

/// Which dropped packets are shown.
#[derive(clap::Args)]
pub(crate) struct Which {
    /// Only these reasons
    #[arg(long, value_name = "REASON", value_delimiter = ',', value_parser = reasons())]
    reason: Vec<String>,
    /// Only from these hosts or CIDRs
    #[arg(long, value_name = "CIDR", value_parser = prefix)]
    source: Vec<IpNet>,
}

impl Which {
    /// Whether all are.
    pub(crate) const fn is_all(&self) -> bool {
        self.reason.is_empty() && self.source.is_empty()
    }

    /// Whether this one is.
    pub(crate) fn has(&self, event: &Event) -> bool {
        let reason = self.reason.is_empty() || self.reason.iter().any(|name| name == event.reason.name());
        let source = self.source.is_empty() || self.source.iter().any(|prefix| is_from(event, *prefix));
        reason && source
    }
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    event: &'a Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    octets: Option<String>,
}

/// What is printed as JSON where events were lost to the reader.
#[derive(Serialize)]
struct Missed {
    missed: u64,
}

type Capture = CaptureWriter<BufWriter<Box<dyn Write>>>;

impl ShowEvents {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let interfaces = self.interfaces.or_attached()?;
        if interfaces.is_empty() {
            eprintln!("no filter is attached to any interface");
            return Ok(ExitCode::SUCCESS);
        }
        let mut events = Events::open(&interfaces)?;
        if self.top {
            top::print(&self.wanted(events.read()?), self.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        self.stream(&mut events)?;
        if !self.follow {
            interfaces.iter().try_for_each(|interface| summarize(interface))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn stream(&self, events: &mut Events) -> Result<()> {
        let mut pauses = Pauses::new()?;
        let mut capture = self.pcap.as_deref().map(open).transpose()?;
        let mut missed = 0;
        loop {
            let batch = self.wanted(events.read()?);
            self.show(&batch, capture.as_mut())?;
            if events.missed() > missed {
                self.report_missed(events.missed() - missed)?;
                missed = events.missed();
            }
            if !self.follow || !pauses.pause(PAUSE) {
                return Ok(());
            }
        }
    }

    fn wanted(&self, mut events: Vec<Event>) -> Vec<Event> {
        events.retain(|event| self.which.has(event));
        events
    }

    fn show(&self, batch: &[Event], capture: Option<&mut Capture>) -> Result<()> {
        if let Some(capture) = capture {
            batch.iter().try_for_each(|event| capture.write(event))?;
            // Whatever ends the command, the capture is whole.
            capture.flush()?;
        }
        if self.pcap.as_deref().is_some_and(is_stdout) {
            return Ok(());
        }
        let mut text = String::new();
        for event in batch {
            text.push_str(&if self.json { self.object(event)? } else { self.line(event) });
            text.push('\n');
        }
        output::print(&text)
    }

    fn object(&self, event: &Event) -> Result<String> {
        let octets = self.octets.then(|| hexadecimal(&event.octets));
        Ok(serde_json::to_string(&Printed { event, octets })?)
    }

    fn line(&self, event: &Event) -> String {
        let octets = self.octets.then(|| hexadecimal(&event.octets));
        [event.line()].into_iter().chain(octets).collect::<Vec<_>>().join(" ")
    }

    fn report_missed(&self, missed: u64) -> Result<()> {
        eprintln!("warning: {missed} samples were overwritten before they could be read");
        if self.json { output::json(&Missed { missed }) } else { Ok(()) }
    }
}

/// Says what the events are a sample of.
fn summarize(interface: &str) -> Result<()> {
    let stats = kernel::stats(interface)?;
    let packets = |action| stats.reasons.iter().filter(|count| count.action == action).map(|count| count.packets).sum();
    let dropped = dropped_text(packets("drop"), packets("would_drop"));
    eprintln!("`{interface}`: {dropped} since the filter was attached, {} sampled", stats.sampled);
    Ok(())
}

/// How many packets were dropped, and would have been in monitor mode.
fn dropped_text(dropped: u64, would_drop: u64) -> String {
    match (dropped, would_drop) {
        (dropped, 0) => format!("{dropped} packets dropped"),
        (0, would_drop) => format!("{would_drop} packets would have been dropped (MONITOR)"),
        (dropped, would_drop) => format!("{dropped} packets dropped, {would_drop} more would have been (MONITOR)"),
    }
}

fn is_from(event: &Event, prefix: IpNet) -> bool {
    event.headers.address().is_some_and(|address| prefix.contains(&address))
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn open(path: &Path) -> Result<Capture> {
    let to: Box<dyn Write> = if is_stdout(path) {
        Box::new(io::stdout())
    } else {
        Box::new(File::create(path).with_context(|| format!("cannot make `{}`", path.display()))?)
    };
    CaptureWriter::new(BufWriter::new(to))
}

fn reasons() -> PossibleValuesParser {
    let drops = Reason::ALL.iter().filter(|reason| reason.action() == Action::Drop);
    PossibleValuesParser::new(drops.map(|reason| reason.name()))
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        // A string takes every write.
        let _ = write!(text, "{octet:02x}");
        text
    })
}
