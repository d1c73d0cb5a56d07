//! Whoever may not do what he asks for is told that, and not what comes of it.

use std::{io, path::Path};

use anyhow::{Error, Result, anyhow};
use rustix::{
    fs::{Access, access},
    io::Errno,
    process::geteuid,
};

/// Refuses users who may not change what is at a path of bpffs; what is not there nobody is refused for.
pub(super) fn check(path: &Path) -> Result<()> {
    match access(path, Access::READ_OK | Access::WRITE_OK) {
        Err(error @ (Errno::ACCESS | Errno::PERM)) => Err(refusal(path, &error.into())),
        _ => Ok(()),
    }
}

/// What is said in the place of an error about a path of bpffs, where it comes of what the kernel did not permit.
pub(super) fn denial(error: &Error, path: &Path) -> Option<Error> {
    let denied = error.chain().find_map(|cause| {
        let cause = cause.downcast_ref::<io::Error>()?;
        (cause.kind() == io::ErrorKind::PermissionDenied).then(|| cause.raw_os_error())
    });
    denied.flatten().map(|code| refusal(path, &io::Error::from_raw_os_error(code)))
}

fn refusal(path: &Path, error: &io::Error) -> Error {
    let hint = if geteuid().is_root() {
        "it takes the capabilities `CAP_BPF`, `CAP_NET_ADMIN` and `CAP_PERFMON`, and `CAP_SYS_ADMIN` to mount bpffs"
    } else {
        "run it as root"
    };
    anyhow!("`{}` cannot be used: {error}\nhint: {hint}", path.display())
}
