//! What the kernel remembers between packets.

use aya_ebpf::{
    bindings::BPF_ANY,
    btf_maps::{Array, LruHashMap, PerCpuArray},
    helpers::{bpf_ktime_get_ns, generated::bpf_get_prandom_u32},
    macros::btf_map,
};
use filter_common::{
    Address, BUCKET_SETS, Bucket, BucketSet, Datagram, FLOWS as FLOW_ENTRIES, FRAGMENT_LIFETIME,
    FRAGMENTS as FRAGMENT_ENTRIES, FirstFragment, Flow, Limit, NEW_ENTRIES, Outgoing, State, entry, index,
    tables::Rate,
};

use crate::maps::MAPPABLE;

/// First fragments that passed.
#[btf_map]
static FRAGMENTS: LruHashMap<Datagram, SeenFragment, { FRAGMENT_ENTRIES as usize }> = LruHashMap::new();

/// Flows that this host opened, with the time when it last sent something, by the monotonic clock in nanoseconds.
#[btf_map]
static FLOWS: LruHashMap<Flow, u64, { FLOW_ENTRIES as usize }> = LruHashMap::new();

/// An octet for each port, of UDP and TCP alike, which is 1 where this host sent something of a flow from: most packets are
/// told from answers without a look into [`FLOWS`]. No bits: several CPUs write here, each without regard to the others.
#[btf_map]
static FLOW_PORTS: Array<[u8; PORTS], 1> = Array::new();

/// How many ports a protocol has.
const PORTS: usize = 1 << 16;

/// Sources whose rate is limited, with the time when their next packet is due.
#[btf_map]
static BUCKETS: Array<BucketSet, { BUCKET_SETS as usize }, MAPPABLE> = Array::new();

/// What the places of sources among them are made by; 0 before the first one.
#[btf_map]
static BUCKET_SEED: Array<u64, 1> = Array::new();

/// The time when the next entry is due on this CPU: of `FLOWS`, of `BUCKETS`.
#[btf_map]
static NEW_ENTRIES_DUE: PerCpuArray<u64, 2> = PerCpuArray::new();

const FLOW_GUARD: u32 = 0;
const BUCKET_GUARD: u32 = 1;

/// How stale the time of a flow may get before it is written again: writing it costs other CPUs their cache line.
const REFRESH: u64 = 1_000_000_000;

/// A first fragment, with the time when it passed.
#[derive(Clone, Copy)]
#[repr(C)]
struct SeenFragment {
    at: u64,
    first: FirstFragment,
    reserved: u32,
}

/// The maps above.
pub(crate) struct KernelState;

impl State for KernelState {
    #[inline(always)]
    fn first_fragment(&self, datagram: &Datagram) -> Option<FirstFragment> {
        // SAFETY: the entry may be given to another datagram meanwhile; its octets are a fragment's in any case.
        let seen = unsafe { FRAGMENTS.get(datagram) }?;
        (now().wrapping_sub(seen.at) < FRAGMENT_LIFETIME).then_some(seen.first)
    }

    #[inline(always)]
    fn remember_fragment(&self, datagram: &Datagram, first: FirstFragment) {
        let seen = SeenFragment { at: now(), first, reserved: 0 };
        // Where it cannot be remembered the later fragments are dropped, as ever when the first is lost.
        let _ = FRAGMENTS.insert(datagram, seen, BPF_ANY.into());
    }

    #[inline(always)]
    fn is_answer(&self, flow: &Flow) -> bool {
        if !may_be_answer(flow) {
            return false;
        }
        let ([high, low], [remote_high, remote_low]) = (flow.local, flow.remote);
        answers_flow(high, low, remote_high, remote_low, flow.ends()) != 0
    }

    #[inline(always)]
    fn keeps_to(&self, limit: Limit, source: Address, rate: &Rate) -> bool {
        let Bucket { source: [high, low], limit } = Bucket::new(limit, source);
        fills_bucket(high, low, limit, rate.interval, rate.tolerance) != 0
    }
}

/// What [`FLOW_PORTS`] says. An echo has an identifier in place of a port, and counts as one.
#[inline(always)]
fn may_be_answer(flow: &Flow) -> bool {
    FLOW_PORTS.get(0).is_none_or(|ports| *entry(ports, flow.local_port) != 0)
}

