//! Screens of a fixed model, and what keys do.

use std::time::Duration;

use expect_test::expect_file;
use filter_user::{
    kernel::{Confirmation, Status, XdpMode},
    replay::Wanted,
    telemetry::{By, Calls, Ranked, Rate, Refused, Span},
};
use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
};

use super::{
    draw,
    model::{Model, Quiet, ReasonRow, RuleRow, Series},
    question::{Change, Lasting, live_allow, words},
    ui::{Action, Ui},
};

fn rule(rule: &str, packets_per_second: f64, packets: u64, quiet: Quiet) -> RuleRow {
    RuleRow { rule: rule.to_owned(), packets_per_second, packets, quiet }
}

fn reason(reason: &'static str, packets_per_second: f64, packets: u64) -> ReasonRow {
    ReasonRow { reason, action: "drop", packets_per_second, packets }
}

fn source(what: &str, packets: u64, reason: &'static str, wanted: &[Wanted]) -> Ranked {
    Ranked { what: what.to_owned(), packets, reasons: vec![reason], wanted: wanted.to_vec() }
}

fn sources() -> Vec<Ranked> {
    let scanned = [Wanted::Udp(5060), Wanted::Udp(5061), Wanted::Tcp(5060)];
    vec![
        source("192.0.2.99", 812_000, "source_unlisted", &scanned),
        source("2001:db8:1234:5678:9abc:def0:1234:5678", 40_000, "source_unlisted", &scanned[..1]),
        source("203.0.113.17", 12, "port_closed", &[Wanted::Tcp(22)]),
        source("02:00:00:00:00:01", 1, "ethertype", &[Wanted::Ethertype(0x8864)]),
    ]
}

fn series(past: Vec<u64>, packets_per_second: f64, bytes_per_second: f64, packets: u64) -> Series {
    Series { past, rate: Rate { packets_per_second, bytes_per_second }, packets }
}

fn status() -> Status {
    Status {
        interface: "eth0".to_owned(),
        running: true,
        attach_mode: Some(XdpMode::Native),
        mode: Some("enforce"),
        scope: Some("interface"),
        generation: 12,
        named_generation: 12,
        confirmation: Confirmation::Confirmed,
        policy: Some("policy.toml".to_owned()),
        published_at: Some(0),
        rule_count: 7,
        prefixes_v4: 100,
        prefixes_v6: 0,
        denied_count: 0,
        program_id: 77,
        build: Some("0.1.0".to_owned()),
        is_this_build: true,
    }
}

fn model() -> Model {
    let now = Quiet::For(Duration::ZERO);
    Model {
        time: "2026-11-25T06:24:36Z".to_owned(),
        status: status(),
        place: (0, 1),
        drift: None,
        passed: series((0..250).map(|at| 900 + at % 7 * 40).collect(), 1020.0, 218_000.0, 8_123_456),
        dropped: series((0..20).map(|at| at * at).collect(), 57_012.0, 3_420_720.0, 912_345),
        rules: vec![
            rule("kore/media", 500.0, 4_000_000, now),
            rule("kore/sip-tls", 20.0, 40_000, now),
            rule("kore/turn", 0.0, 0, Quiet::Always),
            rule("kore/https", 0.0, 0, Quiet::Always),
            rule("twilio/media", 0.0, 4_080_000, Quiet::For(Duration::from_secs(43))),
            rule("twilio/sip-udp", 0.0, 3456, Quiet::Longer(Duration::from_mins(61))),
            rule("allow/ssh", 0.5, 900, now),
        ],
        reasons: vec![
            reason("source_unlisted", 57_000.0, 900_000),
            reason("port_closed", 0.0, 12_300),
            reason("denied", 12.0, 45),
        ],
        watched: Duration::from_secs(61),
        calls: Calls { dropped: 0, passed: 60_000 },
        at_risk: Vec::new(),
        refused: Refused::default(),
        span: Span::Minute,
        by: By::Source,
        ranked: sources(),
        knocker: sources().into_iter().next(),
        source_count: 5,
        span_total: 852_020,
    }
}

/// What stands on a screen of this size.
fn screen(width: u16, height: u16, model: &Model, ui: &Ui) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw::draw(frame, model, ui)).unwrap();
    let buffer = terminal.backend().buffer();
    let lines = buffer.content().chunks(usize::from(width)).map(|cells| {
        let line: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned() + "\n"
    });
    lines.collect()
}

fn press(ui: &mut Ui, model: &Model, keys: &[KeyCode]) -> Vec<Action> {
    ui.settle(model);
    keys.iter().map(|key| ui.press(KeyEvent::new(*key, KeyModifiers::NONE), model)).collect()
}

#[test]
fn everything_fits_on_the_smallest_screen() {
    let model = model();
    let mut ui = Ui::default();
    ui.settle(&model);
    expect_file!["screens/80x24.txt"].assert_eq(&screen(80, 24, &model, &ui));
}

