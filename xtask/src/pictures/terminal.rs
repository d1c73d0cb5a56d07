//! What stands in a terminal, as a page that a browser takes a picture of.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use lab::{Host, run};

/// How many lines of what a command prints are shown.
const LINES: usize = 40;
/// How many characters of a line.
const COLUMNS: usize = 128;

/// A terminal of 80×24 in which a command runs on a host, until this is dropped.
pub(super) struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    pub(super) fn start(host: &Host, directory: &Path, command: &str) -> Result<Self> {
        let terminal = Self { socket: directory.join("tmux") };
        let line = format!("{} {command}", host.entry().join(" "));
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", &line])?;
        Ok(terminal)
    }

    /// What stands there, with its colours as escape sequences.
    pub(super) fn screen(&self) -> Result<String> {
        self.tmux(&["capture-pane", "-e", "-N", "-p"])
    }

    fn tmux(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&self.socket).args(arguments).env("LC_ALL", "C.UTF-8").env_remove("TMUX");
        run(&mut command, "")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It ends with the last program in it.
        let _ = self.tmux(&["kill-server"]);
    }
}

/// The last lines of a text, without the ends of long ones.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(LINES)..].iter();
    last.map(|line| line.chars().take(COLUMNS).collect::<String>() + "\n").collect()
}

/// Writes a page that shows this text as a terminal does.
pub(super) fn picture(page: &Path, text: &str) -> Result<()> {
    let spans = run(Command::new("aha").args(["--no-header", "--black"]), text)?;
    let style = "body { margin: 0; background: #14161b; width: max-content } \
                 pre { margin: 0; padding: 14px 18px; color: #e4e6ea; font: 14px/1.25 'DejaVu Sans Mono', monospace }";
    let page_text = format!(
        "<!doctype html><meta charset=\"utf-8\"><title>terminal</title><style>{style}</style><pre>{}</pre>",
        spans.trim_end()
    );
    Ok(fs::write(page, page_text)?)
}
