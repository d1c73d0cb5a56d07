//! How much room maps have whose size the policy decides: what it does not use takes up no memory.

use std::path::Path;

use anyhow::{Context as _, Result};
use aya::{EbpfLoader, maps::MapInfo};
use filter_common::{
    BUCKET_SETS, FLOWS, FRAGMENTS,
    tables::{GENERATIONS, PREFIXES, Rate, flags},
};

use super::sources::{self, SourceRoom};
use crate::policy::{CompiledPolicy, IndexRoom};

/// Room that every filter has: for the policies that most have, and for those that come after the first one.
const LEAST: SourceRoom = SourceRoom { prefixes: 1024, index: IndexRoom { blocks: 4, nodes: 32, runs: 128 } };

/// Room for every policy; where the index has none, the tries are asked.
pub(super) const MOST: SourceRoom = SourceRoom { prefixes: 2 * PREFIXES as usize, index: LEAST.index };

/// Whose size the policy decides, by their names; nothing if it does not decide that of the map of this name.
pub(super) fn is_sized_by_policy(name: &str) -> bool {
    remembered(None).iter().any(|(known, _)| *known == name)
        || ["SOURCES", "SOURCE_BLOCKS", "SOURCE_NODES", "SOURCE_RUNS"].contains(&name)
}

/// Gives maps that are to be made room for a policy, and for half as many sources again; for every policy, if none is given.
pub(super) fn make(loader: &mut EbpfLoader<'_>, policy: Option<&CompiledPolicy>) {
    let room = policy.map_or(MOST, |policy| SourceRoom::of(&policy.sources));
    let entries = |needed: usize, least: usize| {
        let each = if policy.is_some() { (needed + needed / 2).max(least) } else { needed };
        u32::try_from(each).unwrap_or(u32::MAX).saturating_mul(GENERATIONS)
    };
    loader.map_max_entries("SOURCES", entries(room.prefixes, LEAST.prefixes));
    loader.map_max_entries("SOURCE_BLOCKS", entries(room.index.blocks, LEAST.index.blocks));
    loader.map_max_entries("SOURCE_NODES", entries(room.index.nodes, LEAST.index.nodes));
    loader.map_max_entries("SOURCE_RUNS", entries(room.index.runs, LEAST.index.runs));
    for (name, entries) in remembered(policy) {
        loader.map_max_entries(name, entries);
    }
}

/// The names of the maps that are pinned in a directory and have no room for a policy, with those that go with them.
pub(super) fn too_small(directory: &Path, policy: &CompiledPolicy) -> Result<Vec<&'static str>> {
    let mut names = Vec::new();
    let room = SourceRoom::of(&policy.sources);
    let SourceRoom { prefixes, index: IndexRoom { blocks, nodes, runs } } = room;
    let needed = [("SOURCES", prefixes), ("SOURCE_BLOCKS", blocks), ("SOURCE_NODES", nodes), ("SOURCE_RUNS", runs)];
    for (name, needed) in needed {
        if usize::try_from(entries(directory, name)? / GENERATIONS)? < needed {
            names.extend(sources::NAMES);
            break;
        }
    }
    for (name, needed) in remembered(Some(policy)) {
        if entries(directory, name)? < needed {
            names.push(name);
        }
    }
    Ok(names)
}

/// How many entries a pinned map has room for.
pub(super) fn entries(directory: &Path, name: &str) -> Result<u32> {
    let path = directory.join(name);
    Ok(MapInfo::from_pin(&path).with_context(|| format!("cannot open `{}`", path.display()))?.max_entries())
}

/// How many entries the maps of what is remembered between packets need: one, where the policy remembers nothing.
fn remembered(policy: Option<&CompiledPolicy>) -> [(&'static str, u32); 3] {
    let has = |flag| policy.is_none_or(|policy| policy.tables.settings.has(flag));
    let limited = policy.is_none_or(|policy| {
        let limits = policy.tables.settings.limits;
        [limits.sip, limits.tcp, limits.icmp].iter().any(|rate| *rate != Rate::default())
    });
    let entries = |used, entries| if used { entries } else { 1 };
    [
        ("FRAGMENTS", entries(has(flags::FRAGMENTS_TRACKED), FRAGMENTS)),
        ("FLOWS", entries(has(flags::RETURN_TRAFFIC), FLOWS)),
        ("BUCKETS", entries(limited, BUCKET_SETS)),
    ]
}