#[test]
fn a_large_screen_shows_more() {
    let (model, mut ui) = (Model { place: (0, 2), ..model() }, Ui::default());
    ui.settle(&model);
    expect_file!["screens/200x50.txt"].assert_eq(&screen(200, 50, &model, &ui));
}

#[test]
fn what_is_wrong_stands_on_top() {
    let mut model = Model {
        calls: Calls { dropped: 1203, passed: 60_000 },
        at_risk: vec![("source_port", 1200), ("rate_limit_sip", 3)],
        drift: Some("DRIFT: the file is not what runs".to_owned()),
        ..model()
    };
    model.status.mode = Some("monitor");
    model.status.confirmation = Confirmation::Pending { remaining_seconds: 42, fallback: Some(11) };
    let mut ui = Ui::default();
    press(&mut ui, &model, &[KeyCode::Down, KeyCode::Down, KeyCode::Char('d')]);
    expect_file!["screens/trouble.txt"].assert_eq(&screen(100, 30, &model, &ui));
}

#[test]
fn a_screen_that_is_too_small_says_so() {
    for (width, height) in [(79, 24), (80, 23)] {
        let text = format!("`top` needs 80×24, this is {width}×{height}; `q` quits");
        assert_eq!(screen(width, height, &model(), &Ui::default()).trim_end(), text);
    }
    screen(1, 1, &model(), &Ui::default());
}

#[test]
fn the_calls_line_says_what_does_not_filter() {
    let with = |change: fn(&mut Status)| {
        let mut model = model();
        change(&mut model.status);
        model.calls().1
    };
    assert!(with(|status| status.running = false).starts_with("NOT FILTERING: the interface is gone"));
    assert!(with(|status| status.mode = None).starts_with("NOT FILTERING: no policy"));
    let begun = Model { watched: Duration::from_secs(5), ..model() };
    assert_eq!(begun.calls().1, "CALLS PASS: nothing of a listed source was dropped in the last 5 s");
    let quiet = Model { knocker: None, ..model() };
    assert_eq!(quiet.knocking(), "NOBODY KNOCKS: nothing was dropped in the last minute");
}

#[test]
fn a_source_is_denied_only_after_a_confirmation() {
    let (model, mut ui) = (model(), Ui::default());
    let actions = press(&mut ui, &model, &[KeyCode::Char('d'), KeyCode::Enter, KeyCode::Char('d'), KeyCode::Char('n')]);
    assert_eq!(actions, vec![Action::Nothing; 4]);
    assert_eq!(ui.question(), None);
    let actions = press(&mut ui, &model, &[KeyCode::Char('d'), KeyCode::Char('2')]);
    let Action::Change(question, Lasting::Day) = &actions[1] else { panic!("{actions:?}") };
    assert_eq!(
        (question.prefix.to_string().as_str(), &question.change),
        ("192.0.2.99/32", &Change::Deny { is_listed: false })
    );
    press(&mut ui, &model, &[KeyCode::Down, KeyCode::Down, KeyCode::Char('d')]);
    assert_eq!(ui.question().unwrap().change, Change::Deny { is_listed: true });
    // A station of the link is no address.
    press(&mut ui, &model, &[KeyCode::Esc, KeyCode::Down, KeyCode::Char('d')]);
    assert_eq!((ui.question(), ui.said()), (None, Some("02:00:00:00:00:01 is no address that could be denied")));
}

#[test]
fn the_selection_stays_with_the_source_and_the_filter_narrows() {
    let (mut model, mut ui) = (model(), Ui::default());
    press(&mut ui, &model, &[KeyCode::Down]);
    model.ranked.swap(0, 1);
    assert_eq!(ui.selection(&model), Some(0));
    let keys = [KeyCode::Char('/'), KeyCode::Char('t'), KeyCode::Char('c'), KeyCode::Char('p'), KeyCode::Enter];
    press(&mut ui, &model, &keys);
    assert_eq!(ui.ranked(&model).len(), 2);
    ui.settle(&model);
    assert_eq!(ui.selection(&model), Some(0));
    assert_eq!(press(&mut ui, &model, &[KeyCode::Char('w')]), [Action::Gather]);
    assert_eq!(ui.span(), Span::TenMinutes);
    press(&mut ui, &model, &[KeyCode::Char('p'), KeyCode::Char('s')]);
    assert!(ui.is_paused() && screen(80, 24, &model, &ui).contains("s sort: total"));
    assert_eq!(press(&mut ui, &model, &[KeyCode::Tab, KeyCode::Char('q')]), [Action::Nothing, Action::Quit]);
}

