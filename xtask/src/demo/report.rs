//! The demo's table.

use comfy_table::{CellAlignment, Table, presets};

use super::{
    counters::Counters,
    ledger::{Ledger, Packets},
};

/// What was sent, what arrived, and why the rest did not.
pub(super) fn traffic(ledger: &Ledger) -> Table {
    let mut table = table(["TRAFFIC", "SENT", "ARRIVED", "DROPPED", "RULE OR REASON"]);
    for (flow, packets) in ledger.flows.iter().filter(|(_, packets)| packets.sent > 0) {
        table.add_row(row(flow.title, *packets, &flow.fate.to_string()));
    }
    table.add_row(row("link upkeep (ARP, neighbour discovery)", ledger.upkeep, "essential"));
    numbers(&mut table, 1..=3);
    table
}

/// What the filter counted, beside what the taps saw.
pub(super) fn counters(ledger: &Ledger, counters: &Counters) -> Table {
    let mut table = table(["COUNTER OF SIPWALL", "ACTION", "COUNTED", "SEEN BY THE TAPS"]);
    for (fate, seen) in ledger.seen() {
        let action = if fate.arrives() { "pass" } else { "drop" };
        table.add_row([fate.to_string(), action.to_owned(), counters.of(fate).to_string(), seen.to_string()]);
    }
    numbers(&mut table, 2..=3);
    table
}

fn row(title: &str, packets: Packets, fate: &str) -> [String; 5] {
    let Packets { sent, arrived } = packets;
    let numbers = [sent, arrived, sent.saturating_sub(arrived)].map(|number| number.to_string());
    let [sent, arrived, dropped] = numbers;
    [title.to_owned(), sent, arrived, dropped, fate.to_owned()]
}

fn table<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header);
    table
}

fn numbers(table: &mut Table, columns: std::ops::RangeInclusive<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}
