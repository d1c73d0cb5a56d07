//! The maps, typed, as user space sees them. The program declares them in `filter-ebpf/src/maps.rs`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf,
    maps::{Array, HashMap, Map, MapData, MapInfo, PerCpuArray},
};
use bytemuck::TransparentWrapper;
use filter_common::{
    Counter, GenerationInfo, Name, REASON_COUNTERS, RULE_COUNTERS, SAMPLES, SNAPSHOTS, Snapshot, Tally, Trial,
    live::{
        DENY_FILTER_BITS, DENY_LISTS, DenyList, LIVE_PREFIXES, LiveNotes, LiveTerms, REMARKS, Remark, RemarkedPrefix,
    },
    tables::{DENY_PREFIXES, GENERATIONS, PREFIXES, Policies},
};

use super::{
    deny_filter::DenyFilter, live_sources::LiveSourceMaps, permission, pins, samples::SampleMaps, sources::SourceMaps,
    trie::Denied,
};

/// A shared type in the form in which aya takes it.
#[derive(Clone, Copy, Debug, TransparentWrapper)]
#[repr(transparent)]
pub(super) struct Value<T>(pub(super) T);

// SAFETY: a `bytemuck::Pod` has no padding and no invalid bit pattern, which is what aya asks for.
unsafe impl<T: bytemuck::Pod> aya::Pod for Value<T> {}

type Shared<T> = Array<MapData, Value<T>>;

/// The maps that user space writes or reads.
pub(super) struct Maps {
    /// Where they are pinned; nothing where they are not.
    pub(super) directory: Option<PathBuf>,
    pub(super) policies: Shared<Policies>,
    pub(super) trials: Shared<Trial>,
    pub(super) left_at: Shared<[u64; GENERATIONS as usize]>,
    pub(super) sources: SourceMaps,
    pub(super) deny_v4: Denied<4>,
    pub(super) deny_v6: Denied<16>,
    pub(super) deny_filter: DenyFilter,
    pub(super) deny_lists: Shared<[DenyList; DENY_LISTS as usize]>,
    pub(super) deny_comments: HashMap<MapData, Value<RemarkedPrefix>, Value<Remark>>,
    pub(super) live_sources: LiveSourceMaps,
    pub(super) live_terms: Shared<LiveTerms>,
    pub(super) live_notes: Shared<LiveNotes>,
    pub(super) reasons: PerCpuArray<MapData, Value<Tally>>,
    pub(super) listed: PerCpuArray<MapData, Value<Counter>>,
    pub(super) rules: PerCpuArray<MapData, Value<Counter>>,
    pub(super) rule_names: Shared<Name>,
    pub(super) history: Shared<Snapshot>,
    pub(super) generation_info: Shared<GenerationInfo>,
    pub(super) samples: SampleMaps,
}

/// What becomes of a map when a filter of another ABI takes over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lifetime {
    /// It outlives policies, and the two share it.
    Lasting,
    /// It holds policies, whose form may be another one.
    Policy,
    /// It holds what the next packets replace anyway.
    Passing,
}

use Lifetime::{Lasting, Passing, Policy};

