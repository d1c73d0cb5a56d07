//! What the service may do once it has started.

use rustix::{
    io::{Errno, Result},
    thread::{
        CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set, set_capabilities,
        set_no_new_privs,
    },
};

/// What it takes to load the program, to write its maps and to attach it again: `CAP_PERFMON` because the verifier
/// lets nobody else do arithmetic with pointers into packets.
const NEEDED: CapabilitySet = CapabilitySet::BPF.union(CapabilitySet::NET_ADMIN).union(CapabilitySet::PERFMON);

/// Gives up every capability but those that are needed, for ever.
pub(super) fn keep_what_is_needed() -> Result<()> {
    set_no_new_privs(true)?;
    for capability in CapabilitySet::all().difference(NEEDED).iter() {
        match remove_capability_from_bounding_set(capability) {
            // Unknown to an older kernel; or not ours to change, and then not ours to have.
            Ok(()) | Err(Errno::INVAL | Errno::PERM) => {}
            Err(error) => return Err(error),
        }
    }
    let kept = capabilities(None)?.permitted.intersection(NEEDED);
    set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() })
}
