use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use tempfile::TempDir;

use super::*;

fn bare(root: &TempDir) -> Places {
    Places {
        directories: vec![root.path().join("bin")],
        debian_rustc: root.path().join("usr/bin/rustc"),
        cargo: root.path().join("cargo/bin/cargo"),
    }
}

fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A compiler with its sources that says which LLVM it has.
fn compiler(root: &TempDir, llvm: &str) {
    let sysroot = root.path().join("usr");
    let answers = format!(
        "case $1 in --version) echo rustc 1.96.0;; -vV) echo 'LLVM version: {llvm}';; *) echo {};; esac",
        sysroot.display()
    );
    script(&sysroot.join("bin/rustc"), &answers);
    script(&sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs"), "");
}

fn missing(places: &Places, purpose: Purpose) -> Vec<Source> {
    let needed = requirements(places).into_iter();
    let needed = needed.filter(|requirement| requirement.purposes.contains(&purpose) && !requirement.present);
    needed.map(|requirement| requirement.source).collect()
}

#[test]
fn a_bare_machine_needs_the_debian_set_and_the_linker_to_build() {
    let root = tempfile::tempdir().unwrap();
    let missing = missing(&bare(&root), Purpose::Build);
    assert_eq!(missing[0], debian(&["rustc-web", "rust-web-src"]));
    // LLVM itself may be on the machine that runs this test.
    assert!(matches!(missing.last(), Some(Source::Cargo { arguments, .. }) if arguments[0] == "bpf-linker"));
}

#[test]
fn a_machine_with_compiler_and_linker_needs_nothing_to_build() {
    let root = tempfile::tempdir().unwrap();
    compiler(&root, "22.1.8");
    script(&root.path().join("bin/bpf-linker"), "");
    assert_eq!(missing(&bare(&root), Purpose::Build), []);
}

#[test]
fn the_linker_is_built_on_the_llvm_of_the_compiler() {
    let root = tempfile::tempdir().unwrap();
    compiler(&root, "21.0.1");
    let Some(Source::Cargo { arguments, llvm }) = missing(&bare(&root), Purpose::Build).pop() else {
        panic!("the linker is not asked for");
    };
    assert_eq!(arguments.last().unwrap(), "llvm-21");
    assert_eq!(llvm, Path::new("/usr/lib/llvm-21"));
}

#[test]
fn only_tests_need_both_lints_and_tools() {
    let root = tempfile::tempdir().unwrap();
    let (lint, demo) = (Source::Rustup(vec!["rustfmt", "clippy"]), debian(&["sip-tester"]));
    for (purpose, lints, tools) in [
        (Purpose::Build, false, false),
        (Purpose::Lint, true, false),
        (Purpose::Demo, false, true),
        (Purpose::Test, true, true),
    ] {
        let missing = missing(&bare(&root), purpose);
        assert_eq!((missing.contains(&lint), missing.contains(&demo)), (lints, tools), "{purpose:?}");
    }
}
