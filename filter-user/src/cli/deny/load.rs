//! `sipwall deny load` and `unload`: lists as a whole.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::Result;
use filter_user::{
    kernel::{self, DenyListInfo, ListChange, LoadedList},
    policy::file,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::caution::Caution;
use crate::cli::{
    WRONG_INPUT,
    live::{self, OnInterfaces},
    output,
};

/// How many prefixes go by from one look at the bar to the next.
const STRIDE: u64 = 1 << 12;

/// A file that is to be loaded.
pub(super) struct Loading<'a> {
    pub(super) file: &'a Path,
    pub(super) name: Option<String>,
    pub(super) lasting: Option<Duration>,
    pub(super) comment: &'a str,
    pub(super) caution: Caution,
    pub(super) json: bool,
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Report<'a, T> {
    interface: &'a str,
    #[serde(flatten)]
    data: &'a T,
}

impl Loading<'_> {
    pub(super) fn run(&self, interfaces: OnInterfaces) -> Result<ExitCode> {
        let prefixes = match file::read_deny_list(self.file) {
            Ok(prefixes) => prefixes,
            Err(refusals) => {
                eprintln!("error: the list is refused, and nothing of it is loaded\n{refusals}");
                return Ok(ExitCode::from(WRONG_INPUT));
            }
        };
        let stem = || self.file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = self.name.clone().unwrap_or_else(stem);
        if prefixes.is_empty() {
            eprintln!(
                "error: `{}` lists nothing\nhint: `sipwall deny unload NAME` forgets a list",
                self.file.display()
            );
            return Ok(ExitCode::from(WRONG_INPUT));
        }
        let list = LoadedList { name: &name, prefixes: &prefixes, lasting: self.lasting, comment: self.comment };
        let interfaces = interfaces.names()?;
        if let Some(code) = self.caution.refuses(&interfaces, &prefixes)? {
            return Ok(code);
        }
        for interface in interfaces {
            let bar = bar();
            let change = kernel::deny_load(&interface, &list, |done, total| {
                if done.is_multiple_of(STRIDE) {
                    bar.set_length(total);
                    bar.set_position(done);
                }
            });
            bar.finish_and_clear();
            let change = change?;
            let ListChange { added, removed, .. } = change;
            let shown = output::harmless(&name);
            eprintln!("`{interface}`: list `{shown}` loaded, {added} added, {removed} removed");
            if self.json {
                output::json(&Report { interface: &interface, data: &change })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A progress bar on standard error; nothing is shown where that is no terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    // A template that cannot be read leaves the bar as it comes.
    match ProgressStyle::with_template("{bar:40} {pos} of {len} prefixes, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Forgets a list.
pub(super) fn unload(interfaces: &[String], name: &str) -> Result<ExitCode> {
    for interface in interfaces {
        let ListChange { removed, .. } = kernel::deny_unload(interface, name)?;
        eprintln!("`{interface}`: list `{}` unloaded, {removed} removed", output::harmless(name));
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows the lists.
pub(super) fn list(interfaces: &[String], json: bool) -> Result<ExitCode> {
    let mut table = output::table(["INTERFACE", "LIST", "PREFIXES", "ENDS IN", "COMMENT"]);
    output::numbers_in(&mut table, 2);
    for interface in interfaces {
        for info in kernel::deny_lists(interface)? {
            if json {
                output::json(&Report { interface, data: &info })?;
            } else {
                let DenyListInfo { name, prefixes, expires_in_seconds, comment } = &info;
                let (ends, comment) = (live::ends_in(*expires_in_seconds), live::remark(comment.as_deref()));
                table.add_row([interface.clone(), output::harmless(name), prefixes.to_string(), ends, comment]);
            }
        }
    }
    if !json {
        output::line(&table.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}
