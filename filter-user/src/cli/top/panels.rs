//! The tables: providers and their services, reasons, sources.

use std::{cmp::Reverse, collections::BTreeMap};

use filter_user::telemetry::By;
use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    style::{Modifier, Style},
    text::Text,
    widgets::{Cell, Row, Table, TableState},
};

use super::{
    draw::bold,
    model::{Model, Quiet, RuleRow, count},
    ui::{Sort, Ui},
};
use crate::cli::output::{quantity, share};

/// The order of a table's rows, by rate, total and name.
type Order = (Reverse<u64>, String);

/// Providers with the sums of their services, and the services below each.
pub(super) fn rules(model: &Model, ui: &Ui, area: Rect) -> Table<'static> {
    let mut providers: BTreeMap<&str, Vec<&RuleRow>> = BTreeMap::new();
    for row in model.rules.iter().filter(|row| ui.shows_name(&row.rule)) {
        providers.entry(provider(&row.rule)).or_default().push(row);
    }
    let order = |name: &str, rate, packets| order(ui.sort(), name, rate, packets);
    let mut providers: Vec<_> = providers.into_iter().map(|(name, rules)| (sum(name, &rules), rules)).collect();
    providers.sort_by_key(|(sum, _)| order(&sum.rule, sum.packets_per_second, sum.packets));
    let all = providers.iter().map(|(_, rules)| 1 + rules.len()).sum::<usize>();
    // Where there is no room for all, services that never sent anything are left out first.
    let has_room = all <= room(area);
    let mut rows = Vec::new();
    for (sum, mut rules) in providers {
        rows.push(rule_row(sum.rule.clone(), &sum).style(bold()));
        rules.retain(|row| has_room || row.packets > 0);
        rules.sort_by_key(|row| order(&row.rule, row.packets_per_second, row.packets));
        rows.extend(rules.into_iter().map(|row| rule_row(format!("  {}", service(&row.rule)), row)));
    }
    let left_out = all - rows.len();
    let heading = heading("PROVIDERS", &mut rows, left_out, area);
    let widths = [Constraint::Fill(1), Constraint::Length(6), Constraint::Length(6), Constraint::Length(6)];
    Table::new(rows, widths).header(header(heading, ["PKT/s", "TOTAL", "LAST"]))
}

/// Why packets were dropped.
pub(super) fn reasons(model: &Model, ui: &Ui, area: Rect) -> Table<'static> {
    let mut shown: Vec<_> = model.reasons.iter().filter(|row| ui.shows_name(row.reason)).collect();
    shown.sort_by_key(|row| order(ui.sort(), row.reason, row.packets_per_second, row.packets));
    let mut rows: Vec<_> = shown
        .into_iter()
        .map(|row| {
            // In monitor mode all of them are, and the top line says so.
            let is_told = row.action == "would_drop" && !model.is_monitored();
            let name = if is_told { format!("{} {}", row.reason, row.action) } else { row.reason.to_owned() };
            Row::new([Cell::from(name), number(quantity(row.packets_per_second)), number(count(row.packets))])
        })
        .collect();
    let heading = heading("REASONS", &mut rows, 0, area);
    let widths = [Constraint::Fill(1), Constraint::Length(6), Constraint::Length(6)];
    Table::new(rows, widths).header(header(heading, ["PKT/s", "TOTAL"]))
}

