//! The memory disk of a guest: all the files that it has.

use std::{
    fs::{self, File, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use lab::run;
use tempfile::TempDir;

use super::Kernel;

/// A memory disk under construction.
pub struct Initramfs {
    root: TempDir,
}

/// What the kernel starts: mounts what a system has, loads the modules, and runs the script with `step` defined.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox mkdir -p /sbin /proc /sys /dev /run /tmp
/bin/busybox --install -s /bin
export PATH=/usr/bin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod $module; done
step() { name=$1; shift; echo "BEGIN $name"; "$@"; echo "END $name $?"; }
# What the firmware wrote has no end of its line.
echo
. /script
poweroff -f
"#;

impl Initramfs {
    /// A disk with `busybox` and an `init` that runs `script`, in which `step NAME COMMAND…` runs a command.
    ///
    /// # Errors
    /// If a file cannot be written, or there is no `busybox`.
    pub fn new(script: &str) -> Result<Self> {
        let disk = Self { root: tempfile::tempdir()? };
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new).into_iter().find(|path| path.exists());
        let busybox = busybox.context("there is no `busybox`\nhint: `cargo xtask setup`")?;
        disk.copy(busybox, Path::new("/bin/busybox"))?;
        disk.copy_libraries(busybox)?;
        disk.write("/init", INIT)?;
        disk.write("/script", script)?;
        Ok(disk)
    }

    /// With the modules, which are loaded before the script runs.
    ///
    /// # Errors
    /// If the kernel does not have one of them.
    pub fn module(self, kernel: &Kernel, name: &str) -> Result<Self> {
        for (number, file) in kernel.module(name)?.iter().enumerate() {
            let file_name = file.file_name().unwrap_or_default().to_string_lossy();
            self.copy(file, Path::new(&format!("/modules/{number}-{file_name}")))?;
        }
        Ok(self)
    }

    /// With a program under `/usr/bin`, and the libraries that it needs where it looks for them.
    ///
    /// # Errors
    /// If one of them is not there.
    pub fn program(self, name: &str, program: &Path) -> Result<Self> {
        let inside = self.copy(program, &Path::new("/usr/bin").join(name))?;
        // Emulated memory is slow to fill, and the symbols are most of a debug build.
        run(Command::new("strip").arg(&inside), "")?;
        self.copy_libraries(program)?;
        Ok(self)
    }

    /// With a directory's files, where they are on this machine too.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn directory(self, directory: &Path) -> Result<Self> {
        for entry in fs::read_dir(directory).with_context(|| format!("cannot read `{}`", directory.display()))? {
            let path = entry?.path();
            self.copy(&path, &path)?;
        }
        Ok(self)
    }

    /// Writes the disk to a file, in the form that the kernel reads.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn pack(&self, file: &Path) -> Result<()> {
        let names = run(Command::new("find").arg(".").current_dir(self.root.path()), "")?;
        let mut cpio = Command::new("cpio");
        cpio.args(["--create", "--format=newc", "--quiet", "--owner=0:0"]).current_dir(self.root.path());
        let mut child = cpio.stdin(Stdio::piped()).stdout(File::create(file)?).spawn().context("there is no `cpio`")?;
        child.stdin.take().context("it was piped")?.write_all(names.as_bytes())?;
        let status = child.wait()?;
        ensure!(status.success(), "`cpio` failed ({status})");
        Ok(())
    }

    /// Copies the libraries of a program; one that is linked statically has none.
    fn copy_libraries(&self, program: &Path) -> Result<()> {
        let ldd = Command::new("ldd").arg(program).output().context("`ldd` does not start")?;
        for library in libraries(&String::from_utf8_lossy(&ldd.stdout)) {
            self.copy(&library, &library)?;
        }
        Ok(())
    }

    fn copy(&self, from: &Path, to: &Path) -> Result<PathBuf> {
        let inside = self.inside(to)?;
        fs::copy(from, &inside).with_context(|| format!("cannot copy `{}`", from.display()))?;
        Ok(inside)
    }

    fn write(&self, path: &str, text: &str) -> Result<()> {
        let inside = self.inside(Path::new(path))?;
        fs::write(&inside, text)?;
        Ok(fs::set_permissions(&inside, Permissions::from_mode(0o755))?)
    }

    /// Where a path of the guest is on this machine; its directory is made.
    fn inside(&self, path: &Path) -> Result<PathBuf> {
        let inside = self.root.path().join(path.strip_prefix("/")?);
        if let Some(directory) = inside.parent() {
            fs::create_dir_all(directory)?;
        }
        Ok(inside)
    }
}

/// The paths in what `ldd` prints.
fn libraries(text: &str) -> Vec<PathBuf> {
    text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_found_where_the_loader_looks_for_them() {
        let text = "\tlinux-vdso.so.1 (0x00007ffe)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let expected = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(libraries(text), expected);
    }
}
