//! A packet's whole way: from a veth pair to where it is dropped or taken in, beside others.

mod contestant;
mod network;
mod tool;

pub(crate) use contestant::{attach, binary, sipwall};

use std::{fmt, net::UdpSocket};

use anyhow::{Context as _, Result, ensure};
use filter_user::kernel::{Bench, PathProgram};
use ipnet::IpNet;
use serde::Serialize;

use self::{
    contestant::{ALL, Contestant, EMPTY, LEAST, SIPWALL},
    network::Network,
};
use crate::{
    policies::{self, CLOSED, Family, Layout, OPEN, PORTS, Sources},
    statistics::{Effort, Rounds},
    table,
};

/// Hosts that let packets in, and what stands on them.
const PASSING: [(&str, &str, Option<PathProgram>); 5] = [
    ("no program", "bare", None),
    ("empty XDP_PASS", "nothing", Some(PathProgram::PassAll)),
    ("parser alone", "reading", Some(PathProgram::PassParsed)),
    (LEAST, "passleast", Some(PathProgram::PassLeast)),
    (SIPWALL, FILTERED, None),
];
/// The host whose filter lets them in.
const FILTERED: &str = "passing";
/// How many packets may be counted elsewhere, in a million: what hosts say by themselves.
const STRAY: u64 = 100;

/// What was measured.
#[derive(Serialize)]
pub(crate) struct Report {
    prefixes: u32,
    denied: u32,
    drop: Vec<Flood>,
    pass: Vec<Cost>,
}

/// What everyone makes of one flood.
#[derive(Serialize)]
struct Flood {
    flood: &'static str,
    costs: Vec<Cost>,
}

#[derive(Serialize)]
struct Cost {
    name: &'static str,
    nanoseconds: f64,
    noise: f64,
    /// By what empty programs cost in the same run.
    by_empty: f64,
    /// By what the filter costs in the same run.
    by_sipwall: f64,
    aim: Option<f64>,
    most: Option<f64>,
}

/// How much is measured.
struct Extent {
    prefixes: u32,
    denied: u32,
    /// Of xdp-filter, which takes them one by one.
    addresses: u32,
    floods: &'static [(&'static str, Sources, u16)],
}

/// What is dropped.
const FLOODS: &[(&str, Sources, u16)] = &[
    ("listed sources, closed port", Sources::Listed, CLOSED),
    ("unlisted sources beside listed ones", Sources::Near, CLOSED),
];

const FULL: Extent = Extent { prefixes: 1000, denied: 1_000_000, addresses: 1000, floods: FLOODS };

const QUICK: Extent = Extent { prefixes: 1000, denied: 10_000, addresses: 16, floods: FLOODS };

/// Measures everyone.
pub(crate) fn measure(bench: Bench, quick: bool) -> Result<Report> {
    let Extent { prefixes: count, denied, addresses, floods } = if quick { QUICK } else { FULL };
    let prefixes = policies::prefixes(Family::V4, Layout::Clustered, count);
    let contestants = Contestant::all(&prefixes, addresses);
    let hosts = contestants.iter().map(|contestant| contestant.host).chain(PASSING.map(|(_, host, _)| host));
    let effort = if quick { Effort::QUICK } else { Effort::FULL };
    let mut network = Network::new(bench, &hosts.collect::<Vec<_>>(), effort)?;
    network.bench.time_softirqs()?;
    network.bench.set_peer(&policies::policy(&prefixes)?.sources, &PORTS)?;
    for contestant in &contestants {
        contestant.start(&mut network, &prefixes, denied)?;
    }
    let drop = floods.iter().map(|(flood, sources, port)| {
        network.bench.set_sources(&policies::sources(*sources, Family::V4, &prefixes))?;
        Ok(Flood { flood, costs: dropping(&mut network, &contestants, *port)? })
    });
    let drop = drop.collect::<Result<_>>()?;
    network.bench.set_sources(&policies::sources(Sources::Listed, Family::V4, &prefixes))?;
    Ok(Report { prefixes: count, denied, drop, pass: passing(&mut network, &prefixes)? })
}

