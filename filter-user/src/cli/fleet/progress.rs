//! A roll-out as it goes on and ends.

use std::process::ExitCode;

use anyhow::Result;
use filter_user::fleet::{Ended, Operator, Progress, Rollout};

use super::output;

/// Rolls out, shows how it goes, and says how it ended.
pub(super) async fn roll_out(operator: &Operator, rollout: &Rollout, json: bool) -> Result<ExitCode> {
    let mut broken = None;
    let mut say = |progress: Progress| {
        if json {
            broken = output::json(&progress).err();
        } else {
            eprintln!("{}", describe(&progress));
        }
    };
    let ended = operator.roll_out(rollout, &mut say).await?;
    if let Some(error) = broken {
        return Err(error);
    }
    if json {
        output::json(&ended)?;
    }
    Ok(conclude(&ended))
}

fn describe(progress: &Progress) -> String {
    match progress {
        Progress::WritesOver { why } => format!("warning: what is there is written over: {why}"),
        Progress::Begins { revision, nodes, canaries, absent } => {
            let first =
                if canaries.is_empty() { "all at once".to_owned() } else { format!("{} first", canaries.join(", ")) };
            let absent = if absent.is_empty() {
                String::new()
            } else {
                format!("\nwarning: {} say nothing now, and follow when they are back", absent.join(", "))
            };
            let nobody = if nodes.is_empty() && canaries.is_empty() && absent.is_empty() {
                "\nwarning: no node is meant now: those that come take it"
            } else {
                ""
            };
            let nodes = output::count(nodes.len(), "node", "nodes");
            format!("revision {revision} for {nodes}, {first}{absent}{nobody}")
        }
        Progress::Node { node, done: true, .. } => format!("  {node}: in force"),
        Progress::Node { node, phase, problem, .. } => {
            let problem = problem.as_deref().map(output::harmless_lines);
            let problem = problem.map(|problem| format!(": {problem}")).unwrap_or_default();
            format!("  {node}: {}{problem}", phase.name())
        }
        Progress::Published { revision } => format!("revision {revision} is published"),
    }
}

fn conclude(ended: &Ended) -> ExitCode {
    match ended {
        Ended::InForce { revision, nodes, failed } => {
            eprintln!("revision {revision} is in force on {}", output::count(nodes.len(), "node", "nodes"));
            for (node, why) in failed {
                eprintln!("warning: it failed on `{node}`: {}", output::harmless_lines(why));
            }
            if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Ended::TakenBack { revision, why, restored_as } => {
            let restored = restored_as.map_or_else(
                || "what was in force before stays".to_owned(),
                |restored| format!("what was in force before comes back as revision {restored}"),
            );
            let why = output::harmless_lines(why);
            eprintln!("error: revision {revision} is taken back: {why}\nhint: {restored}");
            ExitCode::FAILURE
        }
    }
}
