//! The maps. User space finds them by these names.

use aya_ebpf::{
    bindings::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC},
    btf_maps::{Array, HashMap, LpmTrie, PerCpuArray},
    macros::btf_map,
};
use filter_common::{
    Counter, GenerationInfo, Name, REASON_COUNTERS, RULE_COUNTERS, SNAPSHOTS, Snapshot, Tally, Trial,
    live::{
        DENY_FILTER_BITS, DENY_LISTS as DENY_LIST_PLACES, DenyEntry, DenyList, LIVE_PREFIXES, LiveNotes, LiveSet,
        LiveTerms as Terms, REMARKS, Remark, RemarkedPrefix,
    },
    noted_prefix::NotedPrefix,
    source_index::{SourceBlock, SourceNode, SourceRun},
    tables::{DENY_PREFIXES, GENERATIONS, PREFIXES, Policies},
};

/// That user space can map a map into its memory.
pub(crate) const MAPPABLE: usize = BPF_F_MMAPABLE as usize;
/// That entries have no memory before they are written.
const AS_NEEDED: usize = BPF_F_NO_PREALLOC as usize;

/// A trie from a source prefix to the index of its source set.
pub(crate) type Sources<const N: usize> = LpmTrie<[u8; N], u32, { PREFIXES as usize }>;
/// A trie from a source prefix to the terms of the live allows that cover it.
pub(crate) type LiveSources<const N: usize> = LpmTrie<[u8; N], LiveSet, { LIVE_PREFIXES as usize }>;
/// A trie of denied prefixes.
pub(crate) type Denied<const N: usize> = LpmTrie<[u8; N], DenyEntry, { DENY_PREFIXES as usize }>;

/// Which generation is in force, and what is in each slot. User space writes them by mapping them into memory, as all that is
/// this large.
#[btf_map]
pub(crate) static POLICIES: Array<Policies, 1, MAPPABLE> = Array::new();

/// Whether each generation stays.
#[btf_map]
pub(crate) static TRIALS: Array<Trial, { GENERATIONS as usize }> = Array::new();

/// When each slot of policies was left for another one, and each slot of live allows. The program never reads it.
#[btf_map]
static LEFT_AT: Array<[u64; GENERATIONS as usize], 2> = Array::new();

/// Defines the tries of the slots: no map of maps, which waits for a grace period with each that it is given.
macro_rules! tries {
    ($($name:ident: $trie:ty),+ $(,)?) => {
        $(
            #[btf_map]
            pub(crate) static $name: $trie = LpmTrie::new();
        )+
    };
}

// The sources of each generation, in IPv4 and in IPv6, those of each half of the addresses by themselves.
tries!(SOURCES_V4_A0: Sources<4>, SOURCES_V4_A1: Sources<4>, SOURCES_V4_A2: Sources<4>);
tries!(SOURCES_V4_B0: Sources<4>, SOURCES_V4_B1: Sources<4>, SOURCES_V4_B2: Sources<4>);
tries!(SOURCES_V6_A0: Sources<16>, SOURCES_V6_A1: Sources<16>, SOURCES_V6_A2: Sources<16>);
tries!(SOURCES_V6_B0: Sources<16>, SOURCES_V6_B1: Sources<16>, SOURCES_V6_B2: Sources<16>);

/// What these tries have: for each slot prefixes of IPv4, then of IPv6. How many there can be is chosen when the maps are made.
/// The program never reads it.
#[btf_map]
static SOURCES: Array<NotedPrefix, 1, MAPPABLE> = Array::new();

/// The blocks of the index in front of the source tries. How many there are is chosen when the maps are made.
#[btf_map]
pub(crate) static SOURCE_BLOCKS: Array<SourceBlock, 1, MAPPABLE> = Array::new();

/// The nodes of that index. How many there are is chosen when the maps are made.
#[btf_map]
pub(crate) static SOURCE_NODES: Array<SourceNode, 1, MAPPABLE> = Array::new();

/// The single runs of that index. How many there are is chosen when the maps are made.
#[btf_map]
pub(crate) static SOURCE_RUNS: Array<SourceRun, 1, MAPPABLE> = Array::new();

/// The IPv4 deny list, which outlives generations.
#[btf_map]
pub(crate) static DENY_V4: Denied<4> = LpmTrie::new();

