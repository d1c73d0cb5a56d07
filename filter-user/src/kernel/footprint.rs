//! What the programs cost the kernel, and what they ask of it.

mod linked;

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result};
use aya::{maps::loaded_maps, programs::loaded_programs};
use aya_obj::Object;

use super::{program, test_run::Sandbox};

/// What one program costs and needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Footprint {
    /// Its name.
    pub program: &'static str,
    /// How many instructions the verifier looked at, over all ways through it.
    pub verified: u32,
    /// Its octets as the kernel keeps them.
    pub translated: u32,
    /// Its octets as machine code.
    pub jitted: u32,
    /// Octets of stack on the deepest way through the functions that it calls: at most 512 (`MAX_BPF_STACK`).
    pub stack: u32,
    /// How many helpers a packet can meet at the most, with those of the functions that it calls, where no loop turns.
    pub calls: u32,
    /// The numbers of the helpers that it calls (`enum bpf_func_id` in `include/uapi/linux/bpf.h`).
    pub helpers: Vec<i32>,
}

impl Sandbox {
    /// The footprint of every program of the object.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub fn footprints(&self) -> Result<Vec<Footprint>> {
        let programs = linked::programs(Object::parse(program::OBJECT).context("the object cannot be read")?)?;
        self.program_infos()?
            .into_iter()
            .map(|(name, info)| {
                let linked = programs.get(name).with_context(|| format!("the object has no program `{name}`"))?;
                Ok(Footprint {
                    program: name,
                    verified: info.verified_instruction_count().context("this kernel does not count instructions")?,
                    translated: info.size_translated().context("this kernel does not tell a program's size")?,
                    jitted: info.size_jitted(),
                    stack: linked.stack(),
                    calls: linked.most_calls(),
                    helpers: linked.helpers(),
                })
            })
            .collect()
    }
}

/// How much memory the maps that this process holds take up, in octets.
///
/// # Errors
/// If the kernel does not tell.
pub fn memory_of_maps() -> Result<u64> {
    let mut maps = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fdinfo")? {
        // What was closed meanwhile is no map of ours.
        let Ok(text) = fs::read_to_string(entry?.path()) else { continue };
        let field = |name| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        if let (Some(number), Some(octets)) = (field("map_id:"), field("memlock:")) {
            maps.insert(number, octets);
        }
    }
    Ok(maps.values().sum())
}

/// How many programs and maps the kernel holds, whoever made them.
pub fn loaded() -> [usize; 2] {
    [loaded_programs().count(), loaded_maps().count()]
}

/// The types of the object's maps (`enum bpf_map_type` in `include/uapi/linux/bpf.h`), each once.
///
/// # Errors
/// If the object cannot be read.
pub fn map_types() -> Result<Vec<u32>> {
    let object = Object::parse(program::OBJECT).context("the object cannot be read")?;
    let mut types: Vec<u32> = object.maps.values().map(aya_obj::Map::map_type).collect();
    types.sort_unstable();
    types.dedup();
    Ok(types)
}
