//! Where filters are pinned.

use filter_common::ABI_VERSION;

/// Where another version pins its filters.
pub const OTHER_PINS: &str = "/sys/fs/bpf/sipwall/v1";

/// Where this version pins its filters.
pub fn pins() -> String {
    format!("/sys/fs/bpf/sipwall/v{ABI_VERSION}")
}
