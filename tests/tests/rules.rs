//! Rules that the sources obey.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on panics")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Lines that a source file may have: one that grows beyond has more than one subject.
const LONGEST: usize = 500;

/// What a module of `filter-user` may not name: arrows run cli → kernel → policy, and nowhere back.
const FORBIDDEN_ARROWS: [(&str, &[&str]); 10] = [
    ("allowlist", &["policy", "refresh", "lockout", "kernel", "telemetry", "listener", "service", "fleet", "cli"]),
    ("policy", &["refresh", "lockout", "kernel", "telemetry", "listener", "service", "fleet", "cli"]),
    ("refresh", &["lockout", "kernel", "telemetry", "listener", "service", "fleet", "cli"]),
    ("kernel", &["refresh", "lockout", "telemetry", "listener", "service", "fleet", "cli"]),
    ("telemetry", &["refresh", "lockout", "listener", "service", "fleet", "cli"]),
    ("listener", &["lockout", "service", "fleet", "cli"]),
    ("service", &["fleet", "cli"]),
    ("fleet", &["listener", "lockout", "cli"]),
    (
        "ports.rs",
        &["allowlist", "policy", "refresh", "lockout", "kernel", "telemetry", "listener", "service", "fleet", "cli"],
    ),
    ("lockout", &["refresh", "kernel", "telemetry", "listener", "service", "fleet", "cli"]),
];

/// Crates that must build without the BPF toolchain, since they set it up or build with it.
const WITHOUT_TOOLCHAIN: [&str; 3] = ["filter-ebpf-build", "lab", "xtask"];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Every file under a directory whose name ends so, but for what is built and hidden.
fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let kept = entries.filter(|path| !name(path).starts_with('.') && name(path) != "target");
    let below = |path: PathBuf| if path.is_dir() { files(&path, ending) } else { vec![path] };
    kept.flat_map(below).filter(|path| name(path).ends_with(ending)).collect()
}

/// The sources of a path: one file, or all below a directory.
fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() { files(path, ".rs") } else { vec![path.to_owned()] }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A source without its comments and the contents of one-line strings.
fn code(path: &Path) -> String {
    let text = text(path);
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let unquoted = lines.map(|line| line.split('"').step_by(2).collect::<Vec<_>>().join("\"\""));
    unquoted.collect::<Vec<_>>().join("\n")
}

/// The modules of its own crate that a source names: `policy` in `crate::policy::…` and `use crate::{policy::…}`.
fn named_modules(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in code.split("crate::").skip(1) {
        match path.strip_prefix('{') {
            Some(group) => names.extend(group_members(group)),
            None => names.extend([identifier(path)]),
        }
    }
    // What follows the last comma of a group.
    names.remove("");
    names
}

/// The first names of a `use` group's members: `a` and `d` in `a::{b, c}, d::e}`.
fn group_members(group: &str) -> Vec<String> {
    let (mut depth, mut members, mut start) = (0_usize, Vec::new(), 0);
    for (position, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                members.push(identifier(&group[start..position]));
                start = position + 1;
                if character == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    members
}

fn identifier(text: &str) -> String {
    text.trim_start().chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

/// Fails with the files for which the condition holds.
fn none_may(what: &str, offenders: impl IntoIterator<Item = String>) {
    let offenders: Vec<_> = offenders.into_iter().collect();
    assert!(offenders.is_empty(), "{what}:\n{}", offenders.join("\n"));
}

#[test]
fn imports_are_told_from_code() {
    let names = |code: &str| named_modules(code).into_iter().collect::<Vec<_>>();
    assert_eq!(names("use crate::policy::Policy;"), ["policy"]);
    assert_eq!(names("use crate::{\n    allowlist::{Entry, Service},\n    kernel,\n};"), ["allowlist", "kernel"]);
    assert_eq!(names("let x = crate::ports::PortRange::ALL; other();"), ["ports"]);
    assert_eq!(names("use std::fs;"), [""; 0]);
}

#[test]
fn arrows_between_modules_run_one_way() {
    let library = root().join("filter-user/src");
    none_may(
        "a module names one that stands before it",
        FORBIDDEN_ARROWS.iter().flat_map(|(module, forbidden)| {
            let sources = sources(&library.join(module));
            assert!(!sources.is_empty(), "there is no module `{module}`");
            sources.into_iter().filter_map(|source| {
                let named = named_modules(&code(&source));
                let forbidden = forbidden.iter().find(|module| named.contains(**module))?;
                Some(format!("{} names `{forbidden}`", source.display()))
            })
        }),
    );
}

#[test]
fn only_the_kernel_module_names_aya() {
    let library = root().join("filter-user/src");
    let names_aya = |source: &PathBuf| code(source).contains("aya::") || code(source).contains("use aya");
    assert!(files(&library.join("kernel"), ".rs").iter().any(names_aya), "the kernel module is elsewhere");
    let others = files(&library, ".rs").into_iter().filter(|source| !source.starts_with(library.join("kernel")));
    none_may("aya is named outside `kernel`", others.filter(names_aya).map(|source| source.display().to_string()));
}

#[test]
fn what_sets_the_toolchain_up_builds_without_it() {
    for package in WITHOUT_TOOLCHAIN {
        let manifest = text(&root().join(package).join("Cargo.toml"));
        for needing in ["filter-user", "tests"] {
            let depends = manifest.lines().any(|line| line.starts_with(&format!("{needing} =")));
            assert!(!depends, "`{package}` depends on `{needing}`, which needs the BPF toolchain");
        }
    }
}

#[test]
fn no_test_is_passed_over_and_nothing_is_left_to_do() {
    let marks = ["#[ignore", "todo!(", "unimplemented!(", "TODO", "FIXME", "XXX"];
    none_may(
        "left undone",
        files(root(), ".rs").into_iter().filter_map(|source| {
            let code = code(&source);
            let mark = marks.iter().find(|mark| code.contains(**mark))?;
            Some(format!("{}: {mark}", source.display()))
        }),
    );
}

#[test]
fn a_source_file_has_one_subject() {
    none_may(
        "longer than 500 lines",
        files(root(), ".rs").into_iter().filter_map(|source| {
            let lines = text(&source).lines().count();
            (lines > LONGEST).then(|| format!("{}: {lines}", source.display()))
        }),
    );
}

#[test]
fn nothing_speaks_of_the_machine_that_it_was_made_on() {
    // In two parts, or this file would be the first to speak of them.
    let paths = [["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"]].map(|parts| parts.concat());
    let texts = [".rs", ".md", ".toml"].iter().flat_map(|ending| files(root(), ending));
    none_may(
        "a path of some machine",
        texts.filter_map(|file| {
            let text = text(&file);
            let (number, line) =
                text.lines().enumerate().find(|(_, line)| paths.iter().any(|path| line.contains(path)))?;
            Some(format!("{}:{}: {}", file.display(), number + 1, line.trim()))
        }),
    );
}
