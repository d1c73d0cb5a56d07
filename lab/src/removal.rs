//! Removes labs: at their end, after a killed run, or on request.

use std::{collections::BTreeSet, fs, io, path::Path, process::Command};

use anyhow::{Context as _, Result};
use rustix::{
    io::Errno,
    mount::{UnmountFlags, unmount},
    process::{Pid, Signal, kill_process},
};

use crate::{
    command::run,
    identity::{Identity, LABS, NAMESPACES},
};

/// Removes the labs that were kept and what killed runs left behind, and returns which.
///
/// # Errors
/// If one cannot be removed.
pub fn remove_leftovers() -> Result<Vec<Identity>> {
    remove_where(|lab| lab.is_kept() || lab.is_stale())
}

/// Removes what killed runs left behind.
pub(crate) fn remove_stale() -> Result<Vec<Identity>> {
    remove_where(Identity::is_stale)
}

/// Removes a lab: its processes, its namespaces, and with them all that is attached and pinned there.
///
/// # Errors
/// If a part of it cannot be removed.
pub fn remove(lab: Identity) -> Result<()> {
    for namespace in namespaces()?.iter().filter(|name| Identity::of_namespace(name) == Some(lab)) {
        let removal = remove_namespace(namespace);
        // Two runs may clean up after a third at once.
        if Path::new(NAMESPACES).join(namespace).exists() {
            removal?;
        }
    }
    remove_directory(&lab.directory())
}

fn remove_namespace(namespace: &str) -> Result<()> {
    kill_all(namespace)?;
    run(Command::new("ip").args(["netns", "delete", namespace]), "")?;
    Ok(())
}

fn remove_where(condition: fn(Identity) -> bool) -> Result<Vec<Identity>> {
    let labs: BTreeSet<_> = all()?.into_iter().filter(|lab| condition(*lab)).collect();
    for lab in &labs {
        remove(*lab).with_context(|| format!("the lab {lab} cannot be removed"))?;
    }
    Ok(labs.into_iter().collect())
}

/// Every lab of which there is a trace.
fn all() -> Result<Vec<Identity>> {
    let of_namespaces = namespaces()?.into_iter().filter_map(|name| Identity::of_namespace(&name));
    let of_directories = names(Path::new(LABS))?.into_iter().filter_map(|name| name.parse().ok());
    Ok(of_namespaces.chain(of_directories).collect())
}

fn namespaces() -> Result<Vec<String>> {
    names(Path::new(NAMESPACES))
}

/// The names in a directory; none if it does not exist.
fn names(directory: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot read `{}`", directory.display()))?,
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Kills what runs in the namespace: the lab started it, for nothing else can enter.
fn kill_all(namespace: &str) -> Result<()> {
    let processes = run(Command::new("ip").args(["netns", "pids", namespace]), "")?;
    for process in processes.lines().filter_map(|line| Pid::from_raw(line.trim().parse().ok()?)) {
        match kill_process(process, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(error).with_context(|| format!("cannot kill process {process:?}")),
        }
    }
    Ok(())
}

/// Unmounts the mount namespaces that the directory holds and the directory itself, and removes it.
fn remove_directory(directory: &Path) -> Result<()> {
    let files = names(directory)?.into_iter().map(|name| directory.join(name));
    for mounted in files.chain([directory.to_owned()]) {
        match unmount(&mounted, UnmountFlags::DETACH) {
            // Not everything there is a mount: the mark of a kept lab is a plain file.
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(error) => return Err(error).with_context(|| format!("cannot unmount `{}`", mounted.display())),
        }
    }
    match fs::remove_dir_all(directory) {
        Err(error) if directory.exists() => {
            Err(error).with_context(|| format!("cannot remove `{}`", directory.display()))
        }
        _ => Ok(()),
    }
}
