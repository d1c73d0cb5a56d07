//! The log: a line for each event, for people, programs or the journal, on standard error.

use std::{
    collections::HashMap,
    env,
    io::{self, Stderr, Write as _},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use tracing::{Event, Level, Metadata, callsite::Identifier};
use tracing_subscriber::{
    Layer, Registry,
    fmt::{self, MakeWriter, format::Writer, time::FormatTime},
    layer::{Context, Filter, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

use crate::instant;

/// How many lines one place in the program may write in a [`WINDOW`].
const BURST: u32 = 50;
/// How long a place that wrote too much is silent at the most.
const WINDOW: Duration = Duration::from_secs(10);

/// How lines look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// For people: time, level, sentence.
    Human,
    /// One JSON object a line.
    Json,
    /// For the journal: the level as it reads it, and no time, which it has itself.
    Journal,
}

impl LogFormat {
    /// The journal's where the journal reads standard error, else people's.
    pub fn of_this_process() -> Self {
        if env::var_os("JOURNAL_STREAM").is_some() { Self::Journal } else { Self::Human }
    }
}

/// Sends what happens to standard error from now on; what is returned says how much was left out.
pub fn start_logging(format: LogFormat) -> Limits {
    let limits = Limits::default();
    let lines = fmt::layer().with_target(false).with_ansi(false);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Human => Box::new(lines.with_timer(Seconds).with_writer(io::stderr).with_filter(limits.clone())),
        LogFormat::Json => Box::new(
            lines.json().flatten_event(true).with_timer(Seconds).with_writer(io::stderr).with_filter(limits.clone()),
        ),
        LogFormat::Journal => {
            Box::new(lines.without_time().with_level(false).with_writer(Journal).with_filter(limits.clone()))
        }
    };
    tracing_subscriber::registry().with(layer).init();
    limits
}

/// The time to the millisecond, in UTC.
struct Seconds;

impl FormatTime for Seconds {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        writer.write_str(&instant::precise_text(SystemTime::now()))
    }
}

/// Begins each line with its level, as `sd-daemon(3)` has it.
struct Journal;

impl<'a> MakeWriter<'a> for Journal {
    type Writer = Stderr;

    fn make_writer(&'a self) -> Stderr {
        io::stderr()
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Stderr {
        let level = match *metadata.level() {
            Level::ERROR => "<3>",
            Level::WARN => "<4>",
            Level::INFO => "<6>",
            Level::DEBUG | Level::TRACE => "<7>",
        };
        // The line follows at once: there is one writer, and what it cannot write it cannot tell anybody.
        let _ = io::stderr().write_all(level.as_bytes());
        io::stderr()
    }
}

/// Lets each place in the program write so many lines in a while, and counts the others.
#[derive(Clone, Debug, Default)]
pub struct Limits(Arc<Mutex<HashMap<Identifier, Spent>>>);

#[derive(Debug)]
struct Spent {
    since: Instant,
    lines: u32,
    left_out: u64,
}

impl Limits {
    /// Says how many lines were left out, once their time is over.
    pub fn report(&self) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out: u64 = places.values().filter(|spent| spent.is_over()).map(|spent| spent.left_out).sum();
        places.retain(|_, spent| !spent.is_over());
        drop(places);
        if left_out > 0 {
            tracing::warn!(lines = left_out, "lines were left out here: too many of a kind at once");
        }
    }

    fn may_write(&self, place: Identifier) -> bool {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = places.entry(place).or_insert_with(|| Spent { since: Instant::now(), lines: 0, left_out: 0 });
        if spent.is_over() && spent.left_out == 0 {
            *spent = Spent { since: Instant::now(), lines: 0, left_out: 0 };
        }
        if spent.lines < BURST {
            spent.lines += 1;
            return true;
        }
        spent.left_out += 1;
        false
    }
}

impl Spent {
    fn is_over(&self) -> bool {
        self.since.elapsed() >= WINDOW
    }
}

impl<S> Filter<S> for Limits {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        // What the crates say that are used here is of no use to an operator.
        *metadata.level() <= Level::INFO && metadata.target().starts_with("filter_user")
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        self.may_write(event.metadata().callsite())
    }
}

/// A text on one line: a log is read line by line. What could be typed next is for whoever types, and left out.
pub fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("hint:"));
    lines.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use tracing::subscriber::with_default;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_place_that_writes_too_much_is_silenced_and_others_are_not() {
        let (lines, limits) = (Lines::default(), Limits::default());
        let writer = lines.clone();
        let layer = fmt::layer().with_writer(move || writer.clone()).with_filter(limits.clone());
        with_default(tracing_subscriber::registry().with(layer), || {
            for _ in 0..1000 {
                tracing::info!("too much");
            }
            tracing::info!("something else");
        });
        let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(written.matches("too much").count(), BURST as usize);
        assert_eq!(written.matches("something else").count(), 1);
        let left_out: u64 = limits.0.lock().unwrap().values().map(|spent| spent.left_out).sum();
        assert_eq!(left_out, 1000 - u64::from(BURST));
    }

    #[test]
    fn a_text_of_many_lines_becomes_one_without_hints() {
        assert_eq!(one_line("wrong\nhint: do it right\n  worse\n"), "wrong; worse");
    }
}
