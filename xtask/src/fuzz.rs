//! `cargo xtask fuzz`: raw octets and broken texts, steered by the coverage that they reach (libFuzzer, on stable Rust).

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use crate::workspace;

/// What to fuzz, and for how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// A file of `fuzz/targets`; without it all of them, one after the other.
    #[arg(long)]
    target: Option<String>,
    /// For how long, each.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Afterwards, put the fewest inputs that reach all that was reached into `fuzz/corpus`.
    #[arg(long)]
    keep: bool,
}

/// How long the test command fuzzes packets.
const BRIEFLY: u64 = 30;

/// How long the test command fuzzes each kind of text.
const BRIEFLY_EACH_TEXT: u64 = 8;

/// Fuzzes until the time is over; a crash is an error.
pub(crate) fn run(options: &Options) -> Result<()> {
    let targets = match &options.target {
        Some(target) => vec![target.clone()],
        None => targets()?,
    };
    for target in targets {
        let fuzzer = Fuzzer::build(&target)?;
        fuzzer.run(options.seconds)?;
        if options.keep {
            fuzzer.keep()?;
        }
    }
    Ok(())
}

/// Fuzzes what the test command does.
pub(crate) fn briefly() -> Result<()> {
    for target in targets()? {
        let seconds = if target == PACKETS { BRIEFLY } else { BRIEFLY_EACH_TEXT };
        Fuzzer::build(&target)?.run(seconds)?;
    }
    Ok(())
}

/// The target whose inputs are packets; the others' are texts.
const PACKETS: &str = "decide";

/// The files of `fuzz/targets`, by their names.
fn targets() -> Result<Vec<String>> {
    let directory = workspace::root().join("fuzz/targets");
    let files = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let names = files.iter().filter_map(|file| file.file_stem()?.to_str()).map(str::to_owned);
    Ok(names.collect::<BTreeSet<_>>().into_iter().collect())
}

struct Fuzzer {
    program: PathBuf,
    /// What the fuzzer is told of its inputs.
    arguments: Vec<String>,
    /// What is checked in.
    corpus: PathBuf,
    /// What runs on this machine have found.
    found: PathBuf,
}

impl Fuzzer {
    fn build(target: &str) -> Result<Self> {
        let program = format!("fuzz-{target}");
        let mut cargo = workspace::cargo();
        cargo.args(["build", "--package", "fuzz", "--bin", &program]);
        cargo.env("RUSTC_WORKSPACE_WRAPPER", workspace::root().join("fuzz/instrumented-rustc"));
        cargo.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
        workspace::run(&mut cargo)?;
        let found = workspace::target().join("fuzz").join(target);
        fs::create_dir_all(&found).with_context(|| format!("cannot make `{}`", found.display()))?;
        let corpus = workspace::root().join("fuzz/corpus").join(target);
        let program = workspace::target().join("debug").join(program);
        Ok(Self { program, arguments: arguments(target), corpus, found })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        // A policy can name a file: none that waits for somebody to type.
        command.stdin(Stdio::null());
        command.current_dir(workspace::target().join("fuzz")).args(&self.arguments).arg("-print_final_stats=1");
        command
    }

    fn run(&self, seconds: u64) -> Result<()> {
        let mut command = self.command();
        command.args([format!("-max_total_time={seconds}").as_str(), "-use_value_profile=1", "-verbosity=0"]);
        // What is new goes into the first directory.
        workspace::run(command.arg(&self.found).arg(&self.corpus))
    }

    /// Replaces the corpus that is checked in by the smallest one that reaches as much.
    fn keep(&self) -> Result<()> {
        let smallest = self.found.with_extension("smallest");
        let begin_anew = |directory: &PathBuf| {
            fs::remove_dir_all(directory).or_else(|error| if directory.exists() { Err(error) } else { Ok(()) })?;
            fs::create_dir_all(directory)
        };
        begin_anew(&smallest)?;
        workspace::run(self.command().arg("-merge=1").args([&smallest, &self.corpus, &self.found]))?;
        begin_anew(&self.corpus)?;
        for input in fs::read_dir(&smallest)? {
            let input = input?;
            fs::copy(input.path(), self.corpus.join(input.file_name()))?;
        }
        Ok(())
    }
}

/// The longest input in octets, how long one may take, and what texts are made of.
fn arguments(target: &str) -> Vec<String> {
    if target == PACKETS {
        // A frame with every header there is, and some payload.
        return vec!["-max_len=300".to_owned()];
    }
    let words = workspace::root().join("fuzz/dictionaries").join(dictionary(target));
    vec!["-max_len=1500".to_owned(), "-timeout=20".to_owned(), format!("-dict={}", words.display())]
}

/// The words of the target's texts.
fn dictionary(target: &str) -> &'static str {
    match target {
        "allowlist" | "policy" => "files.dict",
        _ => "documents.dict",
    }
}
