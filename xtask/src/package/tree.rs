//! Files that are staged before they are packed.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::workspace;

/// A directory that is filled and then packed.
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    pub(super) fn new(root: PathBuf) -> Result<Self> {
        fs::create_dir_all(&root)?;
        Ok(Self { root })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a file that everybody may read.
    pub(super) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let file = self.directory_of(path)?;
        fs::write(&file, content).with_context(|| format!("cannot write `{}`", file.display()))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
        Ok(file)
    }

    /// Copies a file of the checkout.
    pub(super) fn copy(&self, from: &str, path: &str) -> Result<()> {
        let from = workspace::root().join(from);
        let content = fs::read(&from).with_context(|| format!("cannot read `{}`", from.display()))?;
        self.write(path, content).map(drop)
    }

    /// Copies the files of a directory of the checkout, and of those below it.
    pub(super) fn copy_all(&self, from: &str, path: &str) -> Result<()> {
        for entry in fs::read_dir(workspace::root().join(from))? {
            let entry = entry?;
            let name = entry.file_name();
            let (from, path) = (format!("{from}/{}", name.display()), format!("{path}/{}", name.display()));
            if entry.file_type()?.is_dir() { self.copy_all(&from, &path)? } else { self.copy(&from, &path)? }
        }
        Ok(())
    }

    /// Copies a program or a script.
    pub(super) fn copy_program(&self, from: &Path, path: &str) -> Result<()> {
        let to = self.directory_of(path)?;
        fs::copy(from, &to).with_context(|| format!("cannot copy `{}`", from.display()))?;
        Ok(fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?)
    }

    /// The manual pages, as the binary writes them.
    pub(super) fn manual(&self, binary: &Path, directory: &str) -> Result<()> {
        let directory = self.root.join(directory);
        fs::create_dir_all(&directory)?;
        workspace::run(Command::new(binary).arg("man").arg(&directory))
    }

    /// What a shell completes, as the binary says it.
    pub(super) fn completions(&self, binary: &Path, shell: &str, path: &str) -> Result<()> {
        let output = Command::new(binary).args(["completions", shell]).output()?;
        ensure!(output.status.success(), "`sipwall completions {shell}` failed");
        self.write(path, output.stdout).map(drop)
    }

    fn directory_of(&self, path: &str) -> Result<PathBuf> {
        let file = self.root.join(path);
        if let Some(directory) = file.parent() {
            fs::create_dir_all(directory)?;
        }
        Ok(file)
    }
}
