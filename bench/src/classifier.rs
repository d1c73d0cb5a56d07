//! The decision alone, without a packet's way to it.

use std::fmt;

use anyhow::{Result, ensure};
use filter_user::kernel::{Bench, BenchProgram, HEADERS};
use serde::Serialize;

use crate::{
    plot::Line,
    policies::{self, CLOSED, Family, Layout, OPEN, PORTS, Sources},
    statistics::{self, Effort, Rounds},
    table,
};

const ROUNDS: usize = 3;

/// What is compared where packets are let in, or where they are dropped.
const fn compared(passes: bool) -> [BenchProgram; 5] {
    use BenchProgram::{LeastDropping, LeastPassing, Nothing, Parse, TrieAndList, Whole};
    [Nothing, Parse, if passes { LeastPassing } else { LeastDropping }, Whole, TrieAndList]
}

/// The stages of the filter, and what each does more than one before it.
const STAGES: [(BenchProgram, &str); 8] = [
    (BenchProgram::Nothing, "the loop around it"),
    (BenchProgram::Parse, "parser"),
    (BenchProgram::PolicyInForce, "parser and policy in force"),
    (BenchProgram::Unlisted, "decision, source known to be unlisted"),
    (BenchProgram::Listed, "decision, source known to be listed"),
    (BenchProgram::Decision, "decision"),
    (BenchProgram::Counted, "decision and counters"),
    (BenchProgram::Whole, "decision, counters and samples"),
];

/// All that was measured. Nanoseconds for one packet, less what the loop around it costs.
#[derive(Serialize)]
pub(crate) struct Report {
    cases: Vec<Case>,
    stages: Vec<Stages>,
}

/// One kind of packet against one policy.
#[derive(Clone, Copy, Debug, Serialize)]
struct Situation {
    family: Family,
    prefixes: u32,
    layout: Layout,
    sources: Sources,
    port: u16,
}

#[derive(Serialize)]
struct Case {
    #[serde(flatten)]
    situation: Situation,
    /// How many of the 32 packets in the last frame were let in.
    passed: u32,
    parse: f64,
    least: f64,
    filter: f64,
    peer: f64,
    /// How far the rounds of the least steady program lie apart, as a share.
    noise: f64,
}