#[test]
fn a_source_is_let_in_with_what_it_wanted_after_a_confirmation() {
    let (mut model, mut ui) = (model(), Ui::default());
    model.ranked[0].reasons.push("denied");
    let actions = press(&mut ui, &model, &[KeyCode::Char('a'), KeyCode::Enter, KeyCode::Tab, KeyCode::Tab]);
    assert_eq!(actions, vec![Action::Nothing; 4]);
    expect_file!["screens/allow.txt"].assert_eq(&screen(80, 24, &model, &ui));
    // The third thing that it wanted, all of them, and the first one again.
    for wanted in ["UDP 5060, UDP 5061, TCP 5060", "UDP 5060"] {
        press(&mut ui, &model, &[KeyCode::Tab]);
        assert_eq!(words(ui.question().unwrap().change.matches().unwrap()), wanted);
    }
    let actions = press(&mut ui, &model, &[KeyCode::Char('1')]);
    let Action::Change(question, Lasting::Hour) = &actions[0] else { panic!("{actions:?}") };
    let allow = live_allow(question.prefix, question.change.matches().unwrap());
    assert_eq!(allow.rule(), "allow/192-0-2-99-udp-5060");
    press(&mut ui, &model, &[KeyCode::Down, KeyCode::Char('a')]);
    let question = ui.question().unwrap().clone();
    let allow = live_allow(question.prefix, question.change.matches().unwrap());
    assert_eq!(allow.rule(), "allow/9abc-def0-1234-5678-udp-5060");
    // A station of the link is no address.
    press(&mut ui, &model, &[KeyCode::Esc, KeyCode::Down, KeyCode::Down, KeyCode::Char('a')]);
    assert_eq!((ui.question(), ui.said()), (None, Some("02:00:00:00:00:01 is no address that could be let in")));
}

#[test]
fn networks_and_ports_are_ranked_too() {
    let (mut model, mut ui) = (model(), Ui::default());
    assert_eq!(press(&mut ui, &model, &[KeyCode::Char('v')]), [Action::Gather]);
    model.by = ui.by();
    model.ranked = vec![source("192.0.2.0/24", 812_000, "source_unlisted", &[Wanted::Udp(5060)])];
    ui.settle(&model);
    let shown = screen(80, 24, &model, &ui);
    assert!(shown.contains("NETWORKS, LAST MINUTE") && shown.contains("v networks"), "{shown}");
    // A whole network can be denied.
    press(&mut ui, &model, &[KeyCode::Char('d')]);
    assert_eq!(ui.question().unwrap().prefix.to_string(), "192.0.2.0/24");
    press(&mut ui, &model, &[KeyCode::Esc, KeyCode::Char('v')]);
    model.by = ui.by();
    model.ranked = vec![source("udp 5060", 812_000, "source_unlisted", &[])];
    ui.settle(&model);
    let shown = screen(80, 24, &model, &ui);
    assert!(shown.contains("PORTS, LAST MINUTE") && !shown.contains("WANTED"), "{shown}");
    press(&mut ui, &model, &[KeyCode::Char('d')]);
    assert_eq!((ui.question(), ui.said()), (None, Some("udp 5060 is no address that could be denied")));
}

#[test]
fn a_provider_that_fell_silent_stands_on_top() {
    let mut model = model();
    let told = |model: &Model| model.calls();
    assert_eq!(told(&model).0, super::model::Tone::Good);
    for row in model.rules.iter_mut().filter(|row| row.rule.starts_with("twilio/")) {
        row.quiet = if row.rule == "twilio/media" { Quiet::For(Duration::from_mins(12)) } else { row.quiet };
    }
    let (tone, text) = told(&model);
    assert_eq!(tone, super::model::Tone::Warning);
    assert_eq!(text, "SILENT: twilio for 12m, and sent before; nothing listed was dropped");
    // A provider that never sent anything, and the host's own allows, are not missed.
    for row in &mut model.rules {
        row.quiet = if row.rule == "allow/ssh" { Quiet::For(Duration::from_hours(9)) } else { Quiet::Always };
    }
    assert_eq!(told(&model).0, super::model::Tone::Good);
    model.rules[0].quiet = Quiet::Longer(Duration::from_mins(11));
    model.calls.dropped = 1200;
    model.at_risk = vec![("source_port", 1200)];
    assert_eq!(told(&model).1, "CALLS AT RISK: lost of listed sources: source_port 1.2k; SILENT: kore for >11m");
}

#[test]
fn one_packet_in_a_hundred_puts_calls_at_risk_and_no_more_is_said_than_is_known() {
    use super::model::Tone;
    let mut model = model();
    model.refused.unlisted_sip = 600;
    let unlisted = "LISTED SOURCES PASS; unlisted: ~600 SIP packets refused in 60 s";
    assert_eq!(model.calls(), (Tone::Good, unlisted.to_owned()));
    // What only own allows name was dropped: counters have it, and it is no call.
    model.at_risk = vec![("port_closed", 3)];
    assert_eq!(model.calls().0, Tone::Good);
    model.calls.dropped = 3;
    assert_eq!(model.calls(), (Tone::Warning, "BELOW 1 %: lost of listed sources: port_closed 3".to_owned()));
    (model.calls.dropped, model.refused.denied) = (1003, 1000);
    let at_risk = "CALLS AT RISK: lost of listed sources: port_closed 3, denied ~1k";
    assert_eq!(model.calls(), (Tone::Bad, at_risk.to_owned()));
}
