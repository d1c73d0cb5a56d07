//! `cargo xtask mutants`: breaks the decision on purpose, one way at a time, and shows which tests notice.

mod table;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, Result, bail, ensure};

use self::table::{MUTANTS, Mutant};
use crate::{privilege, workspace};

/// Which mutants to make.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only those whose description contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// The tests that are to notice, with how they are called in the table.
const TESTS: [(&str, &str); 3] =
    [("packet tables", "verdicts"), ("differential", "differential"), ("sequences", "sequences")];

/// How many packets the differential test gets: fewer than usual, for one wrong comparison shows soon.
const PACKETS: &str = "300000";

/// How many sequences are compared: fewer than usual too, but as many as have enough of every reason that the test asks for.
const SEQUENCES: &str = "500";

/// Tries every mutant on a copy of the workspace and prints a table; one that lives is an error.
pub(crate) fn run(options: &Options) -> Result<()> {
    privilege::check()?;
    let copy = Copy::make()?;
    copy.build().context("the unbroken copy does not build")?;
    let wanted = |mutant: &&Mutant| options.only.as_ref().is_none_or(|text| mutant.what.contains(text.as_str()));
    println!("| mutant | {} |\n| --- | --- | --- | --- |", TESTS.map(|(name, _)| name).join(" | "));
    let mut alive = Vec::new();
    for mutant in MUTANTS.iter().filter(wanted) {
        let verdicts = copy.with(mutant, Copy::judge)?;
        println!("| {} | {} |", mutant.what, verdicts.each_ref().map(Verdict::in_words).join(" | "));
        let [_, differential, sequences] = verdicts;
        if !differential.killed && !sequences.killed {
            alive.push(mutant.what);
        }
    }
    ensure!(alive.is_empty(), "the oracle's tests let live: {}", alive.join("; "));
    Ok(())
}

/// What a test made of a mutant.
struct Verdict {
    killed: bool,
    /// The judges' own words, or the tests that failed.
    how: String,
}

impl Verdict {
    fn in_words(&self) -> String {
        if self.killed { format!("killed: {}", self.how) } else { "lives".to_owned() }
    }
}

/// A copy of the workspace, to be broken.
struct Copy {
    root: PathBuf,
    /// Not the workspace's own: cargo tells crates apart by their place in their workspace, and would take
    /// a mutant for the sound crate.
    target: PathBuf,
}

impl Copy {
    /// Copies what git knows of or would, as it stands.
    fn make() -> Result<Self> {
        let place = workspace::target().join("mutants");
        let copy = Self { root: place.join("workspace"), target: place.join("target") };
        let mut git = Command::new("git");
        git.current_dir(workspace::root()).args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
        let listed = git.output().context("`git` does not start")?;
        for name in String::from_utf8(listed.stdout)?.split_terminator('\0') {
            copy_if_other(&workspace::root().join(name), &copy.root.join(name))?;
        }
        Ok(copy)
    }

    fn cargo(&self) -> Command {
        let mut cargo = workspace::cargo();
        cargo.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target).env("SIPWALL_PACKETS", PACKETS);
        cargo.env("RUST_BACKTRACE", "0").env("SIPWALL_SEQUENCES", SEQUENCES);
        cargo
    }

    fn build(&self) -> Result<()> {
        let mut cargo = self.cargo();
        cargo.args(["test", "--quiet", "--package", "tests", "--no-run"]);
        cargo.args(TESTS.iter().flat_map(|(_, test)| ["--test", test]));
        workspace::run(&mut cargo)
    }

    /// Does something with the mutant in place.
    fn with<T>(&self, mutant: &Mutant, run: impl Fn(&Self) -> Result<T>) -> Result<T> {
        let file = self.root.join(mutant.file);
        let sound = fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
        ensure!(
            sound.matches(mutant.old).count() == 1,
            "{}: `{}` does not stand once in `{}`\nhint: bring xtask/src/mutants/table.rs up to date",
            mutant.what,
            mutant.old,
            mutant.file
        );
        fs::write(&file, sound.replacen(mutant.old, mutant.new, 1))?;
        let outcome = self.build().with_context(|| mutant.what).and_then(|()| run(self));
        fs::write(&file, sound)?;
        outcome
    }

    fn judge(&self) -> Result<[Verdict; 3]> {
        let [(_, tables), (_, differential), (_, sequences)] = TESTS;
        Ok([self.test(tables)?, self.test(differential)?, self.test(sequences)?])
    }

    fn test(&self, test: &str) -> Result<Verdict> {
        let output = self.cargo().args(["test", "--package", "tests", "--test", test]).output()?;
        verdict(&output).with_context(|| format!("`{test}` fails otherwise than by a verdict"))
    }
}

/// Only a wrong verdict kills: not that the program does not load, for one.
fn verdict(output: &Output) -> Result<Verdict> {
    if output.status.success() {
        return Ok(Verdict { killed: false, how: String::new() });
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let dissent = text.lines().find_map(|line| line.find("the oracle says").map(|place| &line[place..]));
    if let Some(dissent) = dissent {
        return Ok(Verdict { killed: true, how: dissent.to_owned() });
    }
    // `the host on ROW`, `the kernel's verdict on ROW`.
    let mut rows =
        text.lines().filter_map(|line| line.strip_prefix("assertion `left == right` failed: the ")?.split_once(" on "));
    match rows.next() {
        Some((_, row)) => Ok(Verdict { killed: true, how: format!("“{row}”") }),
        None => bail!("{text}"),
    }
}

/// Copies a file unless it is there already: a newer time would have it built again.
fn copy_if_other(from: &Path, to: &Path) -> Result<()> {
    let Ok(content) = fs::read(from) else {
        return Ok(());
    };
    if fs::read(to).is_ok_and(|known| known == content) {
        return Ok(());
    }
    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(to, content).with_context(|| format!("cannot write `{}`", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_applies_to_the_sources_as_they_are() {
        for Mutant { what, file, old, new } in MUTANTS {
            let sound = fs::read_to_string(workspace::root().join(file)).unwrap();
            assert_eq!(sound.matches(old).count(), 1, "{what}: `{old}` in `{file}`");
            assert_ne!(old, new, "{what}");
        }
    }
}
