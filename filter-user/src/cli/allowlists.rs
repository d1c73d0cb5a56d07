//! `sipwall allowlists`: the built-in allowlists, and the differences between any two.

use std::{path::Path, process::ExitCode};

use clap::Subcommand;
use comfy_table::{Table, presets};
use filter_user::allowlist::{
    Allowlist, builtin,
    diff::{Difference, Rule, diff},
    file,
    import::{Options, Source, import},
    ports_text,
};
use serde_json::json;

use super::{WRONG_INPUT, output, print};

/// List, show and compare allowlists
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall allowlists                                     # those that are built in
  sipwall allowlists show twilio-interconnect            # what one allows
  sipwall allowlists diff twilio-interconnect page.md    # what a new document changes")]
pub(crate) struct Allowlists {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print one JSON object a line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Action {
    /// List the built-in allowlists (the default)
    List,
    /// Show what an allowlist allows
    Show {
        /// A built-in allowlist, an allowlist file or a provider's document
        name: String,
    },
    /// Show what one allowlist allows and another does not; exit code 1 if they differ
    Diff {
        /// A built-in allowlist, an allowlist file or a provider's document
        old: String,
        /// The same
        new: String,
    },
}

impl Allowlists {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let ended = match self.action.unwrap_or(Action::List) {
            Action::List => list(self.json).map(done),
            Action::Show { name } => load(&name).map(|allowlist| done(show(&allowlist, self.json))),
            Action::Diff { old, new } => {
                let both = load(&old).and_then(|old| Ok((old, load(&new)?)));
                both.map(|(old, new)| show_difference(&diff(&old, &new), self.json))
            }
        };
        match ended {
            Ok(ended) => ended,
            Err(message) => {
                eprintln!("error: {message}");
                Ok(ExitCode::from(WRONG_INPUT))
            }
        }
    }
}

/// A built-in allowlist, an allowlist file (TOML, or JSON that reads as one), or a document read as `import` reads it.
fn load(name: &str) -> Result<Allowlist, String> {
    let path = Path::new(name);
    if builtin::get(name).is_some() || !path.exists() {
        return Allowlist::load(name, Path::new("")).map_err(|error| error.to_string());
    }
    let source = Source::read(path).map_err(|error| error.to_string())?;
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => return file::parse(name, &source.text).map_err(|error| error.to_string()),
        Some("json") => {
            if let Ok(allowlist) = file::parse(name, &source.text) {
                return Ok(allowlist);
            }
        }
        _ => {}
    }
    let allowlist = import(&source, &Options::default()).allowlist;
    match allowlist.errors.first() {
        Some(error) => Err(format!("{name}:{}: {}", error.line, error.message)),
        None => Ok(allowlist),
    }
}

/// The number of distinct prefixes.
fn prefixes(allowlist: &Allowlist) -> usize {
    let prefixes = allowlist.entries.iter().flat_map(|entry| &entry.remote);
    prefixes.collect::<std::collections::BTreeSet<_>>().len()
}

type Printed = Result<anyhow::Result<()>, String>;

fn list(as_json: bool) -> Printed {
    let mut rows = Vec::new();
    for builtin in builtin::ALL {
        rows.push((builtin, builtin.allowlist().map_err(|error| error.to_string())?));
    }
    if as_json {
        return Ok(rows.iter().try_for_each(|(builtin, allowlist)| {
            output::json(&json!({
                "name": builtin.name,
                "source": builtin.source,
                "date": builtin.date,
                "entry_count": allowlist.entries.len(),
                "prefix_count": prefixes(allowlist),
            }))
        }));
    }
    let mut table = table(&["NAME", "DATE", "ENTRIES", "PREFIXES", "SOURCE"]);
    for (builtin, allowlist) in rows {
        let counts = [allowlist.entries.len(), prefixes(&allowlist)].map(|count| count.to_string());
        let [entries, prefixes] = counts;
        table.add_row([builtin.name, builtin.date, &entries, &prefixes, builtin.source]);
    }
    Ok(print(&format!("{table}\n")))
}

fn show(allowlist: &Allowlist, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return output::json(allowlist);
    }
    let mut table = table(&["LINE", "SERVICE", "PROTOCOL", "PORTS", "SECTION", "PREFIXES"]);
    for entry in &allowlist.entries {
        let prefixes: Vec<_> = entry.remote.iter().map(ToString::to_string).collect();
        table.add_row([
            entry.line.to_string(),
            entry.service.to_string(),
            entry.protocol.to_string(),
            ports_text(&entry.remote_ports),
            entry.section.clone(),
            prefixes.join(" "),
        ]);
    }
    for row in &allowlist.unenforced {
        table.add_row([
            row.line.to_string(),
            "not enforced".to_owned(),
            row.protocol.to_string(),
            ports_text(&row.remote_ports),
            row.why.to_string(),
            row.name.replace('\n', " "),
        ]);
    }
    print(&format!("{table}\n"))
}

fn done(printed: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    printed.map(|()| ExitCode::SUCCESS)
}

/// As diff(1) ends: 1 where there is a difference.
fn show_difference(difference: &Difference, as_json: bool) -> anyhow::Result<ExitCode> {
    let same = difference.added.is_empty() && difference.removed.is_empty();
    print_difference(difference, as_json)?;
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_difference(difference: &Difference, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return output::json(difference);
    }
    let mut text = String::new();
    for (sign, rules) in [('-', &difference.removed), ('+', &difference.added)] {
        for Rule { remote, service, protocol, remote_ports } in rules {
            let rule = format!("{sign} {remote} {service} {protocol} {remote_ports}");
            text.push_str(rule.trim_end());
            text.push('\n');
        }
    }
    print(&text)
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}
