//! Another kernel than this machine's, in a virtual machine that holds nothing but what a test puts into it.

mod emulator;
mod initramfs;
mod kernel;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use lab::Process;

pub use self::{initramfs::Initramfs, kernel::Kernel};

/// What a guest wrote to its console, from its start until it switched itself off.
#[derive(Debug)]
pub struct Console(pub String);

impl Console {
    /// What a step of the script printed and the exit code that it ended with; nothing if it did not end.
    ///
    /// Between `BEGIN NAME` and `END NAME CODE`, each on a line of its own.
    pub fn step(&self, name: &str) -> Option<(String, i32)> {
        let mut lines = self.0.lines().map(|line| line.trim_end_matches('\r'));
        lines.find(|line| *line == format!("BEGIN {name}"))?;
        let mut printed = String::new();
        for line in lines {
            if let Some(code) = line.strip_prefix(&format!("END {name} ")) {
                return Some((printed, code.parse().ok()?));
            }
            printed += line;
            printed.push('\n');
        }
        None
    }
}

/// Boots the kernel with this memory disk, in software emulation, until it switches itself off.
///
/// # Errors
/// If it does not within `limit`: then it is ended, and the error has what it wrote until then.
pub fn boot(kernel: &Kernel, disk: &Path, limit: Duration) -> Result<Console> {
    let directory = tempfile::tempdir()?;
    let console = directory.path().join("console");
    let mut qemu = emulator::emulator()?;
    // The newest processor that the emulator knows, and no more devices than a console.
    qemu.args(["-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "1024", "-nic", "none", "-nographic"]);
    qemu.arg("-no-reboot").arg("-kernel").arg(&kernel.image).arg("-initrd").arg(disk);
    // A kernel that panics restarts at once, and so ends the emulator.
    qemu.args(["-append", "console=ttyS0 quiet panic=-1"]);
    let (out, errors) = (File::create(&console)?, File::options().append(true).open(&console)?);
    let ended = Process::start(qemu.stdin(std::process::Stdio::null()).stdout(out).stderr(errors))?.wait(limit)?;
    let text = fs::read(&console).context("there is no console")?;
    let text = String::from_utf8_lossy(&text).into_owned();
    match ended {
        Some(status) if status.success() => Ok(Console(text)),
        Some(status) => bail!("the emulator failed ({status}):\n{text}"),
        None => bail!("the guest did not end within {} s:\n{text}", limit.as_secs()),
    }
}

/// The program that `cargo xtask setup` unpacked in a place of the build results, or else this machine's own of that name.
///
/// # Panics
/// If this test is not among build results.
pub fn unpacked(place: &str, name: &str) -> PathBuf {
    let unpacked = target().expect("the directory of build results").join(place).join(name);
    if unpacked.exists() { unpacked } else { name.into() }
}

/// The directory of build results, in which this test lies too.
pub(crate) fn target() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let target = test.ancestors().find(|directory| directory.join("CACHEDIR.TAG").exists());
    Ok(target.with_context(|| format!("`{}` is in no directory of build results", test.display()))?.to_owned())
}
