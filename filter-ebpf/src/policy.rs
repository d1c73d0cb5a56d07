//! The policy in force: the decision's view of the maps.

use core::hint::cold_path;

use aya_ebpf::btf_maps::{LpmTrie, lpm_trie::Key};
use filter_common::{
    Address, Policy,
    halves::{HALVES, half},
    live::{Allowance, LiveQuery, NESTED_DENIES, deny_filter_bits, lists_that_hold},
    opaque,
    source_index::{self, FilterForm, SourceBlock, SourceIndex, SourceNode, SourceRoots, SourceRun},
    tables::{GENERATIONS, Knobs, Policies, Slot, Switch, Tables, lists},
};

use crate::{
    maps::{
        DENY_FILTER, DENY_LISTS, DENY_V4, DENY_V6, Denied, LIVE_TERMS, LIVE_V4_0, LIVE_V4_1, LIVE_V4_2, LIVE_V6_0,
        LIVE_V6_1, LIVE_V6_2, POLICIES, SOURCE_BLOCKS, SOURCE_NODES, SOURCE_RUNS, SOURCES_V4_A0, SOURCES_V4_A1,
        SOURCES_V4_A2, SOURCES_V4_B0, SOURCES_V4_B1, SOURCES_V4_B2, SOURCES_V6_A0, SOURCES_V6_A1, SOURCES_V6_A2,
        SOURCES_V6_B0, SOURCES_V6_B1, SOURCES_V6_B2, Sources, TRIALS,
    },
    state,
};

/// One generation, chosen once for each packet, so that all that is looked up for it belongs together.
pub(crate) struct PolicyInForce {
    /// The number of the switch, with the slot that is in force.
    pub(crate) switch: u64,
    pub(crate) knobs: Knobs,
    slot: &'static Slot,
}

impl PolicyInForce {
    /// What is in force; nothing where the switch names no slot. The slot may have no policy: before the first one is published,
    /// or where that was not confirmed.
    #[inline(always)]
    pub(crate) fn read() -> Option<Self> {
        let policies = POLICIES.get(0)?;
        // SAFETY: it is one number, which user space writes at once.
        let number = unsafe { (&raw const policies.switch).cast::<u64>().read_volatile() };
        let switch = Switch::of_number(number);
        if switch.may_be_on_trial() {
            cold_path();
            let slot = slot_in_force(switch.slot)?;
            return Self::among(policies, Switch { slot, ..switch }.number());
        }
        Self::among(policies, number)
    }

    /// What is in the slot that a switch names by its number, if there is such.
    #[inline(always)]
    pub(crate) fn of(number: u64) -> Option<Self> {
        Self::among(POLICIES.get(0)?, number)
    }

    #[inline(always)]
    fn among(policies: &'static Policies, switch: u64) -> Option<Self> {
        let slot = slot_of(policies, switch)?;
        Some(Self { switch, knobs: slot.tables.settings.knobs, slot })
    }
}

/// What is in the slot that a switch names by its number.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "it has 32 bits")]
fn slot_of(policies: &'static Policies, switch: u64) -> Option<&'static Slot> {
    // LLVM would compare the whole number, and the verifier know nothing of the half.
    policies.slots.get(opaque(Switch::of_number(switch).slot.into()) as usize)
}

/// The slot that the switch names, or the one before if its generation was not confirmed in time.
#[inline(always)]
fn slot_in_force(slot: u32) -> Option<u32> {
    let trial = TRIALS.get(slot)?;
    let failed = trial.is_pending() && trial.has_failed(state::now());
    Some(if failed { trial.fallback } else { slot })
}

impl Policy for PolicyInForce {
    #[inline(always)]
    fn tables(&self) -> &Tables {
        &self.slot.tables
    }

    #[inline(always)]
    fn knobs(&self) -> Knobs {
        self.knobs
    }

    #[inline(always)]
    fn source_set(&self, source: Address) -> u32 {
        source_index::source_set(&Index(self.slot), source, || match source {
            Address::V4(address) => number(ask_sources_v4(self.switch, address.into())),
            Address::V6([high, low]) => number(ask_sources_v6(self.switch, high, low)),
        })
    }

    #[inline(always)]
    fn is_denied(&self, source: Address) -> bool {
        Switch::of_number(self.switch).lists & lists::DENY != 0
            && may_be_denied(source)
            && match source {
                Address::V4(address) => is_denied_v4(self.switch, address.into()),
                Address::V6([high, low]) => is_denied_v6(self.switch, high, low),
            } != 0
    }

    #[inline(always)]
    fn live_allow(&self, source: Address, query: LiveQuery) -> Allowance {
        let Some(slot) = Switch::of_number(self.switch).allows() else { return Allowance::None };
        let [high, low] = source.words();
        Allowance::decode(judge_live(slot.into(), high, low, query.code()))
    }

    #[inline(always)]
    fn has_live_entries(&self) -> bool {
        Switch::of_number(self.switch).lists & (lists::DENY | lists::ALLOW) != 0
    }
}

/// The index in front of the source tries, as a slot has it.
struct Index(&'static Slot);

impl SourceIndex for Index {
    #[inline(always)]
    fn form(&self) -> &FilterForm {
        &self.0.form
    }

    #[inline(always)]
    fn roots(&self) -> &SourceRoots {
        &self.0.roots
    }

    #[inline(always)]
    fn block(&self, place: u32) -> Option<&SourceBlock> {
        SOURCE_BLOCKS.get(place)
    }

    #[inline(always)]
    fn node(&self, place: u32) -> Option<&SourceNode> {
        SOURCE_NODES.get(place)
    }

    #[inline(always)]
    fn run(&self, place: u32) -> Option<&SourceRun> {
        SOURCE_RUNS.get(place)
    }
}

/// What the tries say of an IPv4 address that the index does not know. A global function, which the verifier looks at once,
/// by itself.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ask_sources_v4(switch: u64, address: u64) -> u64 {
    let tries = [[&SOURCES_V4_A0, &SOURCES_V4_A1, &SOURCES_V4_A2], [&SOURCES_V4_B0, &SOURCES_V4_B1, &SOURCES_V4_B2]];
    let address = number(address);
    ask_half(tries, switch, Address::V4(address), address.to_be_bytes()).into()
}

/// The same of an IPv6 address.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ask_sources_v6(switch: u64, high: u64, low: u64) -> u64 {
    let tries = [[&SOURCES_V6_A0, &SOURCES_V6_A1, &SOURCES_V6_A2], [&SOURCES_V6_B0, &SOURCES_V6_B1, &SOURCES_V6_B2]];
    let words = [high, low];
    ask_half(tries, switch, Address::V6(words), octets(words)).into()
}

