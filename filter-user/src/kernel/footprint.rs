//! What the programs cost the kernel, and what they ask of it.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result};
use aya::{maps::loaded_maps, programs::loaded_programs};
use aya_obj::{Function, Object, generated::bpf_insn};

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
    /// Octets of stack, with those of the functions that it can call: at most 512 (`MAX_BPF_STACK`).
    pub stack: u32,
    /// How many helpers a packet can meet at the most, with those of the functions that are called, where no loop turns.
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
        let object = Object::parse(program::OBJECT).context("the object cannot be read")?;
        let shared = functions_of_others(&object);
        self.program_infos()?
            .into_iter()
            .map(|(name, info)| {
                let own = object.programs.get(name).and_then(|program| object.functions.get(&program.function_key()));
                let own = own.with_context(|| format!("the object has no program `{name}`"))?;
                // The sent frame's program walks over no extension headers: it calls no function.
                let called = if calls_a_function(own) { &shared[..] } else { &[] };
                let all = || called.iter().copied().chain([own]);
                let mut helpers: Vec<i32> = all().flat_map(helpers).collect();
                helpers.sort_unstable();
                helpers.dedup();
                Ok(Footprint {
                    program: name,
                    verified: info.verified_instruction_count().context("this kernel does not count instructions")?,
                    translated: info.size_translated().context("this kernel does not tell a program's size")?,
                    jitted: info.size_jitted(),
                    stack: stack(own) + deepest(called),
                    calls: most_calls(own, called.iter().map(|function| most_calls(function, 0)).max().unwrap_or(0)),
                    helpers,
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

/// Those that are no programs.
fn functions_of_others(object: &Object) -> Vec<&Function> {
    let programs: Vec<_> = object.programs.values().map(aya_obj::Program::function_key).collect();
    object.functions.iter().filter(|(key, _)| !programs.contains(key)).map(|(_, function)| function).collect()
}

/// `BPF_JMP | BPF_CALL` (`include/uapi/linux/bpf.h`).
const CALL: u8 = 0x85;
/// What a call of a function has as its source register: `BPF_PSEUDO_CALL`. A helper's has 0.
const PSEUDO_CALL: u8 = 1;
/// The register that points to the end of the stack frame.
const FRAME_POINTER: u8 = 10;

fn calls_a_function(function: &Function) -> bool {
    function.instructions.iter().any(|instruction| instruction.code == CALL && instruction.src_reg() == PSEUDO_CALL)
}

/// How deep the deepest of these reaches into the stack; all of them together, where they may call each other.
fn deepest(functions: &[&Function]) -> u32 {
    let depths = functions.iter().map(|function| stack(function));
    if functions.iter().any(|function| calls_a_function(function)) {
        depths.sum()
    } else {
        depths.max().unwrap_or_default()
    }
}

fn helpers(function: &Function) -> impl Iterator<Item = i32> {
    let calls = function.instructions.iter().filter(|instruction| instruction.code == CALL);
    calls.filter(|instruction| instruction.src_reg() == 0).map(|instruction| instruction.imm)
}

/// How many helpers the longest way through a function calls, where no loop turns and each function that it calls has so
/// many.
fn most_calls(function: &Function, called: u32) -> u32 {
    /// What is known of an instruction.
    #[derive(Clone, Copy)]
    enum Way {
        Unseen,
        /// It is on the way that is looked at: what leads back to it is a loop.
        Open,
        Most(u32),
    }
    let instructions = &function.instructions;
    let mut ways = vec![Way::Unseen; instructions.len()];
    let mut open = vec![0];
    while let Some(&place) = open.last() {
        let most = |way: Way| if let Way::Most(most) = way { most } else { 0 };
        let next: Vec<usize> = successors(instructions, place).collect();
        ways[place] = Way::Open;
        match next.iter().find(|next| matches!(ways[**next], Way::Unseen)) {
            Some(unseen) => open.push(*unseen),
            None => {
                let behind = next.iter().map(|next| most(ways[*next])).max().unwrap_or(0);
                ways[place] = Way::Most(behind + calls_of(instructions[place], called));
                open.pop();
            }
        }
    }
    match ways.first() {
        Some(Way::Most(most)) => *most,
        _ => 0,
    }
}

/// How many helpers an instruction calls.
fn calls_of(instruction: bpf_insn, called: u32) -> u32 {
    match (instruction.code, instruction.src_reg()) {
        (CALL, PSEUDO_CALL) => called,
        (CALL, _) => 1,
        _ => 0,
    }
}

/// Where an instruction can lead.
fn successors(instructions: &[bpf_insn], place: usize) -> impl Iterator<Item = usize> {
    /// `BPF_JMP | BPF_JA`, `BPF_JMP | BPF_EXIT`, `BPF_LD | BPF_IMM | BPF_DW` and the classes `BPF_JMP` and `BPF_JMP32`.
    const JUMP: u8 = 0x05;
    const EXIT: u8 = 0x95;
    const LOAD_WIDE: u8 = 0x18;
    const JUMPS: [u8; 2] = [5, 6];
    let instruction = instructions[place];
    let target = place.checked_add_signed(isize::from(instruction.off) + 1);
    let [following, jump] = match instruction.code {
        EXIT => [None, None],
        JUMP => [None, target],
        LOAD_WIDE => [Some(place + 2), None],
        code if JUMPS.contains(&(code & 7)) && code != CALL => [Some(place + 1), target],
        _ => [Some(place + 1), None],
    };
    following.into_iter().chain(jump).filter(|next| *next < instructions.len())
}

/// How deep a function reaches into its stack frame, as the verifier rounds it up.
fn stack(function: &Function) -> u32 {
    let pairs = function.instructions.windows(2);
    let deepest = pairs.map(|pair| depth(pair[0], pair[1])).max().unwrap_or_default();
    deepest.next_multiple_of(32)
}

/// How far below the frame pointer an instruction reaches, or the pointer that it and the next one make.
fn depth(instruction: bpf_insn, next: bpf_insn) -> u32 {
    /// The classes of loads and stores: `BPF_LDX`, `BPF_ST`, `BPF_STX`.
    const LOAD: u8 = 1;
    const STORES: [u8; 2] = [2, 3];
    /// `BPF_ALU64 | BPF_MOV | BPF_X` and `BPF_ALU64 | BPF_ADD | BPF_K`.
    const MOVE: u8 = 0xbf;
    const ADD: u8 = 0x07;
    let class = instruction.code & 7;
    let reaches = class == LOAD && instruction.src_reg() == FRAME_POINTER
        || STORES.contains(&class) && instruction.dst_reg() == FRAME_POINTER;
    let offset = if reaches {
        i32::from(instruction.off)
    } else if instruction.code == MOVE
        && instruction.src_reg() == FRAME_POINTER
        && next.code == ADD
        && next.dst_reg() == instruction.dst_reg()
    {
        next.imm
    } else {
        0
    };
    offset.min(0).unsigned_abs()
}
