//! Programs as the kernel gets them: each with the functions that it calls behind it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use aya_obj::{Object, generated::bpf_insn};

/// A program, and the functions that it calls.
pub(super) struct Linked {
    instructions: Vec<bpf_insn>,
    /// Where each function begins, the program first.
    starts: BTreeSet<usize>,
}

/// `BPF_JMP | BPF_CALL` (`include/uapi/linux/bpf.h`).
const CALL: u8 = 0x85;
/// What a call of a function has as its source register: `BPF_PSEUDO_CALL`. A helper's has 0.
const PSEUDO_CALL: u8 = 1;
/// The register that points to the end of the stack frame.
const FRAME_POINTER: u8 = 10;

/// The programs of an object, by their names.
pub(super) fn programs(mut object: Object) -> Result<BTreeMap<String, Linked>> {
    let sections = object.functions.keys().map(|(section, _)| *section).collect();
    object.relocate_calls(&sections).context("the object cannot be linked")?;
    let names = object.programs.iter().map(|(name, program)| {
        let function = object.functions.get(&program.function_key())?;
        Some((name.clone(), Linked::new(function.instructions.clone())))
    });
    names.collect::<Option<_>>().context("the object has a program without instructions")
}

impl Linked {
    fn new(instructions: Vec<bpf_insn>) -> Self {
        let calls = instructions.iter().enumerate().filter_map(|(place, instruction)| called(*instruction, place));
        let starts = calls.chain([0]).collect();
        Self { instructions, starts }
    }

    /// The numbers of the helpers that are called, each once.
    pub(super) fn helpers(&self) -> Vec<i32> {
        let calls = self.instructions.iter().filter(|instruction| instruction.code == CALL);
        let helpers: BTreeSet<_> = calls.filter(|call| call.src_reg() == 0).map(|call| call.imm).collect();
        helpers.into_iter().collect()
    }

    /// The octets of stack on the deepest way through the functions.
    pub(super) fn stack(&self) -> u32 {
        self.stack_from(0)
    }

    fn stack_from(&self, start: usize) -> u32 {
        let callees: BTreeSet<_> =
            self.places(start).filter_map(|place| called(self.instructions[place], place)).collect();
        frame(self.function(start)) + callees.into_iter().map(|callee| self.stack_from(callee)).max().unwrap_or(0)
    }

    /// How many helpers are called on the longest way through the program, where no loop turns.
    pub(super) fn most_calls(&self) -> u32 {
        // What calls others stands before or behind them: each asks for what it needs.
        fn of(linked: &Linked, start: usize, known: &mut BTreeMap<usize, u32>) -> u32 {
            if let Some(calls) = known.get(&start) {
                return *calls;
            }
            let weights: Vec<u32> = linked
                .places(start)
                .map(|place| match called(linked.instructions[place], place) {
                    Some(callee) => of(linked, callee, known),
                    None => u32::from(linked.instructions[place].code == CALL),
                })
                .collect();
            let calls = heaviest_way(linked.function(start), &weights);
            known.insert(start, calls);
            calls
        }
        of(self, 0, &mut BTreeMap::new())
    }

    fn function(&self, start: usize) -> &[bpf_insn] {
        &self.instructions[start..self.end(start)]
    }

    fn places(&self, start: usize) -> std::ops::Range<usize> {
        start..self.end(start)
    }

    fn end(&self, start: usize) -> usize {
        self.starts.range(start + 1..).next().copied().unwrap_or(self.instructions.len())
    }
}

/// Where the function begins that an instruction calls.
fn called(instruction: bpf_insn, place: usize) -> Option<usize> {
    let calls = instruction.code == CALL && instruction.src_reg() == PSEUDO_CALL;
    calls.then(|| (place + 1).checked_add_signed(instruction.imm.try_into().ok()?)).flatten()
}

/// The most that the instructions on a way through a function weigh together, where no loop turns.
fn heaviest_way(instructions: &[bpf_insn], weights: &[u32]) -> u32 {
    /// What is known of an instruction.
    #[derive(Clone, Copy)]
    enum Way {
        Unseen,
        /// It is on the way that is looked at: what leads back to it is a loop.
        Open,
        Most(u32),
    }
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
                ways[place] = Way::Most(behind + weights[place]);
                open.pop();
            }
        }
    }
    match ways.first() {
        Some(Way::Most(most)) => *most,
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
fn frame(function: &[bpf_insn]) -> u32 {
    let pairs = function.windows(2);
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
