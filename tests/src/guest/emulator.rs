//! The emulator: this machine's own, or else the one that `cargo xtask setup` unpacked.

use std::process::Command;

use anyhow::Result;

use super::target;

/// The emulator's program.
const PROGRAM: &str = "qemu-system-x86_64";

/// A command that starts the emulator.
///
/// # Errors
/// If the directory of build results is not found.
pub(super) fn emulator() -> Result<Command> {
    let unpacked = target()?.join("emulator");
    let program = unpacked.join("usr/bin").join(PROGRAM);
    if !program.exists() {
        return Ok(Command::new(PROGRAM));
    }
    let mut command = Command::new(program);
    let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map(|path| unpacked.join(path));
    command.env("LD_LIBRARY_PATH", std::env::join_paths(libraries)?);
    for firmware in ["usr/share/qemu", "usr/share/seabios"] {
        command.arg("-L").arg(unpacked.join(firmware));
    }
    Ok(command)
}
