//! The screen: its parts and where they stand.

use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Clear, Paragraph, Sparkline},
};

use super::{
    model::{Model, Series, Tone, count},
    panels,
    question::{Change, Question, words},
    ui::Ui,
};
use crate::cli::output::quantity;

/// The smallest screen that everything fits on.
const SMALLEST: (u16, u16) = (80, 24);

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, ui: &Ui) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let (columns, lines) = SMALLEST;
        let text = format!("`top` needs {columns}×{lines}, this is {}×{}; `q` quits", area.width, area.height);
        return frame.render_widget(Paragraph::new(text), area);
    }
    let [head, rates, middle, ranked, foot] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(4),
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    draw_head(frame, head, model, ui);
    let [passed, dropped] = halves(rates);
    draw_rate(frame, passed, "PASSED", &model.passed);
    draw_rate(frame, dropped, if model.is_monitored() { "WOULD DROP" } else { "DROPPED" }, &model.dropped);
    let [rules, reasons] = halves(middle);
    frame.render_widget(panels::rules(model, ui, rules), rules);
    frame.render_widget(panels::reasons(model, ui, reasons), reasons);
    panels::draw_ranked(frame, ranked, model, ui);
    draw_foot(frame, foot, model, ui);
    if let Some(question) = ui.question() {
        draw_question(frame, area, question, model);
    }
}

/// Two halves with a gap between them.
fn halves(area: Rect) -> [Rect; 2] {
    Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).spacing(2).areas(area)
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, model: &Model, ui: &Ui) {
    let [first, second, third] = Layout::vertical([Constraint::Length(1); 3]).areas(area);
    let status = &model.status;
    let mode = match status.mode {
        Some("monitor") => Span::styled("MONITOR: NOTHING IS DROPPED", alarm(Tone::Warning)),
        Some(mode) => Span::styled(mode.to_uppercase(), bold()),
        None => Span::styled("NO POLICY", alarm(Tone::Bad)),
    };
    // What may be cut off on a narrow screen stands last.
    let mut words = vec![Span::styled(status.interface.clone(), bold())];
    let (place, all) = model.place;
    words.extend((all > 1).then(|| Span::raw(format!("({} of {all}, Tab)", place + 1))));
    words.push(mode);
    words.extend(model.confirmation().map(|awaited| Span::styled(awaited, alarm(Tone::Bad))));
    words.extend(ui.is_paused().then(|| Span::styled("PAUSED", alarm(Tone::Warning))));
    words.push(match status.attach_mode {
        Some(mode) => Span::raw(format!("{mode} XDP")),
        None => Span::styled("NOT RUNNING", alarm(Tone::Bad)),
    });
    words.push(Span::raw(format!("generation {}", status.generation)));
    words.push(match &model.drift {
        Some(drift) => Span::styled(drift.clone(), drift_style(drift)),
        None => {
            let path = status.policy.as_deref().unwrap_or("-");
            Span::raw(path.rsplit('/').next().unwrap_or(path).to_owned())
        }
    });
    let line: Line<'_> = words.into_iter().flat_map(|word| [word, Span::raw("  ")]).collect();
    let time = clock(&model.time);
    if line.width() + time.len() <= usize::from(first.width) {
        let corner = Rect { x: first.right() - columns(time), width: columns(time), ..first };
        frame.render_widget(Line::from(time), corner);
    }
    frame.render_widget(line, first);
    let (tone, text) = model.calls();
    frame.render_widget(Line::styled(text, alarm(tone)), second);
    frame.render_widget(Line::from(model.knocking()), third);
}

/// The time of day of a timestamp.
fn clock(time: &str) -> &str {
    time.split('T').nth(1).map_or(time, |time| time.trim_end_matches('Z'))
}

fn columns(text: &str) -> u16 {
    u16::try_from(text.chars().count()).unwrap_or(u16::MAX)
}

fn drift_style(drift: &str) -> Style {
    if drift.starts_with("DRIFT") { alarm(Tone::Warning) } else { Style::new() }
}

