//! `sipwall fleet status`

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use filter_user::{
    fleet::{InterfaceState, NodeState, Seen, Target, nodes_at},
    instant,
    service::now,
};

use super::{
    super::{output, time},
    Access, name, nobody,
};

/// How far a node's clock may be off before that is said, in seconds.
const MOST_SKEW: i64 = 30;

/// Show the nodes, what they run and what is wrong with them
///
/// Exit code 0 if every node says something and nothing is wrong, 1 if not, or if a group has no node.
#[derive(clap::Args)]
pub(super) struct Status {
    /// Only the nodes of this group
    #[arg(long, value_name = "GROUP", value_parser = name)]
    group: Option<String>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

impl Status {
    pub(super) fn run(self) -> Result<ExitCode> {
        self.access.with_broker(async |broker| {
            let mut nodes = nodes_at(&broker).await?;
            if let Some(group) = &self.group {
                let nobody = nobody(&nodes, &Target::Group(group.clone()));
                nodes.retain(|seen| seen.state.group.as_ref() == Some(group));
                if let Some(nobody) = nobody {
                    eprintln!("error: {nobody}");
                    return Ok(ExitCode::FAILURE);
                }
            }
            if self.json {
                nodes.iter().try_for_each(output::json)?;
            } else {
                show(&nodes)?;
            }
            let is_well = nodes.iter().all(|seen| troubles(seen).is_empty());
            Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
    }
}

fn show(nodes: &[Seen]) -> Result<()> {
    if nodes.is_empty() {
        eprintln!("no node ever said anything");
        return Ok(());
    }
    let mut table = output::table(["NODE", "GROUP", "POLICY", "WANTED", "RUNNING", "PHASE", "MODE", "DROPS/S", "SEEN"]);
    for seen in nodes {
        // Anybody who can write there may have written it.
        table.add_row(cells(seen).map(|cell| output::harmless(&cell)));
    }
    output::line(&table.to_string())?;
    for (seen, trouble) in nodes.iter().flat_map(|seen| troubles(seen).into_iter().map(move |trouble| (seen, trouble)))
    {
        output::line(&format!("{}: {}", output::harmless(&seen.state.node), output::harmless_lines(&trouble)))?;
    }
    Ok(())
}

fn cells(seen: &Seen) -> [String; 9] {
    let NodeState { node, group, target, wanted, running, phase, interfaces, .. } = &seen.state;
    let revision = |revision: &Option<u64>| revision.map_or_else(|| "-".to_owned(), |revision| revision.to_string());
    let drops: u64 = interfaces.iter().map(|one| one.dropped_per_second).sum();
    [
        node.clone(),
        group.clone().unwrap_or_else(|| "-".to_owned()),
        target.as_ref().map_or_else(|| "its own".to_owned(), ToString::to_string),
        revision(wanted),
        revision(running),
        phase.name().to_owned(),
        mode(interfaces),
        drops.to_string(),
        format!("{} ago", time::describe(age(seen))),
    ]
}

fn age(seen: &Seen) -> Duration {
    Duration::from_secs(now().saturating_sub(seen.seen_at))
}

/// The mode, and how the filter is attached where that is not in the driver.
fn mode(interfaces: &[InterfaceState]) -> String {
    let mut modes: Vec<_> = interfaces
        .iter()
        .map(|one| match (&one.mode, one.attach_mode.as_deref()) {
            _ if !one.running => "NOT RUNNING".to_owned(),
            (None, _) => "NO POLICY".to_owned(),
            (Some(mode), None | Some("native")) => mode.clone(),
            (Some(mode), Some(attached)) => format!("{mode}, {attached}"),
        })
        .collect();
    modes.sort();
    modes.dedup();
    if modes.is_empty() { "-".to_owned() } else { modes.join("; ") }
}

/// What is wrong with a node, a sentence each.
fn troubles(seen: &Seen) -> Vec<String> {
    let gone = (!seen.is_fresh(now())).then(|| format!("SAYS NOTHING since {}", instant::text(seen.seen_at)));
    let skew = seen.skew();
    let clock = (skew.abs() > MOST_SKEW).then(|| {
        let way = if skew > 0 { "ahead of" } else { "behind" };
        format!("its clock is {} {way} the broker's", time::describe(Duration::from_secs(skew.unsigned_abs())))
    });
    let filter = seen.state.interfaces.iter().filter(|one| !one.running);
    let filter = filter.map(|one| format!("`{}` runs no filter", one.name));
    gone.into_iter().chain(seen.state.problem.clone()).chain(clock).chain(filter).collect()
}
