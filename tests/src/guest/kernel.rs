//! A kernel for guests, unpacked by `cargo xtask setup`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use super::target;

/// A kernel image and its modules.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Its release, as `uname -r` says it.
    pub release: String,
    /// The image.
    pub image: PathBuf,
    modules: PathBuf,
}

impl Kernel {
    /// The kernel of this version (`6.1`) under `old-kernel` in the directory of build results.
    ///
    /// # Errors
    /// If it is not there.
    pub fn find(version: &str) -> Result<Self> {
        let directory = target()?.join("old-kernel");
        let prefix = format!("vmlinuz-{version}.");
        for entry in fs::read_dir(directory.join("boot")).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(release) = name.starts_with(&prefix).then(|| name.replacen("vmlinuz-", "", 1)) {
                let modules = directory.join("lib/modules").join(&release);
                return Ok(Self { release, image: entry.path(), modules });
            }
        }
        bail!("there is no Linux {version} in `{}`\nhint: `cargo xtask setup`", directory.display())
    }

    /// The files of a module and of those that it needs, in the order in which they can be loaded.
    ///
    /// # Errors
    /// If one of them is not there.
    pub fn module(&self, name: &str) -> Result<Vec<PathBuf>> {
        let path = find(&self.modules.join("kernel"), &format!("{}.ko", name.replace('_', "-")))
            .or_else(|| find(&self.modules.join("kernel"), &format!("{}.ko", name.replace('-', "_"))))
            .with_context(|| format!("Linux {} has no module `{name}`", self.release))?;
        let mut files = Vec::new();
        for needed in dependencies(&fs::read(&path)?) {
            files.extend(self.module(&needed)?);
        }
        files.push(path);
        Ok(files)
    }
}

fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(directory).ok()?.flatten().find_map(|entry| match entry.path() {
        path if path.is_dir() => find(&path, name),
        path if path.file_name().is_some_and(|file| file == name) => Some(path),
        _ => None,
    })
}

/// What a module says of the modules that it needs: `depends=a,b` in its section `.modinfo`.
fn dependencies(module: &[u8]) -> Vec<String> {
    let fields = module.split(|octet| *octet == 0).filter_map(|field| field.strip_prefix(b"depends="));
    let names = fields.flat_map(|names| names.split(|octet| *octet == b','));
    names.filter(|name| !name.is_empty()).map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_says_what_it_needs() {
        assert_eq!(dependencies(b"\x7fELF\0license=GPL\0depends=libcrc32c,ptp\0name=x\0"), ["libcrc32c", "ptp"]);
        assert_eq!(dependencies(b"\0depends=\0name=veth\0"), [""; 0]);
    }
}
