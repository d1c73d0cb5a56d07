//! bpffs: where the state lives, `/sys/fs/bpf/sipwall/v<ABI>/<interface>/`.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use aya::{
    pin::PinError,
    programs::{
        ProgramInfo,
        links::{FdLink, PinnedLink},
    },
};
use filter_common::ABI_VERSION;
use procfs::{ProcResult, process::Process};
use rustix::{fs::statfs, mount};
use serde::Serialize;

use super::permission;
use crate::fault;

/// Where bpffs is mounted.
pub const BPFFS: &str = "/sys/fs/bpf";

/// The magic number of bpffs (`BPF_FS_MAGIC` in the kernel's `include/uapi/linux/magic.h`).
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;

/// What follows the interface in the name of pins that are being made. No interface can have a name with a slash, a colon is
/// refused by `ip`, and this is neither.
const STAGING: &str = ":new";

/// What follows a pin's name in that of one which is to take its place.
const BESIDE: &str = ":new";

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

    /// The pins of a filter that is attached to `interface`, be it that a command died before it gave them their name.
    pub(super) fn attached(interface: &str) -> Result<Self> {
        let pins = Self::of(interface);
        permission::check(&pins.link())?;
        let staging = Self::staging(interface);
        if !pins.is_attached() && staging.is_whole() {
            return Ok(staging);
        }
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
        Self { directory: root().join(format!("{interface}{STAGING}")) }
    }

    /// The pins of filters of other ABIs that are attached to `interface`.
    pub(super) fn of_other_versions(interface: &str) -> Result<Vec<Self>> {
        let pins = other_roots()?.into_iter().map(|directory| Self { directory: directory.join(interface) });
        Ok(pins.filter(Self::is_attached).collect())
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn link(&self) -> PathBuf {
        self.directory.join("link")
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

    /// Whether it has all its pins, and its program is the one on its link.
    pub(super) fn is_whole(&self) -> bool {
        let pinned = ProgramInfo::from_pin(self.program()).map(|program| program.id());
        self.is_attached() && pinned.is_ok_and(|pinned| self.program_id().is_ok_and(|linked| linked == pinned))
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

    /// Lets links that were pinned beside others take their places: whoever attached them to an interface that was made anew, and
    /// died, has left them as the only ones there.
    pub(super) fn finish_links(&self) -> Result<()> {
        for link in [self.egress_link(), self.link()] {
            if beside(&link).exists() {
                fault::step();
                take_place(&link)?;
            }
        }
        Ok(())
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

/// Pins something where something else is pinned.
pub(super) fn pin_over(path: &Path, pin: impl FnOnce(&Path) -> Result<(), PinError>) -> Result<()> {
    pin_beside(path, pin)?;
    fault::step();
    take_place(path)
}

/// Pins something that is to take the place of what is pinned at a path.
pub(super) fn pin_beside(path: &Path, pin: impl FnOnce(&Path) -> Result<(), PinError>) -> Result<()> {
    let new = beside(path);
    unless_missing(fs::remove_file(&new)).with_context(|| format!("cannot remove `{}`", new.display()))?;
    fault::step();
    pin(&new).with_context(|| format!("cannot pin `{}`", new.display()))
}

/// Lets what is pinned beside a path take the place of what is pinned there.
pub(super) fn take_place(path: &Path) -> Result<()> {
    fs::rename(beside(path), path).with_context(|| format!("cannot make `{}`", path.display()))
}

/// Where something is pinned before it takes the place of what is at a path.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut new = path.as_os_str().to_owned();
    new.push(BESIDE);
    new.into()
}

/// Where each map of a directory is pinned, by its name.
///
/// A swap that was decided and cut short leaves some maps beside those whose places they are to take. All that belong together
/// are the new ones.
pub(super) fn of_maps(directory: &Path) -> impl Fn(&str) -> PathBuf {
    // Nearly always there is nothing, which one look into the directory tells of all maps. Where that fails no map can be
    // opened either, and says why.
    let has_new = with_beside(directory).is_ok_and(|paths| !paths.is_empty());
    let is_cut_short = has_new && !(Pins { directory: directory.to_owned() }).is_whole();
    move |name| {
        let path = directory.join(name);
        let new = beside(&path);
        if is_cut_short && new.exists() { new } else { path }
    }
}

/// The paths in a directory beside which something is pinned.
pub(super) fn with_beside(directory: &Path) -> Result<Vec<PathBuf>> {
    let names = entries(directory)?;
    Ok(names.iter().filter_map(|path| Some(directory.join(name(path)?.strip_suffix(BESIDE)?))).collect())
}

/// Where it is noted what had been counted when policies were published.
pub(super) fn baseline(directory: &Path) -> PathBuf {
    directory.join("baseline")
}

/// Where it is noted what a holder of the deny list holds: one of the bits of its entries. Not there where it holds nothing.
pub(super) fn held_by(directory: &Path, holder: u32) -> PathBuf {
    directory.join(format!("held_{}", holder.trailing_zeros()))
}

/// Where the notes of what is denied are summed up; not there while they hold nothing.
pub(super) fn deny_summary(directory: &Path) -> PathBuf {
    directory.join("held")
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

/// The directories of other ABIs' pins.
fn other_roots() -> Result<Vec<PathBuf>> {
    Ok(entries(&home())?.into_iter().filter(|path| *path != root() && path.is_dir()).collect())
}

/// What is in a directory; nothing where it is not there.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => {
            let entries = entries.with_context(|| format!("cannot read `{}`", directory.display()))?;
            Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        }
    }
}

/// The last part of a path.
fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

/// The interfaces that a filter is attached to, by name.
///
/// # Errors
/// If bpffs cannot be read.
pub fn attached_interfaces() -> Result<Vec<String>> {
    permission::check(&root())?;
    let mut names: Vec<String> = entries(&root())?
        .iter()
        .filter_map(|path| match name(path)?.strip_suffix(STAGING) {
            Some(interface) => Pins::staging(interface).is_whole().then(|| interface.to_owned()),
            None => name(path).filter(|interface| Pins::of(interface).is_attached()).map(str::to_owned),
        })
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// A filter whose pins another version of sipwall made, and which this one cannot read.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct OtherVersion {
    /// The interface.
    pub interface: String,
    /// What tells the version: the directory that its pins are in.
    pub pins: PathBuf,
}

/// The filters of other versions, by interface; but for those in whose place one of this version came.
///
/// # Errors
/// If bpffs cannot be read.
pub fn other_versions() -> Result<Vec<OtherVersion>> {
    let ours = attached_interfaces()?;
    let mut others = Vec::new();
    for directory in other_roots()? {
        for pins in entries(&directory)? {
            let Some(interface) = name(&pins).map(str::to_owned).filter(|interface| !ours.contains(interface)) else {
                continue;
            };
            if (Pins { directory: pins.clone() }).is_attached() {
                others.push(OtherVersion { interface, pins });
            }
        }
    }
    others.sort();
    Ok(others)
}

/// Mounts bpffs if it is not mounted.
///
/// # Errors
/// If it cannot be mounted.
pub fn ensure_bpffs() -> Result<()> {
    if is_bpffs()? {
        return permission::check(Path::new(BPFFS));
    }
    ensure!(
        !is_private_namespace(),
        "bpffs is not mounted on `{BPFFS}`, and this is not the mount namespace of the machine: what is mounted here ends \
         with the command, and the filter with it\nhint: `nsenter --net=/run/netns/NAME sipwall …` runs a command in a \
         network namespace and stays where bpffs is; `mount -t bpf bpf {BPFFS}` mounts one that lasts as long as this \
         namespace does"
    );
    mount::mount("bpf", BPFFS, "bpf", mount::MountFlags::empty(), Some(c"mode=0700"))
        .with_context(|| format!("cannot mount bpffs on `{BPFFS}` (this needs root)"))?;
    ensure!(is_bpffs()?, "`{BPFFS}` is not a bpffs after mounting one there");
    Ok(())
}

/// Whether the first process has another mount namespace, as with `ip netns exec`, which makes one for each command. In a
/// container the first process is the container's own.
fn is_private_namespace() -> bool {
    // A mount is in one namespace alone, and its number is nobody else's. The names of namespaces need more rights to be read.
    let mounts = |process: ProcResult<Process>| -> ProcResult<HashSet<i32>> {
        Ok(process?.mountinfo()?.into_iter().map(|mount| mount.mnt_id).collect())
    };
    match (mounts(Process::myself()), mounts(Process::new(1))) {
        (Ok(own), Ok(first)) => own.is_disjoint(&first),
        _ => false,
    }
}

fn is_bpffs() -> Result<bool> {
    let status = statfs(BPFFS).with_context(|| format!("cannot read `{BPFFS}`\nhint: the kernel must have BPF"))?;
    Ok(u64::try_from(status.f_type).is_ok_and(|magic| magic == BPF_FS_MAGIC))
}