/// The IPv6 deny list, which outlives generations.
#[btf_map]
pub(crate) static DENY_V6: Denied<16> = LpmTrie::new();

/// Bits that are 0 where no address is denied: most are told from those that are without a look into the tries.
#[btf_map]
pub(crate) static DENY_FILTER: Array<u64, { DENY_FILTER_BITS as usize / 64 }, MAPPABLE> = Array::new();

/// The lists that were loaded into the deny list.
#[btf_map]
pub(crate) static DENY_LISTS: Array<[DenyList; DENY_LIST_PLACES as usize], 1> = Array::new();

/// What was remarked of prefixes that were added to the deny list. The program never reads it.
#[btf_map]
static DENY_COMMENTS: HashMap<RemarkedPrefix, Remark, { REMARKS as usize }, AS_NEEDED> = HashMap::new();

// The sources of the live allows, which outlive generations and have slots of their own.
tries!(LIVE_V4_0: LiveSources<4>, LIVE_V4_1: LiveSources<4>, LIVE_V4_2: LiveSources<4>);
tries!(LIVE_V6_0: LiveSources<16>, LIVE_V6_1: LiveSources<16>, LIVE_V6_2: LiveSources<16>);

/// What these tries have: for each slot prefixes of IPv4, then of IPv6. The program never reads it.
#[btf_map]
static LIVE_SOURCES: Array<NotedPrefix, { 2 * GENERATIONS as usize * LIVE_PREFIXES as usize }, MAPPABLE> = Array::new();

/// How many of these prefixes each slot has, of IPv4 and of IPv6. The program never reads it.
#[btf_map]
static LIVE_COUNTS: Array<[u32; 2], { GENERATIONS as usize }> = Array::new();

/// The terms of the live allows.
#[btf_map]
pub(crate) static LIVE_TERMS: Array<Terms, { GENERATIONS as usize }> = Array::new();

/// Whose each of those terms is. The program never reads it.
#[btf_map]
static LIVE_NOTES: Array<LiveNotes, { GENERATIONS as usize }> = Array::new();

/// What was counted for each reason, and which of its packets are sampled.
#[btf_map]
static REASONS: PerCpuArray<Tally, { REASON_COUNTERS as usize }> = PerCpuArray::new();

/// What each rule let in as [`Reason::Listed`](filter_common::Reason::Listed), which is counted nowhere else: one counter is
/// looked up for it, and not two.
#[btf_map]
static LISTED: PerCpuArray<Counter, { RULE_COUNTERS as usize }> = PerCpuArray::new();

/// What was counted for each rule besides.
#[btf_map]
static RULES: PerCpuArray<Counter, { RULE_COUNTERS as usize }> = PerCpuArray::new();

/// The name of the rule that each counter of [`LISTED`] and [`RULES`] belongs to. The program never reads it: it keeps counters
/// and their owners together for whoever opens the pins.
#[btf_map]
static RULE_NAMES: Array<Name, { RULE_COUNTERS as usize }, MAPPABLE> = Array::new();

/// What the rules had passed at times of the past. The program never reads it.
#[btf_map]
static HISTORY: Array<Snapshot, { SNAPSHOTS as usize }> = Array::new();

/// What each generation was made from. The program never reads it.
#[btf_map]
static GENERATION_INFO: Array<GenerationInfo, { GENERATIONS as usize }> = Array::new();

/// What is counted for a reason, by the index that `reason_counter` gives.
#[inline(always)]
pub(crate) fn reason(index: u32) -> Option<&'static mut Tally> {
    // SAFETY: the element belongs to this CPU, on which no other instance of the program runs at the same time.
    REASONS.get_ptr_mut(index).map(|tally| unsafe { &mut *tally })
}

/// What a rule let in as listed, by the number that the tables give it.
#[inline(always)]
pub(crate) fn listed(rule: u32) -> Option<&'static mut Counter> {
    // SAFETY: as above.
    LISTED.get_ptr_mut(rule).map(|counter| unsafe { &mut *counter })
}

/// What is counted for a rule besides, by the same number.
#[inline(always)]
pub(crate) fn rule(index: u32) -> Option<&'static mut Counter> {
    // SAFETY: as above.
    RULES.get_ptr_mut(index).map(|counter| unsafe { &mut *counter })
}
