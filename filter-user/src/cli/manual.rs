//! `sipwall man`: the manual pages, one for each command, made from what `--help` knows.

use std::{fs::File, io::Write, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::{Command, CommandFactory as _};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};
use filter_user::{kernel::BPFFS, refresh::DEFAULT_STATE, service::DEFAULT_RUNTIME};

use super::Arguments;

/// The manual's section for the administration of a system.
const SECTION: &str = "8";

/// What stands before the examples of a command's long help.
pub(super) const EXAMPLES: &str = "Examples:\n";

/// Write the manual pages, one for each command
///
/// The packages install them.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall man /usr/local/share/man/man8")]
pub(crate) struct Manual {
    /// The directory, which must exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Manual {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let mut program = Arguments::command().disable_help_subcommand(true);
        program.build();
        for command in with_subcommands(&program) {
            let page = page(command);
            let path = self.directory.join(page.get_filename());
            let write = || write(command, &page, &mut File::create(&path)?);
            write().with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn page(command: &Command) -> Man {
    let page = Man::new(command.clone()).section(SECTION).manual("System administration");
    let title = command.get_display_name().unwrap_or_else(|| command.get_name()).to_uppercase();
    page.title(title).source(concat!("sipwall ", env!("CARGO_PKG_VERSION")))
}

/// A command, and all below it.
fn with_subcommands(command: &Command) -> Vec<&Command> {
    [command].into_iter().chain(command.get_subcommands().flat_map(with_subcommands)).collect()
}

fn write(command: &Command, page: &Man, to: &mut dyn Write) -> std::io::Result<()> {
    page.render_title(to)?;
    page.render_name_section(to)?;
    page.render_synopsis_section(to)?;
    page.render_description_section(to)?;
    page.render_options_section(to)?;
    if command.has_subcommands() {
        page.render_subcommands_section(to)?;
    }
    closing_sections(command).to_writer(to)
}

/// What stands in every page behind what the arguments say, and in the first one for all.
fn closing_sections(command: &Command) -> Roff {
    let mut roff = Roff::new();
    if let Some(examples) = examples(command) {
        roff.control("SH", ["EXAMPLES"]).control("nf", []);
        for line in examples.lines() {
            roff.text([roman(line.trim_start())]);
        }
        roff.control("fi", []);
    }
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in ["0", "1", "2"].into_iter().zip(exit_status(command)) {
        entry(&mut roff, code, meaning);
    }
    if command.get_name() == "sipwall" {
        files(&mut roff);
    } else {
        roff.control("SH", ["SEE ALSO"]).text([bold("sipwall"), roman(format!("({SECTION})"))]);
    }
    roff
}

/// What the exit codes 0, 1 and 2 mean.
fn exit_status(command: &Command) -> [&'static str; 3] {
    match command.get_name() {
        "diff" => ["There is no difference.", "There is one.", "They cannot be compared, or wrong usage or input."],
        _ => ["Done.", "It failed.", "Wrong usage or input, a refused policy too."],
    }
}

/// The examples of a command's long help, one a line.
pub(super) fn examples(command: &Command) -> Option<String> {
    command.get_after_long_help()?.to_string().strip_prefix(EXAMPLES).map(str::to_owned)
}

fn files(roff: &mut Roff) {
    roff.control("SH", ["FILES"]);
    entry(roff, "/etc/sipwall/policy.toml", "The policy of the service.");
    entry(roff, &format!("{BPFFS}/sipwall/"), "What is in force, for each interface: link, program and maps.");
    entry(roff, DEFAULT_STATE, "What was last accepted of the policy's sources.");
    entry(roff, DEFAULT_RUNTIME, "How the service is, for `sipwall status`.");
    entry(roff, "/usr/share/doc/sipwall/", "The documentation: the policy file, the reasons, an example.");
}

/// A term, and what it means.
fn entry(roff: &mut Roff, term: &str, meaning: &str) {
    roff.control("TP", []).text([bold(term)]).text([roman(meaning)]);
}
