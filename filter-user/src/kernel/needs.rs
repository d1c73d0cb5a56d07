//! What the programs need of a kernel.

use anyhow::{Context as _, Result, bail};
use aya::util::KernelVersion;

use super::egress;
use crate::policy::CompiledPolicy;

/// Something that is not in every kernel.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// What sipwall does with it.
    pub feature: &'static str,
    /// What it is.
    pub what: &'static str,
    /// The first kernel that has it, as major and minor version.
    pub since: (u8, u8),
    /// What to do without.
    pub hint: &'static str,
}

/// What every policy needs: the newest of all that it takes. BPF links for XDP are older, and so are the other helpers and
/// the map types (see [`HELPERS`]).
pub const FILTER: Need = Need {
    feature: "the filter",
    what: "XDP programs that take jumbo frames",
    since: (5, 18),
    hint: "sipwall is tested on Linux 6.1 and newer",
};

/// What `return_traffic = "tracked"` needs besides.
pub const RETURN_TRAFFIC: Need = Need {
    feature: "`return_traffic = \"tracked\"`",
    what: "TCX links",
    since: (6, 6),
    hint: "list in `[[allow]]` the servers whose answers this host needs",
};

/// The first kernel with each helper that the programs call, by its number in `enum bpf_func_id`.
pub const HELPERS: [(i32, &str, (u8, u8)); 7] = [
    (1, "bpf_map_lookup_elem", (3, 19)),
    (2, "bpf_map_update_elem", (3, 19)),
    (5, "bpf_ktime_get_ns", (4, 1)),
    (7, "bpf_get_prandom_u32", (4, 1)),
    (118, "bpf_jiffies64", (5, 5)),
    (188, "bpf_xdp_get_buff_len", (5, 18)),
    (189, "bpf_xdp_load_bytes", (5, 18)),
];

/// The first kernel with each type of map, by its number in `enum bpf_map_type`.
pub const MAP_TYPES: [(u32, &str, (u8, u8)); 5] = [
    (1, "hash", (3, 19)),
    (2, "array", (3, 19)),
    (6, "per-CPU array", (4, 6)),
    (9, "LRU hash", (4, 10)),
    (11, "longest-prefix-match trie", (4, 11)),
];

/// Refuses a policy that this kernel cannot carry out.
pub(super) fn check(policy: &CompiledPolicy) -> Result<()> {
    let running = KernelVersion::current().context("cannot read the kernel's version")?;
    let needs = [Some(FILTER), egress::is_wanted(policy).then_some(RETURN_TRAFFIC)];
    needs.into_iter().flatten().try_for_each(|need| need.check(running))
}

impl Need {
    fn check(&self, running: KernelVersion) -> Result<()> {
        let Self { feature, what, since: (major, minor), hint } = self;
        if running < KernelVersion::new(*major, *minor, 0) {
            bail!("{feature} needs Linux {major}.{minor} or newer, for {what}\nhint: {hint}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_kernel_is_refused_with_what_it_lacks() {
        for (need, older, newer) in [(FILTER, (5, 17), (5, 18)), (RETURN_TRAFFIC, (6, 5), (6, 6))] {
            let check = |(major, minor)| need.check(KernelVersion::new(major, minor, 99));
            assert!(check(newer).is_ok());
            let error = check(older).unwrap_err().to_string();
            assert!(error.starts_with(need.feature) && error.contains(need.what), "{error}");
        }
    }
}