/// The set of terms that the source tries have for an address, in the slot that a switch names by its number.
#[inline(always)]
fn ask_half<const N: usize>(
    tries: [[&'static Sources<N>; GENERATIONS as usize]; HALVES],
    switch: u64,
    address: Address,
    octets: [u8; N],
) -> u32 {
    let slot = Switch::of_number(switch).slot;
    let [first, second] = tries;
    let set = if half(address) == 0 { ask(first, slot, octets) } else { ask(second, slot, octets) };
    set.copied().unwrap_or(0)
}

/// What the trie of a slot says of an address.
#[inline(always)]
fn ask<const N: usize, V, const M: usize>(
    tries: [&'static LpmTrie<[u8; N], V, M>; GENERATIONS as usize],
    slot: u32,
    octets: [u8; N],
) -> Option<&'static V> {
    let [first, second, third] = tries;
    // Written out: the verifier wants to know at each call which map it is about.
    match slot {
        0 => first.get(&host_key(octets)),
        1 => second.get(&host_key(octets)),
        _ => third.get(&host_key(octets)),
    }
}

/// The number of 32 bits that an argument or a result of a global function is, which have 64.
#[inline(always)]
pub(crate) const fn number(register: u64) -> u32 {
    let [a, b, c, d, ..] = register.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// What the live allows in a slot say of an address, by its words. A global function, which the verifier looks at once, by
/// itself: in line, its loop would be followed for every way that leads here.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn judge_live(slot: u64, high: u64, low: u64, query: u64) -> u64 {
    let slot = number(slot);
    let set = match Address::from_words([high, low]) {
        Address::V4(address) => ask([&LIVE_V4_0, &LIVE_V4_1, &LIVE_V4_2], slot, address.to_be_bytes()),
        Address::V6(words) => ask([&LIVE_V6_0, &LIVE_V6_1, &LIVE_V6_2], slot, octets(words)),
    };
    match (set, LIVE_TERMS.get(slot)) {
        (Some(set), Some(terms)) => terms.judge(*set, LiveQuery::of_code(query), state::now()).encode(),
        _ => Allowance::None.encode(),
    }
}

/// Whether an address is denied under the policy in a slot: 1 if it is. A global function, so that the keys that it makes
/// take up none of the stack of the packets that ask no such thing.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn is_denied_v4(switch: u64, address: u64) -> u64 {
    is_denied(&DENY_V4, Switch::of_number(switch).slot, number(address).to_be_bytes()).into()
}

/// The same of IPv6.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn is_denied_v6(switch: u64, high: u64, low: u64) -> u64 {
    is_denied(&DENY_V6, Switch::of_number(switch).slot, octets([high, low])).into()
}

/// The holders of the lists that hold now. A global function for the same reason.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn deny_lists_that_hold() -> u64 {
    DENY_LISTS.get(0).map_or(0, |lists| lists_that_hold(lists, state::now())).into()
}

/// The same as they are in an entry.
#[inline(always)]
fn lists() -> u32 {
    number(deny_lists_that_hold())
}

/// What the filter in front of the deny list says.
#[inline(always)]
fn may_be_denied(source: Address) -> bool {
    let (bit, _) = deny_filter_bits(source, u32::MAX);
    DENY_FILTER.get(bit / 64).is_none_or(|word| word >> (bit % 64) & 1 == 1)
}

#[inline(always)]
fn is_denied<const N: usize>(denied: &'static Denied<N>, slot: u32, octets: [u8; N]) -> bool {
    let mut length = bits::<N>();
    for _ in 0..NESTED_DENIES {
        let Some(entry) = denied.get(&Key::new(length, octets)) else { return false };
        if entry.holds(slot, state::now, lists) {
            return true;
        }
        // The entry that does not hold hides the shorter prefixes that cover it.
        if entry.prefix_length == 0 || entry.prefix_length > length {
            return false;
        }
        length = entry.prefix_length - 1;
    }
    false
}

/// The octets of an IPv6 address.
#[inline(always)]
const fn octets([high, low]: [u64; 2]) -> [u8; 16] {
    ((high as u128) << 64 | low as u128).to_be_bytes()
}

/// The key of a single address.
#[inline(always)]
fn host_key<const N: usize>(octets: [u8; N]) -> Key<[u8; N]> {
    Key::new(bits::<N>(), octets)
}

/// The prefix length of a single address of so many octets.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "an address has 4 or 16 octets")]
const fn bits<const N: usize>() -> u32 {
    N as u32 * 8
}
