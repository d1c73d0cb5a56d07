//! `sipwall fleet targets`

use std::{
    fs::Permissions,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result};
use filter_user::fleet::{Broker, nodes_at, target_groups};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use super::{super::output, Access, name};

/// How often the nodes are looked at while the file is kept up to date.
const LOOK: Duration = Duration::from_secs(15);

/// Tell Prometheus where the nodes' metrics are: its service discovery by file
///
/// A node says where its metrics are: `metrics` in its fleet's configuration, else the address or the first name that
/// `sipwall run --listen` is told, unless that is a loopback one. One that says nothing any more stays a target, so that an
/// alert tells of it.
#[derive(clap::Args)]
pub(super) struct Targets {
    /// Only the nodes of this group
    #[arg(long, value_name = "GROUP", value_parser = name)]
    group: Option<String>,
    /// Write this file, as a whole or not at all, instead of printing it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Keep the file up to date, until a signal; what is in it stays while the broker is away
    #[arg(long, short, requires = "output")]
    follow: bool,
    /// As ever: it is JSON in any case
    #[arg(long, hide = true)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

impl Targets {
    pub(super) fn run(self) -> Result<ExitCode> {
        self.access.with_broker(async |broker| {
            let mut before = None;
            self.look(&broker, &mut before).await?;
            if !self.follow {
                return Ok(ExitCode::SUCCESS);
            }
            let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            loop {
                tokio::select! {
                    () = sleep(LOOK) => {}
                    _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
                    _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
                }
                if let Err(error) = self.look(&broker, &mut before).await {
                    eprintln!("warning: the file stays as it is: {error:#}");
                }
            }
        })
    }

    /// Tells what the nodes say now, where it is another than before.
    async fn look(&self, broker: &Broker, before: &mut Option<String>) -> Result<()> {
        let mut nodes = nodes_at(broker).await?;
        nodes.retain(|seen| self.group.is_none() || seen.state.group == self.group);
        let (groups, without) = target_groups(nodes.iter().map(|seen| &seen.state));
        let text = serde_json::to_string_pretty(&groups)? + "\n";
        if before.as_ref() == Some(&text) {
            return Ok(());
        }
        if !without.is_empty() {
            let names = output::harmless(&without.join(", "));
            eprintln!(
                "warning: {names}: no metrics that others reach\nhint: `sipwall run --listen`, or `metrics` in the fleet's configuration there"
            );
        }
        match &self.output {
            Some(path) => write(path, &text)?,
            None => output::print(&text)?,
        }
        *before = Some(text);
        Ok(())
    }
}

/// Replaces the file, for everybody to read: Prometheus is another user.
fn write(path: &Path, text: &str) -> Result<()> {
    let failed = || format!("cannot write `{}`", path.display());
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(directory)
        .with_context(failed)?;
    file.write_all(text.as_bytes()).with_context(failed)?;
    file.persist(path).with_context(failed)?;
    Ok(())
}
