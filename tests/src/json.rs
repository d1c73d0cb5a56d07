//! What `docs/json.md` says of the JSON that commands print.

use std::{collections::BTreeMap, sync::OnceLock};

use jiff::Timestamp;
use serde_json::Value;

const PAGE: &str = include_str!("../../docs/json.md");

/// Asserts that every line is JSON, and of the form that `docs/json.md` tells.
///
/// # Panics
/// If it is not.
pub fn check(printed: &str) {
    for line in printed.lines() {
        let value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in `{line}`"));
        if let Err(problem) = check_value(&value) {
            panic!("{problem}\n{line}");
        }
    }
}

/// The seconds between the epoch and an instant that was printed.
///
/// # Panics
/// If it is none.
pub fn instant(value: &Value) -> u64 {
    let instant = value.as_str().and_then(as_instant).unwrap_or_else(|| panic!("{value} is no instant"));
    instant.as_second().try_into().expect("it is after 1970")
}

/// RFC 3339, in UTC.
fn as_instant(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|_| text.ends_with('Z'))
}

/// What keeps to no rule in a value; the first thing of it.
fn check_value(value: &Value) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter().try_for_each(check_value),
        Value::Object(members) => members.iter().try_for_each(|(key, value)| check_member(key, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn check_member(key: &str, value: &Value) -> Result<(), String> {
    if !key.starts_with(|first: char| first.is_ascii_lowercase())
        || !key.chars().all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || each == '_')
    {
        return Err(format!("`{key}` is not snake_case"));
    }
    let kind = named_kind(key);
    if let Some(kind) = kind
        && !value.is_null()
        && !kind.has(value)
    {
        return Err(format!("`{key}` is {value}, and no {kind:?}"));
    }
    match value {
        // Its keys are names of the operator's, or of reasons and rules.
        Value::Object(members) if matches!(kind, Some(Kind::Map | Kind::ListOrMap)) => {
            members.values().try_for_each(check_value)
        }
        Value::Number(number) if kind.is_none() && number.as_u64().is_some_and(is_like_the_epoch) => {
            Err(format!("`{key}` is {number}, which is an instant in another form"))
        }
        value => check_value(value),
    }
}

/// Between 2020 and 2040, in seconds or milliseconds.
fn is_like_the_epoch(number: u64) -> bool {
    [1, 1000].iter().any(|unit| (1_577_836_800..2_208_988_800).contains(&(number / unit)))
}

/// What stands under a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Text,
    Number,
    Flag,
    Instant,
    List,
    Object,
    Map,
    ListOrMap,
}

impl Kind {
    fn parse(name: &str) -> Self {
        match name {
            "text" => Self::Text,
            "number" => Self::Number,
            "flag" => Self::Flag,
            "instant" => Self::Instant,
            "list" => Self::List,
            "object" => Self::Object,
            "map" => Self::Map,
            "list or map" => Self::ListOrMap,
            other => panic!("`docs/json.md` has a type `{other}`"),
        }
    }

    fn has(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Number => value.is_number(),
            Self::Flag => value.is_boolean(),
            Self::Instant => value.as_str().and_then(as_instant).is_some(),
            Self::List => value.is_array(),
            Self::Object | Self::Map => value.is_object(),
            Self::ListOrMap => value.is_array() || value.is_object(),
        }
    }
}

/// What the page says of a key: by its name, or by its end.
fn named_kind(key: &str) -> Option<Kind> {
    let ending = || kinds().iter().find(|(name, _)| name.strip_prefix('…').is_some_and(|end| key.ends_with(end)));
    kinds().get(key).or_else(|| ending().map(|(_, kind)| kind)).copied()
}

/// The table of the page: names and types.
fn kinds() -> &'static BTreeMap<&'static str, Kind> {
    static KINDS: OnceLock<BTreeMap<&str, Kind>> = OnceLock::new();
    KINDS.get_or_init(|| {
        let rows = PAGE.lines().filter(|line| line.starts_with("| `"));
        rows.flat_map(|row| {
            let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [names, kind, _] = cells[..] else { panic!("`{row}` has not three cells") };
            names.split('`').skip(1).step_by(2).map(move |name| (name, Kind::parse(kind)))
        })
        .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_to_no_rule_is_found() {
        for (line, problem) in [
            (r#"{"seen-at": "2026-01-02T03:04:05Z"}"#, "is not snake_case"),
            (r#"{"seen_at": 1767323045}"#, "and no Instant"),
            (r#"{"seen_at": "2026-01-02T03:04:05+01:00"}"#, "and no Instant"),
            (r#"{"whenever": 1767323045}"#, "an instant in another form"),
            (r#"[{"remaining_seconds": "5 s"}]"#, "and no Number"),
            (r#"{"by_rule": {"a/b": {"Deep": 1}}}"#, "`Deep` is not snake_case"),
        ] {
            let value = serde_json::from_str(line).expect("JSON");
            let found = check_value(&value).expect_err(line);
            assert!(found.contains(problem), "{found}");
        }
    }

    #[test]
    fn what_keeps_to_the_rules_is_left_alone() {
        check(
            "{\"by_rule\": {\"carrier/sip-udp\": 3}, \"seen_at\": null, \"time\": \"2026-01-02T03:04:05.678Z\"}\n[]\n",
        );
    }
}
