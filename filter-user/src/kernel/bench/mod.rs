//! The filter measured: programs of an object of their own, each of which judges many headers in one test run.

mod path;
mod slices;

use anyhow::{Context as _, Result};
use aya::{
    Ebpf, EbpfLoader, TestRun as _, TestRunOptions,
    maps::{Array, LpmTrie, Map, PerCpuArray, PerCpuValues},
    programs::{Program, Xdp},
    util::nr_cpus,
};
use filter_common::{source_index::Cell, tables::GENERATIONS};
use ipnet::IpNet;
pub use path::PathProgram;
pub use slices::Slice;

use super::{
    maps::{Maps, Value},
    room, trie,
};
use crate::policy::CompiledPolicy;

/// How many headers a test frame has.
pub const HEADERS: u32 = 32;
/// How far they lie apart.
const STRIDE: usize = 64;
/// How many places there are that sources come from.
pub const BASES: usize = 4096;
/// What the random numbers of every run begin with.
const SEED: u64 = 0x2545_f491_4f6c_dd1d;

/// A program that measures: its name in the object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BenchProgram {
    /// What all of the others do too: the loop, and a new source for each header.
    Nothing,
    /// The parser.
    Parse,
    /// The parser, and which policy is in force.
    PolicyInForce,
    /// The decision for a source that is known to be unlisted, without looking it up.
    Unlisted,
    /// The decision for a source that is known to be listed, without looking it up.
    Listed,
    /// The decision.
    Decision,
    /// The decision, and its counters.
    Counted,
    /// All that the filter does.
    Whole,
    /// The least that a filter can do: reads the packet as the filter does, one word by the source, counts and drops it.
    LeastDropping,
    /// The same with another word by the port, and lets it in.
    LeastPassing,
    /// The same parser, the kernel's trie, a list of port ranges and a counter: what one would write.
    TrieAndList,
}

/// Where sources come from: one of the bases, with the bits of the mask made up. An IPv4 address stands in front.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct BenchSources {
    /// The bits that are made up.
    pub mask: [u64; 2],
    /// Addresses.
    pub bases: [[u64; 2]; BASES],
}

/// How long a program took.
#[derive(Clone, Debug)]
pub struct BenchRun {
    /// What headers cost.
    pub slices: Vec<Slice>,
    /// How many headers of the last frame it let in.
    pub passed: u32,
}

/// The programs, loaded.
pub struct Bench {
    ebpf: Ebpf,
    maps: Maps,
}

impl BenchProgram {
    const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Parse => "parse",
            Self::PolicyInForce => "policy_in_force",
            Self::Unlisted => "unlisted",
            Self::Listed => "listed",
            Self::Decision => "decision",
            Self::Counted => "counted",
            Self::Whole => "whole",
            Self::LeastDropping => "least_dropping",
            Self::LeastPassing => "least_passing",
            Self::TrieAndList => "trie_and_list",
        }
    }
}

impl Bench {
    /// Loads an object.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub fn load(object: &[u8]) -> Result<Self> {
        let mut loader = EbpfLoader::new();
        room::make(&mut loader, None);
        let of_every_slot = |entries: u16| GENERATIONS * u32::from(entries);
        loader.map_max_entries("SOURCE_BLOCKS", of_every_slot(Cell::BLOCKS));
        loader.map_max_entries("SOURCE_NODES", of_every_slot(Cell::NODES));
        loader.map_max_entries("SOURCE_RUNS", of_every_slot(Cell::RUNS));
        let mut ebpf = loader.load(object).context("cannot create the BPF maps (this needs root)")?;
        for (name, program) in ebpf.programs_mut() {
            match program {
                Program::RawTracePoint(program) => program.load(),
                program => <&mut Xdp>::try_from(program)?.load(),
            }
            .with_context(|| format!("the kernel refuses the program `{name}`"))?;
        }
        let maps = Maps::of(&mut ebpf)?;
        Ok(Self { ebpf, maps })
    }

    /// Puts a policy in force, all of whose prefixes may send the same.
    ///
    /// # Errors
    /// If the maps cannot be written.
    pub fn publish(&mut self, policy: &CompiledPolicy) -> Result<()> {
        self.maps.publish(policy, "bench", None)?;
        let listed = policy.sources.first().map_or(0, |(_, set)| *set);
        Ok(Array::try_from(self.map("BENCH_LISTED")?)?.set(0, listed, 0)?)
    }

    /// Gives the peer its prefixes and ranges of ports.
    ///
    /// # Errors
    /// If the maps cannot be written.
    pub fn set_peer(&mut self, prefixes: &[(IpNet, u32)], ports: &[(u16, u16)]) -> Result<()> {
        self.fill::<4>("PEER_V4", prefixes)?;
        self.fill::<16>("PEER_V6", prefixes)?;
        let mut list = [0_u32; 16];
        for (slot, (first, last)) in list.iter_mut().zip(ports) {
            *slot = u32::from(*first) << 16 | u32::from(*last);
        }
        Ok(Array::try_from(self.map("PEER_RANGES")?)?.set(0, Value(list), 0)?)
    }

    /// Says where sources come from.
    ///
    /// # Errors
    /// If the map cannot be written.
    pub fn set_sources(&mut self, sources: &BenchSources) -> Result<()> {
        Ok(Array::try_from(self.map("BENCH_SOURCES")?)?.set(0, Value(*sources), 0)?)
    }

    /// Loads a program anew: the kernel puts its code elsewhere, and where that lies decides over half a nanosecond.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub fn reload(&mut self, program: BenchProgram) -> Result<()> {
        let loaded = self.xdp(program.name())?;
        loaded.unload()?;
        loaded.load().with_context(|| format!("the kernel refuses the program `{}`", program.name()))
    }

    /// Runs a program over so many frames full of this header, from the same sources every time.
    ///
    /// # Errors
    /// If the kernel refuses the test run.
    pub fn run(&mut self, program: BenchProgram, header: &[u8], frames: u32) -> Result<BenchRun> {
        self.seed()?;
        self.empty_slices()?;
        let mut packed = header.to_vec();
        packed.resize(STRIDE, 0);
        let frame = packed.repeat(HEADERS.try_into()?);
        let options = TestRunOptions { data_in: Some(&frame), repeat: frames, ..TestRunOptions::default() };
        let result = self.xdp(program.name())?.test_run(options).context("the kernel refuses the test run")?;
        Ok(BenchRun { slices: self.slices()?, passed: result.return_value })
    }

    /// Begins the random numbers anew. From 0 they would stay 0, and all sources be one.
    fn seed(&mut self) -> Result<()> {
        let mut random: PerCpuArray<_, u64> = self.map("BENCH_RANDOM")?.try_into()?;
        Ok(random.set(0, PerCpuValues::try_from(vec![SEED; nr_cpus().map_err(|(_, error)| error)?])?, 0)?)
    }

    fn fill<const N: usize>(&mut self, name: &str, prefixes: &[(IpNet, u32)]) -> Result<()> {
        let mut map: LpmTrie<_, [u8; N], u32> = self.map(name)?.try_into()?;
        let old: Vec<_> = map.keys().collect::<Result<_, _>>()?;
        old.iter().try_for_each(|key| map.remove(key))?;
        for (prefix, set) in prefixes {
            if let Some(key) = trie::key(*prefix) {
                map.insert(&key, set, 0)?;
            }
        }
        Ok(())
    }

    fn map(&mut self, name: &str) -> Result<&mut Map> {
        self.ebpf.map_mut(name).with_context(|| format!("the object has no map `{name}`"))
    }
}
