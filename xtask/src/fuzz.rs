//! `cargo xtask fuzz`: raw octets, steered by the coverage that they reach (libFuzzer, on stable Rust).

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::workspace;

/// What to fuzz, and for how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// A file of `fuzz/targets`.
    #[arg(default_value = "decide")]
    target: String,
    /// For how long.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Afterwards, put the fewest inputs that reach all that was reached into `fuzz/corpus`.
    #[arg(long)]
    keep: bool,
}

/// The longest input in octets: a frame with every header there is, and some payload.
const LONGEST: &str = "-max_len=300";

/// How long the test command fuzzes.
const BRIEFLY: u64 = 30;

/// Fuzzes until the time is over; a crash is an error.
pub(crate) fn run(options: &Options) -> Result<()> {
    let fuzzer = Fuzzer::build(&options.target)?;
    fuzzer.run(options.seconds)?;
    if options.keep { fuzzer.keep() } else { Ok(()) }
}

/// Fuzzes what the test command does.
pub(crate) fn briefly() -> Result<()> {
    Fuzzer::build("decide")?.run(BRIEFLY)
}

struct Fuzzer {
    program: PathBuf,
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
        workspace::run(&mut cargo)?;
        let found = workspace::target().join("fuzz").join(target);
        fs::create_dir_all(&found).with_context(|| format!("cannot make `{}`", found.display()))?;
        let corpus = workspace::root().join("fuzz/corpus").join(target);
        Ok(Self { program: workspace::target().join("debug").join(program), corpus, found })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(workspace::target().join("fuzz")).args([LONGEST, "-print_final_stats=1"]);
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
