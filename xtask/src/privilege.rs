//! What a process must be allowed to do for the tests and the demo.

use std::fs;

use anyhow::{Result, bail};

/// The capabilities, with their bits in the kernel's masks (`capability.h`).
const NEEDED: [(&str, u32); 4] = [("CAP_NET_ADMIN", 12), ("CAP_NET_RAW", 13), ("CAP_SYS_ADMIN", 21), ("CAP_BPF", 39)];

/// Refuses to go on without them: a test that needs them must fail, not be passed over.
pub(crate) fn check() -> Result<()> {
    let status = fs::read_to_string("/proc/self/status")?;
    let missing = missing(&status);
    if !missing.is_empty() {
        bail!(
            "network namespaces and BPF programs need root (this process lacks {})\n\
             hint: run the same command with `sudo -E`",
            missing.join(", ")
        );
    }
    Ok(())
}

/// The names of the capabilities that the text of `/proc/self/status` does not show as effective.
fn missing(status: &str) -> Vec<&'static str> {
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let lacks = |(_, bit): &&(&str, u32)| mask & (1 << bit) == 0;
    NEEDED.iter().filter(lacks).map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_lacks_nothing_and_a_user_lacks_all() {
        assert_eq!(missing("Name:\tx\nCapEff:\t000001ffffffffff\n"), [""; 0]);
        assert_eq!(missing("CapEff:\t0000000000000000\n").len(), NEEDED.len());
        assert_eq!(missing("").len(), NEEDED.len());
    }

    #[test]
    fn a_container_s_root_lacks_what_was_taken_away() {
        assert_eq!(missing("CapEff:\t00000000a80425fb\n"), ["CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_BPF"]);
    }
}
