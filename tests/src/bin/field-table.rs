//! How calls fare while strangers flood the SBC, with each way to keep them out: the table of `docs/field-tests.md`.

#![expect(clippy::expect_used, reason = "what cannot go on panics")]

use std::{fs, thread, time::Duration};

use comfy_table::{CellAlignment, Table, presets};
use tests::field::{Call, Field, Flood, Guard, SBC, Sbc, TWILIO, Way, datagrams};

/// The calls of each row.
const CALLS: Call = Call { number: 20, patience: Duration::from_secs(32), ..Call::short(TWILIO, Way::Udp) };
/// How long a guard learns of a flood before calls begin.
const HEAD_START: Duration = Duration::from_secs(5);

/// How the calls fared.
struct Fared {
    completed: u64,
    setup: Vec<Duration>,
    /// Packets of audio that were sent, and that came back from behind the SBC.
    sent: usize,
    back: usize,
}

fn main() {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "guard",
        "flood, packets/s",
        "calls completed",
        "setup, median",
        "setup, longest",
        "audio that came back",
    ]);
    for column in 1..6 {
        table.column_mut(column).expect("a column").set_cell_alignment(CellAlignment::Right);
    }
    for guard in Guard::ALL {
        let field = Field::new();
        let _sbc = if guard == Guard::Fail2ban { Sbc::start_complaining(&field) } else { Sbc::start(&field) };
        let _guarding = guard.put_up(&field);
        // The first call of all loses more than the others: the media relay wakes up.
        Call::short(TWILIO, Way::Udp).begin(&field).assert_completes(&field);
        table.add_row(row(guard, None, call(&field)));
        let (fared, flood) = Flood::during(&field, || {
            thread::sleep(HEAD_START);
            call(&field)
        });
        table.add_row(row(guard, Some(flood), fared));
        eprintln!("{guard}: {flood:?}");
    }
    println!(
        "{table}\n\nLinux {}, {}, {} CPUs",
        kernel(),
        processor(),
        thread::available_parallelism().map_or(0, usize::from)
    );
}

/// Makes the calls.
fn call(field: &Field) -> Fared {
    let (sent, back) =
        (field.tap(field.lab.core().expect("a core"), "sbc"), field.tap(field.host(TWILIO.host), TWILIO.host));
    let (completed, setup) = CALLS.begin(field).survivors();
    let count = |tap: lab::Tap, from, to| datagrams(&tap.close().expect("frames"), from, to);
    Fared { completed, setup, sent: count(sent, TWILIO.media, SBC), back: count(back, SBC, TWILIO.media) }
}

fn row(guard: Guard, flood: Option<Flood>, Fared { completed, mut setup, sent, back }: Fared) -> [String; 6] {
    setup.sort_unstable();
    let milliseconds =
        |time: Option<&Duration>| time.map_or_else(|| "–".to_owned(), |time| format!("{} ms", time.as_millis()));
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let share = if sent == 0 { 0.0 } else { 100.0 * back as f64 / sent as f64 };
    [
        guard.to_string(),
        flood.map_or_else(|| "none".to_owned(), |flood| format!("{:.0},000", flood.rate() / 1000.0)),
        format!("{completed} of {}", CALLS.number),
        milliseconds(setup.get(setup.len() / 2)),
        milliseconds(setup.last()),
        format!("{share:.1} % of {sent}"),
    ]
}

fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").expect("a kernel").trim().to_owned()
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").expect("processors");
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    name.unwrap_or("an unnamed processor").to_owned()
}
