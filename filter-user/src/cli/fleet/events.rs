//! `sipwall fleet events`

use std::{
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use filter_user::fleet::{FleetEvent, Reading, Span, Told};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    super::{events::Which, output, time::parse_duration},
    Access, name,
};

/// Show what nodes dropped and what changed about them, of the whole fleet
///
/// Nodes publish some of their samples if `events` in their configuration says how many a second. What they did not publish is
/// counted: `sipwall status` on the node shows it, and a line here says how many were left out.
#[derive(clap::Args)]
pub(super) struct Events {
    /// Go on with what comes, until a signal
    #[arg(long, short)]
    follow: bool,
    /// Only of this node
    #[arg(long, value_name = "NODE", value_parser = name)]
    node: Option<String>,
    /// Only of the nodes of this group
    #[arg(long, value_name = "GROUP", value_parser = name)]
    group: Option<String>,
    /// Only what came in this time
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "1h")]
    since: Duration,
    #[command(flatten)]
    which: Which,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

impl Events {
    pub(super) fn run(self) -> Result<ExitCode> {
        self.access.with_broker(async |broker| {
            let since = SystemTime::now().checked_sub(self.since).unwrap_or(SystemTime::UNIX_EPOCH);
            let span = Span { node: self.node.clone(), group: self.group.clone(), since };
            let mut reading = Reading::begin(&broker, &span).await?;
            let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            let show = async {
                while let Some(events) = reading.stored().await? {
                    self.show(&events)?;
                }
                if !self.follow {
                    return anyhow::Ok(());
                }
                loop {
                    self.show(&reading.next().await?)?;
                }
            };
            tokio::select! {
                shown = show => shown?,
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            Ok(ExitCode::SUCCESS)
        })
    }

    fn show(&self, events: &[FleetEvent]) -> Result<()> {
        for event in events {
            let FleetEvent { node, told, .. } = event;
            let line = match told {
                Told::Drop(drop) if self.which.has(drop) => drop.line(),
                Told::Change(change) if self.which.is_all() => change.line(),
                Told::Unpublished { unpublished } => {
                    let samples = output::count(usize::try_from(*unpublished)?, "sample", "samples");
                    eprintln!("warning: {}: {samples} not published", output::harmless(node));
                    if self.json {
                        output::json(event)?;
                    }
                    continue;
                }
                Told::Drop(_) | Told::Change(_) => continue,
            };
            if self.json {
                output::json(event)?;
            } else {
                output::line(&output::harmless(&format!("{node} {line}")))?;
            }
        }
        Ok(())
    }
}