#[derive(Serialize)]
struct Stages {
    #[serde(flatten)]
    situation: Situation,
    nanoseconds: Vec<(&'static str, f64)>,
}

/// Measures every case.
pub(crate) fn measure(bench: &mut Bench, quick: bool) -> Result<Report> {
    let effort = if quick { Effort::QUICK } else { Effort::FULL };
    let mut report = Report { cases: Vec::new(), stages: Vec::new() };
    for (family, layout, prefixes) in sizes(quick) {
        let nets = policies::prefixes(family, layout, prefixes);
        let policy = policies::policy(&nets)?;
        bench.publish(&policy)?;
        bench.set_peer(&policy.sources, &PORTS)?;
        for (sources, port) in
            [(Sources::Listed, OPEN), (Sources::Listed, CLOSED), (Sources::Near, OPEN), (Sources::Uniform, OPEN)]
        {
            bench.set_sources(&policies::sources(sources, family, &nets))?;
            let situation = Situation { family, prefixes, layout, sources, port };
            report.cases.push(case(bench, situation, effort)?);
            if layout == Layout::Clustered && prefixes == 10_000 {
                report.stages.push(stages(bench, situation, effort)?);
            }
        }
    }
    Ok(report)
}

fn sizes(quick: bool) -> Vec<(Family, Layout, u32)> {
    let v4: &[u32] = if quick { &[16, 10_000] } else { &[16, 1_000, 10_000, 100_000] };
    let v6: &[u32] = if quick { &[10_000] } else { &[16, 1_000, 10_000] };
    let layouts: &[Layout] = if quick { &[Layout::Clustered] } else { &[Layout::Clustered, Layout::Spread] };
    let of = |(family, sizes): (Family, &[u32])| {
        layouts.iter().flat_map(|layout| sizes.iter().map(|size| (family, *layout, *size))).collect::<Vec<_>>()
    };
    [(Family::V4, v4), (Family::V6, v6)].into_iter().flat_map(of).collect()
}

fn case(bench: &mut Bench, situation: Situation, effort: Effort) -> Result<Case> {
    let passes = matches!(situation, Situation { sources: Sources::Listed, port: OPEN, .. });
    let (rounds, [_, _, filters @ ..]) = run(bench, compared(passes), situation, effort)?;
    let expected = if passes { HEADERS } else { 0 };
    ensure!(filters == [expected; 3], "of {HEADERS} packets {filters:?} are let in: {situation:?}");
    let noise = rounds.iter().map(Rounds::noise).fold(0.0, f64::max);
    let [nothing, parse, least, filter, peer] = rounds.map(|rounds| rounds.median());
    Ok(Case {
        situation,
        passed: expected,
        parse: parse - nothing,
        least: least - nothing,
        filter: filter - nothing,
        peer: peer - nothing,
        noise,
    })
}

fn stages(bench: &mut Bench, situation: Situation, effort: Effort) -> Result<Stages> {
    let (rounds, _) = run(bench, STAGES.map(|(program, _)| program), situation, effort)?;
    let nothing = rounds[0].median();
    let nanoseconds = STAGES.iter().zip(&rounds).skip(1).map(|((_, name), rounds)| (*name, rounds.median() - nothing));
    Ok(Stages { situation, nanoseconds: nanoseconds.collect() })
}

/// Lets programs take turns, and says how many of the packets in the last frame each let in.
fn run<const N: usize>(
    bench: &mut Bench,
    programs: [BenchProgram; N],
    situation: Situation,
    effort: Effort,
) -> Result<([Rounds; N], [u32; N])> {
    let header = policies::datagram(situation.family, situation.port);
    let mut rounds = [const { Rounds::NONE }; N];
    let mut passed = [0; N];
    for _ in 0..ROUNDS {
        for ((program, rounds), passed) in programs.into_iter().zip(&mut rounds).zip(&mut passed) {
            if effort.reload {
                bench.reload(program)?;
            }
            rounds.add(statistics::quiet(effort, || {
                let run = bench.run(program, &header, effort.frames)?;
                *passed = run.passed;
                Ok(run.slices)
            })?);
        }
    }
    Ok((rounds, passed))
}

impl Report {
    /// How cost grows with the prefixes of one family, where those lie one near another.
    pub(crate) fn growth(&self, family: Family) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        for case in &self.cases {
            let Situation { family: of, layout, prefixes, .. } = case.situation;
            if of != family || layout != Layout::Clustered {
                continue;
            }
            let [.., sources] = case.situation.names();
            for (program, time) in [("filter", case.filter), ("trie and list", case.peer)] {
                let name = format!("{program}, {sources}");
                match lines.iter_mut().find(|line| line.name == name) {
                    Some(line) => line.points.push((prefixes, time)),
                    None => lines.push(Line { name, points: vec![(prefixes, time)] }),
                }
            }
        }
        lines
    }
}

impl Situation {
    fn names(&self) -> [String; 4] {
        let Self { family, prefixes, layout, sources, port } = self;
        let port = if *port == OPEN { "" } else { ", closed port" };
        [
            format!("{family:?}").replace('V', "IPv"),
            table::whole(*prefixes),
            format!("{layout:?}").to_lowercase(),
            format!("{sources:?}{port}").to_lowercase(),
        ]
    }
}

impl Case {
    fn cells(&self) -> [String; 12] {
        let Self { situation, passed, parse, least, filter, peer, noise } = self;
        let [family, prefixes, layout, sources] = situation.names();
        let number = |number: f64| format!("{number:.1}");
        [
            family,
            prefixes,
            layout,
            sources,
            passed.to_string(),
            number(*parse),
            number(*least),
            number(*filter),
            number(filter - parse),
            number(*peer),
            number(peer / filter),
            format!("{:.0} %", noise * 100.0),
        ]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = [
            "family",
            "prefixes",
            "they lie",
            "sources",
            "of 32 pass",
            "parse",
            "least filter",
            "filter",
            "over parse",
            "trie and list",
            "ratio",
            "noise",
        ];
        writeln!(formatter, "{}", table::markdown(header, 4, self.cases.iter().map(Case::cells)))?;
        let rows = self.stages.iter().flat_map(|Stages { situation, nanoseconds }| {
            let [family, _, _, sources] = situation.names();
            nanoseconds
                .iter()
                .map(move |(stage, time)| [family.clone(), sources.clone(), (*stage).to_owned(), format!("{time:.1}")])
        });
        write!(formatter, "\n{}", table::markdown(["family", "sources", "stage", "ns"], 3, rows))
    }
}
