//! What a fleet costs its broker as it grows: the table of `docs/fleet.md`.

#![expect(clippy::expect_used, reason = "what cannot go on panics")]

use std::{
    env, thread,
    time::{Duration, Instant},
};

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use tests::swarm::{Load, Swarm};

/// How long a node watches a policy.
const OBSERVE: Duration = Duration::from_secs(5);
/// How long the fleet is looked at while nothing changes.
const IDLE: Duration = Duration::from_secs(30);

/// What so many nodes cost.
#[derive(Serialize)]
struct Row {
    nodes: usize,
    /// Until the operator sees all of them.
    start_seconds: f64,
    /// From `apply` until all have confirmed, without the time that they are told to watch.
    apply_seconds: f64,
    apply_messages: u64,
    apply_bytes: u64,
    apply_processor_seconds: f64,
    idle_messages_per_second: f64,
    idle_bytes_per_second: f64,
    idle_processor_percent: f64,
    broker_memory_bytes: u64,
}

impl Row {
    fn measure(nodes: usize) -> Self {
        let mut swarm = Swarm::new();
        let start_seconds = swarm.grow(nodes).as_secs_f64();
        let (before, begin) = (swarm.load(), Instant::now());
        let observe = format!("{}s", OBSERVE.as_secs());
        // All at once: a canary would add its own time, whatever the number of nodes.
        let applied = swarm.apply(true, &["--canary", "0", "--observe", &observe, "--confirm", "5m"]);
        let took = begin.elapsed().saturating_sub(OBSERVE);
        applied.assert_done();
        let apply = swarm.load() - before;
        let before = swarm.load();
        thread::sleep(IDLE);
        let idle = swarm.load() - before;
        let each_second = |number: u64| float(number) / idle.time.as_secs_f64();
        Self {
            nodes,
            start_seconds,
            apply_seconds: took.as_secs_f64(),
            apply_messages: apply.messages,
            apply_bytes: apply.bytes,
            apply_processor_seconds: apply.processor.as_secs_f64(),
            idle_messages_per_second: each_second(idle.messages),
            idle_bytes_per_second: each_second(idle.bytes),
            idle_processor_percent: percent(&idle),
            broker_memory_bytes: idle.memory,
        }
    }

    fn cells(&self) -> [String; 10] {
        [
            self.nodes.to_string(),
            format!("{:.1} s", self.start_seconds),
            format!("{:.1} s", self.apply_seconds),
            self.apply_messages.to_string(),
            format!("{:.1} MB", float(self.apply_bytes) / 1e6),
            format!("{:.1} s", self.apply_processor_seconds),
            format!("{:.0}", self.idle_messages_per_second),
            format!("{:.0} kB", self.idle_bytes_per_second / 1e3),
            format!("{:.1} %", self.idle_processor_percent),
            format!("{:.0} MB", float(self.broker_memory_bytes) / 1e6),
        ]
    }
}

fn percent(load: &Load) -> f64 {
    load.processor.as_secs_f64() * 100.0 / load.time.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "counts of a minute")]
fn float(number: u64) -> f64 {
    number as f64
}

fn main() {
    let (mut json, mut numbers) = (false, Vec::new());
    for argument in env::args().skip(1) {
        if argument == "--json" {
            json = true;
        } else {
            numbers.push(argument.parse().expect("a number of nodes"));
        }
    }
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "nodes",
        "all seen",
        "apply to all confirmed",
        "messages",
        "bytes",
        "broker's CPU",
        "idle: messages/s",
        "bytes/s",
        "broker's CPU",
        "broker's memory",
    ]);
    table.column_iter_mut().for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    for nodes in numbers {
        let row = Row::measure(nodes);
        if json {
            println!("{}", serde_json::to_string(&row).expect("JSON"));
        } else {
            eprintln!("{nodes} nodes: measured");
            table.add_row(row.cells());
        }
    }
    if !json {
        println!("{table}");
    }
}
