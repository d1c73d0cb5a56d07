//! What tells one lab's namespaces from another's.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    process,
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};

/// Where `ip netns` keeps its namespaces.
pub(crate) const NAMESPACES: &str = "/run/netns";

/// Where labs keep their mount namespaces, a directory each.
pub(crate) const LABS: &str = "/run/sipwall-lab";

const PREFIX: &str = "sipwall-";

/// A lab among those of this machine: the process that made it, and its number there.
///
/// Text form: `4711-0`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Identity {
    process: u32,
    number: u32,
}

impl Identity {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self { process: process::id(), number: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// The name of a host's network namespace.
    pub(crate) fn namespace(self, host: &str) -> String {
        format!("{PREFIX}{self}-{host}")
    }

    /// The lab that a network namespace of this name belongs to.
    pub(crate) fn of_namespace(name: &str) -> Option<Self> {
        let (identity, _host) = name.strip_prefix(PREFIX)?.rsplit_once('-')?;
        identity.parse().ok()
    }

    /// Where the lab's mount namespaces are kept.
    pub(crate) fn directory(self) -> PathBuf {
        Path::new(LABS).join(self.to_string())
    }

    /// Makes that directory a mount of its own, apart from all others: only in such a one can a mount
    /// namespace be kept.
    pub(crate) fn make_directory(self) -> io::Result<()> {
        let directory = self.directory();
        fs::create_dir_all(&directory)?;
        mount_bind(&directory, &directory)?;
        Ok(mount_change(&directory, MountPropagationFlags::PRIVATE)?)
    }

    pub(crate) fn mark_kept(self) -> io::Result<()> {
        fs::write(self.kept_mark(), "")
    }

    pub(crate) fn is_kept(self) -> bool {
        self.kept_mark().exists()
    }

    /// Whether the process that made the lab has ended without removing or keeping it.
    pub(crate) fn is_stale(self) -> bool {
        !self.is_kept() && !Path::new("/proc").join(self.process.to_string()).exists()
    }

    fn kept_mark(self) -> PathBuf {
        self.directory().join("kept")
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.process, self.number)
    }
}

impl FromStr for Identity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text
            .split_once('-')
            .and_then(|(process, number)| Some(Self { process: process.parse().ok()?, number: number.parse().ok()? }));
        numbers.ok_or_else(|| format!("`{text}` names no lab (`4711-0`)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_s_name_leads_back_to_its_lab() {
        let lab = Identity::new();
        assert_eq!(Identity::of_namespace(&lab.namespace("sbc")), Some(lab));
        assert_eq!(lab.to_string().parse(), Ok(lab));
    }

    #[test]
    fn other_namespaces_belong_to_no_lab() {
        for name in ["", "sipwall", "sipwall-1", "sipwall-x-0-sbc", "docker-1-0-sbc", "sipwall-1-0"] {
            assert_eq!(Identity::of_namespace(name), None, "{name}");
        }
    }

    #[test]
    fn labs_of_one_process_differ_and_are_not_stale() {
        let (one, other) = (Identity::new(), Identity::new());
        assert_ne!(one, other);
        assert!(!one.is_stale());
        assert!(Identity { process: u32::MAX, number: 0 }.is_stale());
    }
}
