//! bpffs: where the state lives, `/sys/fs/bpf/sipwall/v<ABI>/<interface>/`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use aya::programs::links::{FdLink, PinnedLink};
use filter_common::ABI_VERSION;
use rustix::{fs::statfs, mount};

use super::fault;

/// Where bpffs is mounted.
pub const BPFFS: &str = "/sys/fs/bpf";

/// The magic number of bpffs (`BPF_FS_MAGIC` in the kernel's `include/uapi/linux/magic.h`).
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;

/// The pins of one interface.
#[derive(Clone, Debug)]
pub(super) struct Pins {
    directory: PathBuf,
}

impl Pins {
    /// The pins of `interface`, which need not exist.
    pub(super) fn of(interface: &str) -> Self {
        Self { directory: root().join(interface) }
    }

    /// The pins of a filter that is attached to `interface`.
    pub(super) fn attached(interface: &str) -> Result<Self> {
        let pins = Self::of(interface);
        if !pins.is_attached()
            && let Some(other) = Self::of_other_versions(interface)?.first()
        {
            bail!(
                "the filter on `{interface}` is of another version of sipwall: its pins are in `{}`\nhint: `sipwall attach \
                 {interface} --policy FILE` puts this version's in its place, `sipwall detach {interface}` removes it",
                other.directory.display()
            );
        }
        ensure!(
            pins.is_attached(),
            "no filter is attached to `{interface}`\nhint: `sipwall status` lists the interfaces that have one, \
             `sipwall attach {interface} --policy FILE` attaches one"
        );
        Ok(pins)
    }

    /// Where the pins of `interface` are made before they stand under its name, all at once.
    pub(super) fn staging(interface: &str) -> Self {
        // No interface can have a name with a slash, a colon is refused by `ip`, and this is neither.
        Self { directory: root().join(format!("{interface}:new")) }
    }

    /// The pins of filters of other ABIs that are attached to `interface`.
    pub(super) fn of_other_versions(interface: &str) -> Result<Vec<Self>> {
        let entries = match fs::read_dir(home()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| format!("cannot read `{}`", home().display()))?,
        };
        let directories = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| *path != root());
        let pins = directories.map(|directory| Self { directory: directory.join(interface) });
        Ok(pins.filter(Self::is_attached).collect())
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn link(&self) -> PathBuf {
        self.directory.join("link")
    }

    /// Where a link stands before it takes the place of the one that is there.
    pub(super) fn next_link(&self) -> PathBuf {
        self.directory.join("link:next")
    }

    pub(super) fn program(&self) -> PathBuf {
        self.directory.join("program")
    }

    /// The link of the program on what the host sends; not there where no policy needs it.
    pub(super) fn egress_link(&self) -> PathBuf {
        self.directory.join("egress_link")
    }

    pub(super) fn egress_program(&self) -> PathBuf {
        self.directory.join("egress_program")
    }

    /// The note which build of the program this is.
    pub(super) fn build(&self) -> PathBuf {
        self.directory.join("build")
    }

    /// Opens a pinned link.
    pub(super) fn open(link: &Path) -> Result<FdLink> {
        let link = PinnedLink::from_pin(link).with_context(|| format!("`{}` is not a link of BPF", link.display()))?;
        Ok(link.into())
    }

    /// The kernel's number of the program on the link.
    pub(super) fn program_id(&self) -> Result<u32> {
        let link = self.link();
        let info = Self::open(&link)?.info();
        Ok(info.with_context(|| format!("`{}` is not a link of BPF", link.display()))?.program_id())
    }

    /// Whether a filter stands under this name: one whose link was pinned.
    pub(super) fn is_attached(&self) -> bool {
        self.link().exists()
    }

    /// Makes the directory, empty.
    pub(super) fn create(&self) -> Result<()> {
        self.remove()?;
        fault::step();
        fs::create_dir_all(&self.directory)
            .with_context(|| format!("cannot make the directory `{}`", self.directory.display()))
    }

    /// Moves the pins to another name.
    pub(super) fn rename(&self, to: &Self) -> Result<()> {
        fault::step();
        fs::rename(&self.directory, &to.directory).with_context(|| format!("cannot make `{}`", to.directory.display()))
    }

    /// Removes the link first, which ends the filtering, then all the rest; nothing if there is nothing.
    pub(super) fn remove(&self) -> Result<()> {
        fault::step();
        unless_missing(fs::remove_file(self.link()))
            .with_context(|| format!("cannot remove `{}`", self.link().display()))?;
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.with_context(|| format!("cannot read `{}`", self.directory.display()))?,
        };
        for file in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            fault::step();
            unless_missing(fs::remove_file(&file)).with_context(|| format!("cannot remove `{}`", file.display()))?;
        }
        fault::step();
        unless_missing(fs::remove_dir(&self.directory))
            .with_context(|| format!("cannot remove `{}`", self.directory.display()))
    }
}

/// Where the trie of a slot's sources is pinned, by the octets of its addresses.
///
/// The kernel lets nobody but `CAP_SYS_ADMIN` open a map by its number, which is all that the map of tries tells.
pub(super) fn source_trie(directory: &Path, octets: usize, slot: u32) -> PathBuf {
    let family = if octets == 4 { "v4" } else { "v6" };
    directory.join(format!("sources_{family}_{slot}"))
}

pub(super) fn unless_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The directory of all pins, whatever their ABI.
pub(super) fn home() -> PathBuf {
    Path::new(BPFFS).join("sipwall")
}

/// The directory of this ABI's pins.
fn root() -> PathBuf {
    home().join(format!("v{ABI_VERSION}"))
}

/// The interfaces that a filter is attached to, by name.
///
/// # Errors
/// If bpffs cannot be read.
pub fn attached_interfaces() -> Result<Vec<String>> {
    let entries = match fs::read_dir(root()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot read `{}`", root().display()))?,
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| Pins::of(name).is_attached())
        .collect();
    names.sort();
    Ok(names)
}

/// Mounts bpffs if it is not mounted.
///
/// # Errors
/// If it cannot be mounted.
pub fn ensure_bpffs() -> Result<()> {
    if is_bpffs()? {
        return Ok(());
    }
    mount::mount("bpf", BPFFS, "bpf", mount::MountFlags::empty(), Some(c"mode=0700"))
        .with_context(|| format!("cannot mount bpffs on `{BPFFS}` (this needs root)"))?;
    ensure!(is_bpffs()?, "`{BPFFS}` is not a bpffs after mounting one there");
    Ok(())
}

fn is_bpffs() -> Result<bool> {
    let status = statfs(BPFFS).with_context(|| format!("cannot read `{BPFFS}`\nhint: the kernel must have BPF"))?;
    Ok(u64::try_from(status.f_type).is_ok_and(|magic| magic == BPF_FS_MAGIC))
}