/// Every map's name; how many entries it must have to be the one that this program knows, nothing where that depends on the
/// policy; and how long it is needed.
const SHAPES: [(&str, Option<u32>, Lifetime); 49] = [
    ("POLICIES", Some(1), Policy),
    ("TRIALS", Some(GENERATIONS), Policy),
    ("LEFT_AT", Some(2), Lasting),
    ("SOURCES_V4_A0", Some(PREFIXES), Policy),
    ("SOURCES_V4_A1", Some(PREFIXES), Policy),
    ("SOURCES_V4_A2", Some(PREFIXES), Policy),
    ("SOURCES_V4_B0", Some(PREFIXES), Policy),
    ("SOURCES_V4_B1", Some(PREFIXES), Policy),
    ("SOURCES_V4_B2", Some(PREFIXES), Policy),
    ("SOURCES_V6_A0", Some(PREFIXES), Policy),
    ("SOURCES_V6_A1", Some(PREFIXES), Policy),
    ("SOURCES_V6_A2", Some(PREFIXES), Policy),
    ("SOURCES_V6_B0", Some(PREFIXES), Policy),
    ("SOURCES_V6_B1", Some(PREFIXES), Policy),
    ("SOURCES_V6_B2", Some(PREFIXES), Policy),
    ("SOURCES", None, Policy),
    ("SOURCE_BLOCKS", None, Policy),
    ("SOURCE_NODES", None, Policy),
    ("SOURCE_RUNS", None, Policy),
    ("DENY_V4", Some(DENY_PREFIXES), Lasting),
    ("DENY_V6", Some(DENY_PREFIXES), Lasting),
    ("DENY_FILTER", Some(DENY_FILTER_BITS / 64), Policy),
    ("DENY_LISTS", Some(1), Lasting),
    ("DENY_COMMENTS", Some(REMARKS), Lasting),
    ("LIVE_V4_0", Some(LIVE_PREFIXES), Lasting),
    ("LIVE_V4_1", Some(LIVE_PREFIXES), Lasting),
    ("LIVE_V4_2", Some(LIVE_PREFIXES), Lasting),
    ("LIVE_V6_0", Some(LIVE_PREFIXES), Lasting),
    ("LIVE_V6_1", Some(LIVE_PREFIXES), Lasting),
    ("LIVE_V6_2", Some(LIVE_PREFIXES), Lasting),
    ("LIVE_SOURCES", Some(2 * GENERATIONS * LIVE_PREFIXES), Lasting),
    ("LIVE_COUNTS", Some(GENERATIONS), Lasting),
    ("LIVE_TERMS", Some(GENERATIONS), Lasting),
    ("LIVE_NOTES", Some(GENERATIONS), Lasting),
    ("REASONS", Some(REASON_COUNTERS), Lasting),
    ("LISTED", Some(RULE_COUNTERS), Lasting),
    ("RULES", Some(RULE_COUNTERS), Lasting),
    ("RULE_NAMES", Some(RULE_COUNTERS), Lasting),
    ("HISTORY", Some(SNAPSHOTS), Lasting),
    ("GENERATION_INFO", Some(GENERATIONS), Policy),
    ("FRAGMENTS", None, Lasting),
    ("FLOWS", None, Lasting),
    ("FLOW_PORTS", Some(1), Lasting),
    ("BUCKETS", None, Lasting),
    ("BUCKET_SEED", Some(1), Lasting),
    ("NEW_ENTRIES_DUE", Some(2), Lasting),
    ("ODD_PACKET", Some(1), Passing),
    ("SAMPLES", Some(SAMPLES), Passing),
    ("RECORDER", Some(1), Passing),
];

/// The names of the maps in the object and of their pins.
pub(super) const NAMES: [&str; SHAPES.len()] = {
    let mut names = [""; SHAPES.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = SHAPES[index].0;
        index += 1;
    }
    names
};

/// The names of the maps that outlive policies, whatever the ABI.
pub(super) fn lasting() -> impl Iterator<Item = &'static str> {
    SHAPES.iter().filter(|(_, _, lifetime)| *lifetime == Lasting).map(|(name, ..)| *name)
}

/// Whether filters of an older ABI may be without this lasting map: what it has now they had elsewhere, in what they share.
pub(super) fn is_new(name: &str) -> bool {
    name == "LISTED"
}

impl Maps {
    /// The maps of an object that was just loaded.
    pub(super) fn of(ebpf: &mut Ebpf) -> Result<Self> {
        Self::collect(None, |name| ebpf.take_map(name).with_context(|| format!("the object has no map `{name}`")))
    }

    /// The maps that are pinned in a directory.
    ///
    /// # Errors
    /// If one is missing or is not of the shape that this version of the program knows.
    pub(super) fn open(directory: &Path) -> Result<Self> {
        let place = pins::of_maps(directory);
        let opened = Self::collect(Some(directory.to_owned()), |name| pinned(&place(name), name));
        let foreign =
            || format!("`{}` holds something else than this version of sipwall pins there", directory.display());
        opened.map_err(|error| permission::denial(&error, directory).unwrap_or_else(|| error.context(foreign())))
    }

