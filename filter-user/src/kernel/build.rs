//! Which build of the program runs: noted beside its pins, and compared with the one that this binary carries.

use std::fs;

use anyhow::{Context as _, Result};
use aya::maps::{Array, Map, MapData};
use filter_common::Name;

use super::{maps::Value, pins::Pins, program};
use crate::fault;

/// The build of the program that this binary carries: its version, and a fingerprint of its code.
pub(super) fn this() -> Result<Name> {
    let text = format!("{} {:016x}", env!("CARGO_PKG_VERSION"), fingerprint(program::OBJECT));
    Name::new(&text).with_context(|| format!("`{text}` is longer than 63 octets"))
}

/// FNV-1a of 64 bits (draft-eastlake-fnv, section 2): it need only tell builds apart.
fn fingerprint(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(0x100_0000_01b3))
}

/// The build that the pins say they hold; nothing where they do not say, as those of older versions.
pub(super) fn noted(pins: &Pins) -> Option<Name> {
    let map = Map::from_map_data(MapData::from_pin(pins.build()).ok()?).ok()?;
    let noted: Array<MapData, Value<Name>> = map.try_into().ok()?;
    Some(noted.get(&0, 0).ok()?.0)
}

/// Whether the pins hold the build that this binary carries.
pub(super) fn is_this(pins: &Pins) -> bool {
    noted(pins).is_some_and(|noted| this().is_ok_and(|this| this == noted))
}

/// Notes that the pins hold the build that this binary carries.
pub(super) fn write(pins: &Pins) -> Result<()> {
    let mut note = Array::<MapData, Value<Name>>::create(1, 0).context("cannot create a map")?;
    note.set(0, Value(this()?), 0)?;
    let path = pins.build();
    if path.exists() {
        fs::remove_file(&path).with_context(|| format!("cannot remove `{}`", path.display()))?;
    }
    fault::step();
    note.pin(&path).with_context(|| format!("cannot pin `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_are_told_apart() {
        assert_eq!(fingerprint(b""), 0xcbf2_9ce4_8422_2325);
        // Test vector of the draft's appendix C.
        assert_eq!(fingerprint(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert!(this().unwrap().as_str().unwrap().starts_with(env!("CARGO_PKG_VERSION")));
    }
}
