use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;

/// A machine whose programs are shell scripts that answer as the real ones do.
struct Machine {
    root: TempDir,
}

impl Machine {
    fn bare() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn with_file(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// A compiler of that version under `sysroot`, without library sources.
    fn with_compiler(self, sysroot: &str, version: &str) -> Self {
        let script = format!(
            "#!/bin/sh\ncase $1 in --version) echo 'rustc {version} (abc 2026-01-01)';; *) echo {};; esac\n",
            self.path(sysroot).display(),
        );
        self.with_file(&format!("{sysroot}/bin/rustc"), &script)
    }

    fn with_sources(self, sysroot: &str) -> Self {
        self.with_file(&format!("{sysroot}/{SOURCES}/library/core/src/lib.rs"), "")
    }

    fn with_rustup(self) -> Self {
        let nightly = self.path("nightly/bin");
        let script = format!("#!/bin/sh\ntest -d {0} && echo {0}/$4\n", nightly.display());
        self.with_file("bin/rustup", &script)
    }

    fn with_linker(self) -> Self {
        self.with_file("bin/bpf-linker", "")
    }

    fn places(&self) -> Places {
        Places {
            directories: vec![self.path("empty"), self.path("bin")],
            debian_rustc: self.path("usr/bin/rustc"),
            cargo: "cargo".into(),
        }
    }
}

fn check_found(machine: &Machine, rustc: &str, cargo: &str) {
    let toolchain = Toolchain::find(&machine.places()).unwrap();
    assert_eq!(toolchain.compiler.rustc, machine.path(rustc));
    assert!(toolchain.compiler.cargo.ends_with(cargo), "{toolchain:?}");
    assert_eq!(toolchain.bpf_linker, machine.path("bin/bpf-linker"));
}

fn check_missing(machine: &Machine, expected: &str) {
    let error = Toolchain::find(&machine.places()).unwrap_err().to_string();
    let root = machine.root.path().display().to_string();
    assert_eq!(
        error.replace(&root, ""),
        format!("no toolchain for the BPF target: {expected}; `cargo xtask setup` sets one up")
    );
}

#[test]
fn the_debian_set_is_found_where_there_is_no_rustup() {
    let machine = Machine::bare().with_compiler("usr", "1.96.0").with_sources("usr").with_linker();
    check_found(&machine, "usr/bin/rustc", "cargo");
}

#[test]
fn nightly_with_its_sources_goes_before_the_debian_set() {
    let machine = Machine::bare()
        .with_compiler("usr", "1.96.0")
        .with_sources("usr")
        .with_rustup()
        .with_compiler("nightly", "1.97.0-nightly")
        .with_sources("nightly")
        .with_linker();
    check_found(&machine, "nightly/bin/rustc", "nightly/bin/cargo");
}

#[test]
fn nightly_without_its_sources_gives_way_to_the_debian_set() {
    let machine = Machine::bare()
        .with_compiler("usr", "1.96.0")
        .with_sources("usr")
        .with_rustup()
        .with_compiler("nightly", "1.97.0-nightly")
        .with_linker();
    check_found(&machine, "usr/bin/rustc", "cargo");
}

#[test]
fn a_bare_machine_is_told_all_that_it_lacks() {
    check_missing(
        &Machine::bare(),
        "rustup has no nightly, and `/usr/bin/rustc` does not run, and `bpf-linker` is not installed",
    );
}

#[test]
fn only_the_linker_is_named_where_only_the_linker_is_missing() {
    let machine = Machine::bare().with_compiler("usr", "1.96.0").with_sources("usr");
    check_missing(&machine, "`bpf-linker` is not installed");
}

#[test]
fn a_compiler_is_refused_without_its_own_sources() {
    let nothing = "rustup has no nightly, and";
    let machine = || Machine::bare().with_linker();
    check_missing(
        &machine().with_compiler("usr", "1.96.0"),
        &format!("{nothing} `/usr/bin/rustc` has no library sources in `/usr/lib/rustlib/src/rust`"),
    );
    check_missing(
        &machine()
            .with_compiler("usr", "1.96.0")
            .with_sources("usr")
            .with_file("usr/lib/rustlib/src/rust/src/version", "1.95.0\n"),
        &format!("{nothing} `/usr/bin/rustc` is Rust 1.96.0, but its library sources are those of 1.95.0"),
    );
    check_missing(
        &machine().with_compiler("usr", "1.63.0").with_sources("usr"),
        &format!("{nothing} `/usr/bin/rustc` is Rust 1.63.0, older than 1.95"),
    );
}