/// Lets [`FLOW_PORTS`] say that there is a flow from this port.
#[inline(always)]
fn mark_port(flow: &Flow) {
    if let Some(ports) = FLOW_PORTS.get_ptr_mut(0) {
        // SAFETY: an octet that any CPU may write, and all the same.
        let octet = unsafe { &mut (&mut *ports)[index::<PORTS>(flow.local_port)] };
        if *octet == 0 {
            *octet = 1;
        }
    }
}

/// Whether this host sent something of a flow within the flow's lifetime: 1 if it did. A global function, so that the key
/// that it makes takes up none of the stack of the packets that ask no such thing.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn answers_flow(high: u64, low: u64, remote_high: u64, remote_low: u64, ends: u64) -> u64 {
    let flow = Flow::new([high, low], [remote_high, remote_low], ends);
    // SAFETY: the entry may be given to another flow meanwhile; its octets are a time in any case.
    unsafe { FLOWS.get(flow) }.is_some_and(|sent| now().saturating_sub(*sent) < flow.lifetime()).into()
}

/// Whether a packet keeps to the rate of its bucket, where it is counted: 1 if it does. A global function for the same
/// reason.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fills_bucket(high: u64, low: u64, limit: u64, interval: u64, tolerance: u64) -> u64 {
    let (bucket, rate, now) = (Bucket { source: [high, low], limit }, Rate { interval, tolerance }, now());
    bucket_seed().is_some_and(|seed| fills(bucket.tag(seed), &rate, now)).into()
}

/// Whether a packet keeps to the rate of the bucket with this tag.
#[inline(always)]
fn fills(tag: u64, rate: &Rate, now: u64) -> bool {
    let Some(set) = BUCKETS.get_ptr_mut(BucketSet::place(tag)) else { return false };
    // SAFETY: a map's value, of which every bit pattern is one. Where two CPUs write at once, one packet is not counted, or one
    // source begins with what another one has left.
    let set = unsafe { &mut *set };
    if let Some(known) = set.due(tag) {
        return keeps_to(known, rate, now);
    }
    // What cannot be counted is over the limit, or a flood of sources would not be limited at all.
    let mut due = 0;
    let counted = keeps_to(&raw mut due, rate, now) && may_add(BUCKET_GUARD, now);
    if counted {
        set.remember(tag, due);
    }
    counted
}

/// What tags are made by, chosen when it is asked for first. Where two CPUs ask at once, a source may be unknown once more.
#[inline(always)]
fn bucket_seed() -> Option<u64> {
    let seed = BUCKET_SEED.get_ptr_mut(0)?;
    // SAFETY: a map's value. The helper has no preconditions.
    unsafe {
        if *seed == 0 {
            *seed = u64::from(bpf_get_prandom_u32()) << 32 | u64::from(bpf_get_prandom_u32() | 1);
        }
        Some(*seed)
    }
}

/// Remembers that this host sent something.
#[inline(always)]
pub(crate) fn note(outgoing: &Outgoing) {
    let Outgoing { flow, opens } = outgoing;
    let now = now();
    if let Some(sent) = FLOWS.get_ptr_mut(flow) {
        mark_port(flow);
        // SAFETY: the entry may be given to another flow meanwhile, which then lives a little longer.
        unsafe {
            if now.saturating_sub(*sent) > REFRESH {
                *sent = now;
            }
        }
        return;
    }
    if *opens && may_add(FLOW_GUARD, now) {
        mark_port(flow);
        // Where it cannot be remembered its answers are dropped, and the sender tries again.
        let _ = FLOWS.insert(flow, now, BPF_ANY.into());
    }
}

/// Whether this CPU may add an entry now.
#[inline(always)]
fn may_add(guard: u32, now: u64) -> bool {
    NEW_ENTRIES_DUE.get_ptr_mut(guard).is_some_and(|due| keeps_to(due, &NEW_ENTRIES, now))
}

/// Whether a packet keeps to a rate, from the time when it was due; sets the time when the next one is.
#[inline(always)]
fn keeps_to(due: *mut u64, rate: &Rate, now: u64) -> bool {
    // SAFETY: a map's value or a local: where CPUs share it two may write at once, and one packet is not counted.
    let due = unsafe { &mut *due };
    rate.next(*due, now).map(|next| *due = next).is_some()
}

/// The monotonic clock, in nanoseconds.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_ns() }
}
