//! Times on the command line.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// The shortest time that makes sense.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest: ten years.
const LONGEST: Duration = Duration::from_hours(24 * 3650);

/// A length of time as policies write it too: `60s`, `2h`, `1h 30m`, `7d`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let span: Span = text.parse().map_err(|_| "not a length of time, such as `60s`, `2h` or `7d`".to_owned())?;
    // Months and years have no length of their own.
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok();
    length
        .and_then(|length| Duration::try_from(length).ok())
        .filter(|length| (SHORTEST..=LONGEST).contains(length))
        .ok_or_else(|| "it must be from `1s` to `3650d`".to_owned())
}

/// A length of time for people, to the second.
pub(crate) fn describe(length: Duration) -> String {
    let seconds = length.as_secs();
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let parts: Vec<_> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_people_write_them() {
        for (text, seconds) in [("60s", 60), ("2h", 7200), ("1h 30m", 5400), ("7d", 604_800), ("90 seconds", 90)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "60", "0s", "-5s", "soon", "1y", "500000d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lengths_of_time_are_shown_without_what_is_zero() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (3600, "1h"), (90_061, "1d 1h 1m 1s")] {
            assert_eq!(describe(Duration::from_secs(seconds)), text);
        }
    }
}