fn draw_rate(frame: &mut Frame<'_>, area: Rect, name: &str, series: &Series) {
    let [title, chart] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    let words = [
        Span::styled(format!("{name} {}/s", quantity(series.rate.packets_per_second)), Modifier::BOLD),
        Span::raw(format!(
            "  {}bit/s  {} in all",
            with_unit(series.rate.bytes_per_second * 8.0),
            count(series.packets)
        )),
    ];
    frame.render_widget(Line::from(words.to_vec()), title);
    let shown = series.past.len().saturating_sub(usize::from(chart.width));
    // The latest stands at the right from the beginning on.
    let missing = usize::from(chart.width).saturating_sub(series.past.len());
    let bars: Vec<u64> = std::iter::repeat_n(0, missing).chain(series.past[shown..].iter().copied()).collect();
    frame.render_widget(Sparkline::default().data(bars), chart);
}

/// `3.4 M`, `12 `.
fn with_unit(number: f64) -> String {
    let text = quantity(number);
    match text.strip_suffix(['k', 'M', 'G']) {
        Some(digits) => format!("{digits} {}", &text[digits.len()..]),
        None => format!("{text} "),
    }
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, model: &Model, ui: &Ui) {
    if ui.is_filtering() {
        let text = format!("filter: {}▏  Enter: keep  Esc: show all", ui.filter());
        return frame.render_widget(Line::from(text), area);
    }
    if let Some(said) = ui.said() {
        return frame.render_widget(Line::styled(said.lines().next().unwrap_or_default().to_owned(), bold()), area);
    }
    let (view, sort) = (model.by.name(), ui.sort().name());
    let keys = format!("d deny  a allow  v {view}  w window  s sort: {sort}  / filter  p pause  q quit");
    frame.render_widget(Line::from(keys), area);
}

fn draw_question(frame: &mut Frame<'_>, area: Rect, question: &Question, model: &Model) {
    let interface = &model.status.interface;
    let prefix = question.prefix;
    let warning = |text: String| Line::styled(text, alarm(Tone::Bad));
    let (title, mut lines) = match &question.change {
        Change::Deny { is_listed } => {
            let fate = if model.is_monitored() { "would be dropped (MONITOR)" } else { "is dropped" };
            let mut lines = vec![Line::from(format!("Everything from {prefix} {fate} on {interface}."))];
            let listed = "A RULE NAMES THIS SOURCE: ITS CALLS WOULD BE DROPPED TOO.";
            lines.extend(is_listed.then(|| warning(listed.to_owned())));
            (" Deny ", lines)
        }
        change @ Change::Allow { choices, chosen, in_vain } => {
            let matches = words(change.matches().unwrap_or_default());
            let mut lines = vec![Line::from(format!("{matches} from {prefix} is let in on {interface}."))];
            let others = format!("Tab for what else it wanted ({} of {})", chosen + 1, choices.len());
            lines.extend((choices.len() > 1).then(|| Line::from(others)));
            let reasons = in_vain.join(", ");
            lines.extend((!in_vain.is_empty()).then(|| warning(format!("NO ALLOW OVERRIDES {reasons}."))));
            (" Allow ", lines)
        }
    };
    lines.push(Line::from("1 for an hour   2 for a day   3 until it is removed   Esc not at all"));
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let width = 74;
    let place = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    frame.render_widget(Clear, place);
    let block = Block::bordered().title(title);
    frame.render_widget(Paragraph::new(lines).alignment(Alignment::Center).block(block), place);
}

pub(super) fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// Words say it too: a terminal may have no colours.
fn alarm(tone: Tone) -> Style {
    match tone {
        Tone::Good => bold().fg(Color::Green),
        Tone::Warning => bold().fg(Color::Yellow).add_modifier(Modifier::REVERSED),
        Tone::Bad => bold().fg(Color::Red).add_modifier(Modifier::REVERSED),
    }
}