/// Floods everyone in turns.
fn dropping(network: &mut Network, contestants: &[Contestant], port: u16) -> Result<Vec<Cost>> {
    let mut rounds = vec![Rounds::NONE; contestants.len()];
    for _ in 0..network.effort.path_rounds {
        for (contestant, rounds) in contestants.iter().zip(&mut rounds) {
            let before = contestant.dropped(network)?;
            let flooded = network.flood(contestant.host, port)?;
            let dropped = contestant.dropped(network)? - before;
            ensure!(
                nearly(dropped, flooded.received),
                "{} dropped {dropped} of {} packets: it did other work than the others",
                contestant.name,
                flooded.received
            );
            rounds.add(flooded.nanoseconds);
        }
    }
    let of =
        |name| contestants.iter().position(|contestant| contestant.name == name).map(|place| rounds[place].median());
    let (empty, sipwall) = of(EMPTY).zip(of(SIPWALL)).context("nothing to compare with")?;
    Ok(contestants
        .iter()
        .zip(&rounds)
        .map(|(contestant, rounds)| {
            let (nanoseconds, noise) = (rounds.median(), rounds.noise());
            let Contestant { name, aim, most, .. } = contestant;
            Cost {
                name,
                nanoseconds,
                noise,
                by_empty: nanoseconds / empty,
                by_sipwall: nanoseconds / sipwall,
                aim: *aim,
                most: *most,
            }
        })
        .collect())
}

/// Whether the same packets were counted, but for what hosts say by themselves.
fn nearly(counted: u64, packets: u64) -> bool {
    counted.abs_diff(packets) <= STRAY + packets / 1_000_000 * STRAY
}

/// Lets listed media in to a socket that nobody reads: without a program, through those that do little, and through the filter.
fn passing(network: &mut Network, prefixes: &[IpNet]) -> Result<Vec<Cost>> {
    attach(network.host(FILTERED)?, prefixes, false, 0)?;
    let mut sockets = Vec::new();
    for (_, host, program) in PASSING {
        if let Some(program) = program {
            network.attach(host, program, false)?;
        }
        sockets.push(network.host(host)?.enter(|| UdpSocket::bind(("0.0.0.0", OPEN)))??);
    }
    let mut rounds = [const { Rounds::NONE }; PASSING.len()];
    for _ in 0..network.effort.path_rounds {
        for ((_, host, _), rounds) in PASSING.into_iter().zip(&mut rounds) {
            rounds.add(network.flood(host, OPEN)?.nanoseconds);
        }
    }
    let dropped = contestant::dropped(network.host(FILTERED)?)?;
    ensure!(dropped <= STRAY, "the filter dropped {dropped} packets that it should let in");
    let [bare, .., sipwall] = rounds.each_ref().map(Rounds::median);
    Ok(PASSING
        .into_iter()
        .zip(&rounds)
        .map(|((name, ..), rounds)| {
            let (nanoseconds, noise) = (rounds.median(), rounds.noise());
            Cost {
                name,
                nanoseconds,
                noise,
                by_empty: nanoseconds / bare,
                by_sipwall: nanoseconds / sipwall,
                aim: None,
                most: None,
            }
        })
        .collect())
}

impl Network {
    /// Attaches one of the benchmark's own programs.
    fn attach(&mut self, host: &str, program: PathProgram, generic: bool) -> Result<()> {
        self.inside(host, |bench| bench.attach(program, "eth0", generic))
    }
}

impl Cost {
    fn cells(&self, reference: &str) -> [String; 6] {
        let Self { name, nanoseconds, noise, by_empty, by_sipwall, aim, most } = self;
        [
            (*name).to_owned(),
            format!("{nanoseconds:.0}"),
            ratio(*by_empty, (*name == SIPWALL || *name == ALL).then_some(f64::INFINITY)),
            if *name == reference { String::new() } else { ratio(*by_sipwall, *most) },
            aim.map_or_else(String::new, |aim| format!("{aim:.1}")),
            format!("{:.0} %", noise * 100.0),
        ]
    }
}

/// A ratio, unless it is one that cannot be.
fn ratio(ratio: f64, most: Option<f64>) -> String {
    match most {
        Some(most) if ratio > most => format!("wrong: above {most:.1}"),
        _ => format!("{ratio:.2}"),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prefixes, denied, drop, pass } = self;
        let (prefixes, denied) = (table::whole(*prefixes), table::whole(*denied));
        for Flood { flood, costs } in drop {
            let header = [flood, "ns", "by empty", "by sipwall", "aim", "noise"];
            writeln!(formatter, "{}\n", table::markdown(header, 1, costs.iter().map(|cost| cost.cells(SIPWALL))))?;
        }
        let header = ["passing listed media", "ns", "by no program", "", "", "noise"];
        writeln!(formatter, "{}\n", table::markdown(header, 1, pass.iter().map(|cost| cost.cells(cost.name))))?;
        write!(formatter, "{prefixes} prefixes; all options: {denied} denied prefixes too.")
    }
}