/// What was dropped most, the selected one marked.
pub(super) fn draw_ranked(frame: &mut Frame<'_>, area: Rect, model: &Model, ui: &Ui) {
    let shown = ui.ranked(model);
    let title = format!("{}, LAST {}", model.by.name(), model.span.name()).to_uppercase();
    // An IPv6 address has up to 39 characters; where there is no room it loses its end, the rest loses first.
    let what = if area.width < 100 { 27 } else { 40 };
    // A port wants nothing but itself.
    let wanted = if model.by == By::Wanted { Constraint::Length(0) } else { Constraint::Fill(1) };
    let widths = [Constraint::Length(what), Constraint::Length(7), Constraint::Length(7), wanted, Constraint::Fill(1)];
    let [_, _, _, wanted, reasons] =
        Layout::horizontal(widths).spacing(1).areas(area).map(|column| usize::from(column.width));
    let rows = shown.iter().map(|ranked| {
        Row::new([
            Cell::from(ranked.what.clone()),
            number(count(ranked.packets)),
            number(share(ranked.packets, model.span_total)),
            Cell::from(fitting(&ranked.wanted, wanted)),
            Cell::from(fitting(&ranked.reasons, reasons)),
        ])
    });
    let table = Table::new(rows, widths)
        .column_spacing(1)
        .header(ranked_header(title))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::default().with_selected(ui.selection(model));
    frame.render_stateful_widget(table, area, &mut state);
}

/// As many as there is room for, each of them whole: half a port would be another one.
fn fitting(items: &[impl ToString], width: usize) -> String {
    let mut text = String::new();
    for (place, item) in items.iter().map(ToString::to_string).enumerate() {
        let (comma, more) = (if place == 0 { "" } else { ", " }, if place + 1 < items.len() { " …" } else { "" });
        if place > 0 && [&text, comma, &item, more].iter().map(|part| part.chars().count()).sum::<usize>() > width {
            return text + " …";
        }
        text.extend([comma, &item]);
    }
    text
}

/// The heading of what is ranked: words stand left, numbers right.
fn ranked_header(title: String) -> Row<'static> {
    let cells = [
        Cell::from(title),
        number("DROPS".to_owned()),
        number("SHARE".to_owned()),
        Cell::from("WANTED"),
        Cell::from("REASONS"),
    ];
    Row::new(cells).style(underlined())
}

/// A heading over names and numbers.
fn header<const N: usize>(names: String, numbers: [&str; N]) -> Row<'static> {
    let cells = [Cell::from(names)].into_iter().chain(numbers.map(|name| number(name.to_owned())));
    Row::new(cells).style(underlined())
}

fn underlined() -> Style {
    bold().add_modifier(Modifier::UNDERLINED)
}

/// How many rows there is room for below the heading.
fn room(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(1))
}

/// A heading that says how many rows there was no room for; those that are not left out yet are taken off.
fn heading(name: &str, rows: &mut Vec<Row<'_>>, left_out: usize, area: Rect) -> String {
    let more = left_out + rows.len().saturating_sub(room(area));
    rows.truncate(room(area));
    if more == 0 { name.to_owned() } else { format!("{name} (+{more})") }
}

fn number(text: String) -> Cell<'static> {
    Cell::from(Text::from(text).alignment(Alignment::Right))
}

fn rule_row(name: String, row: &RuleRow) -> Row<'static> {
    Row::new([
        Cell::from(name),
        number(quantity(row.packets_per_second)),
        number(count(row.packets)),
        number(row.quiet.text()),
    ])
}

fn sum(name: &str, rules: &[&RuleRow]) -> RuleRow {
    RuleRow {
        rule: name.to_owned(),
        packets_per_second: rules.iter().map(|row| row.packets_per_second).sum(),
        packets: rules.iter().map(|row| row.packets).sum(),
        quiet: rules.iter().map(|row| row.quiet).min().unwrap_or(Quiet::Always),
    }
}

fn provider(rule: &str) -> &str {
    rule.split('/').next().unwrap_or(rule)
}

fn service(rule: &str) -> &str {
    rule.split_once('/').map_or(rule, |(_, service)| service)
}

fn order(sort: Sort, name: &str, packets_per_second: f64, packets: u64) -> (Reverse<u64>, Order) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "tenths of a packet order well enough")]
    let rate = (packets_per_second * 10.0) as u64;
    let (first, second) = match sort {
        Sort::Rate => (rate, packets),
        Sort::Total => (packets, rate),
        Sort::Name => (0, 0),
    };
    (Reverse(first), (Reverse(second), name.to_owned()))
}