    fn collect(directory: Option<PathBuf>, mut map: impl FnMut(&str) -> Result<Map>) -> Result<Self> {
        Ok(Self {
            directory,
            policies: map("POLICIES")?.try_into()?,
            trials: map("TRIALS")?.try_into()?,
            left_at: map("LEFT_AT")?.try_into()?,
            sources: SourceMaps::collect(&mut map)?,
            deny_v4: map("DENY_V4")?.try_into()?,
            deny_v6: map("DENY_V6")?.try_into()?,
            deny_filter: DenyFilter::new(map("DENY_FILTER")?)?,
            deny_lists: map("DENY_LISTS")?.try_into()?,
            deny_comments: map("DENY_COMMENTS")?.try_into()?,
            live_sources: LiveSourceMaps::collect(&mut map)?,
            live_terms: map("LIVE_TERMS")?.try_into()?,
            live_notes: map("LIVE_NOTES")?.try_into()?,
            reasons: map("REASONS")?.try_into()?,
            listed: map("LISTED")?.try_into()?,
            rules: map("RULES")?.try_into()?,
            rule_names: map("RULE_NAMES")?.try_into()?,
            history: map("HISTORY")?.try_into()?,
            generation_info: map("GENERATION_INFO")?.try_into()?,
            samples: SampleMaps::collect(map)?,
        })
    }
}

/// The map of this name that is pinned at a path, of the shape that this version of the program knows.
pub(super) fn pinned(path: &Path, name: &str) -> Result<Map> {
    let data = MapData::from_pin(path).with_context(|| format!("cannot open `{}`", path.display()))?;
    check_shape(name, path, &data.info().context("the kernel does not tell a map's shape")?)?;
    Ok(Map::from_map_data(data)?)
}

/// The map that is pinned at a path.
pub(super) fn at(path: &Path) -> Result<Map> {
    let data = MapData::from_pin(path).with_context(|| format!("cannot open `{}`", path.display()))?;
    Ok(Map::from_map_data(data)?)
}

/// Refuses a directory with a map that is missing or not of the shape that this version of the program knows.
///
/// Those that user space never opens are compared by their capacity alone.
pub(super) fn check_shapes(directory: &Path) -> Result<()> {
    Maps::open(directory)?;
    NAMES.iter().try_for_each(|name| {
        let path = directory.join(name);
        let info = MapInfo::from_pin(&path).with_context(|| format!("cannot open `{}`", path.display()))?;
        check_shape(name, &path, &info)
    })
}

/// aya takes a pinned map as it is; its types and sizes are compared when it is converted, its capacity here.
fn check_shape(name: &str, path: &Path, info: &MapInfo) -> Result<()> {
    let expected = SHAPES.iter().find(|(known, ..)| *known == name).and_then(|(_, entries, _)| *entries);
    ensure!(
        expected.is_none_or(|entries| entries == info.max_entries()),
        "`{}` has room for {} entries, which is not this version's shape\nhint: `sipwall detach` removes whatever is pinned there",
        path.display(),
        info.max_entries(),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use aya_obj::Object;

    use super::*;
    use crate::kernel::{program, room};

    #[test]
    fn every_map_of_the_object_is_pinned_and_has_a_lifetime() {
        let object = Object::parse(program::OBJECT).unwrap();
        // The compiler's constants are part of the code, and their name is that of a section.
        let names = object.maps.keys().map(String::as_str);
        let mut declared: Vec<&str> = names.filter(|name| !name.starts_with('.')).collect();
        let mut known = NAMES.to_vec();
        declared.sort_unstable();
        known.sort_unstable();
        assert_eq!(declared, known, "a map that is not among the pins is gone with the next program");
    }

    #[test]
    fn the_capacity_of_a_map_is_fixed_or_chosen_by_the_policy() {
        for (name, entries, _) in SHAPES {
            assert_eq!(entries.is_none(), room::is_sized_by_policy(name), "{name}");
        }
    }
}
