//! Instants, as people and programs read them: RFC 3339, in UTC.
//!
//! Inside they are seconds since the epoch. A field that is one bears `#[serde(with = "instant")]`, and where it may be
//! missing `#[serde(with = "instant::optional")]`: no other place writes an instant.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serializer, de, ser};

/// An instant that is so many seconds after the epoch, to the second.
pub fn text(seconds: u64) -> String {
    timestamp(seconds).map_or_else(|| "at an unknown time".to_owned(), |instant| instant.to_string())
}

/// An instant to the millisecond.
pub fn precise_text(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| "at an unknown time".to_owned(), |instant| format!("{instant:.3}"))
}

fn timestamp(seconds: u64) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
pub(crate) fn serialize<S: Serializer>(seconds: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    let instant = timestamp(*seconds).ok_or_else(|| ser::Error::custom("no calendar reaches so far"))?;
    serializer.collect_str(&instant)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let instant: Timestamp = String::deserialize(deserializer)?.parse().map_err(de::Error::custom)?;
    instant.as_second().try_into().map_err(|_| de::Error::custom("it is before 1970"))
}

/// An instant to the millisecond.
pub(crate) mod precise {
    use super::{Deserialize, Deserializer, Serializer, SystemTime, Timestamp, de};

    pub(crate) fn serialize<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::precise_text(*time))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
        let instant: Timestamp = String::deserialize(deserializer)?.parse().map_err(de::Error::custom)?;
        Ok(instant.into())
    }
}

/// An instant that may be missing.
pub(crate) mod optional {
    use serde::Serialize as _;

    use super::{Deserialize, Deserializer, Serializer};

    #[derive(serde::Deserialize, serde::Serialize)]
    struct Instant(#[serde(with = "super")] u64);

    #[expect(clippy::ref_option, reason = "serde passes fields so")]
    pub(crate) fn serialize<S: Serializer>(seconds: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        seconds.map(Instant).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        Ok(Option::<Instant>::deserialize(deserializer)?.map(|Instant(seconds)| seconds))
    }
}
