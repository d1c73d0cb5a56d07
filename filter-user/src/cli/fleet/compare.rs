//! `sipwall fleet diff`, `history` and `explain`

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use filter_user::{
    fleet::{Content, Target, Version},
    instant,
};
use serde::Serialize;

use super::{
    super::{WRONG_INPUT, check, diff, explain::Question, output, policy::PolicyArgument},
    Access, Whom, name, nobody,
};

/// Compare a policy file with what a target is to run
///
/// Both are taken as a node of the target has them, with its own facts. Exit code 0 if nothing would change, 1 if something
/// would.
#[derive(clap::Args)]
pub(super) struct Diff {
    #[command(flatten)]
    policy: PolicyArgument,
    #[command(flatten)]
    whom: Whom,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Compared {
    target: Target,
    revision: Option<u64>,
    same: bool,
    diff: filter_user::policy::OutlineDiff,
}

impl Diff {
    pub(super) fn run(self) -> Result<ExitCode> {
        let new = match Content::pack(self.policy.path()) {
            Ok(content) => content,
            Err(error) => {
                eprintln!("error: {error}");
                return Ok(ExitCode::from(WRONG_INPUT));
            }
        };
        self.access.with_operator(async |operator| {
            let target = self.whom.target();
            if let Some(nobody) = nobody(&operator.nodes().await?, &target) {
                eprintln!("warning: {nobody}");
            }
            let facts =
                operator.members(&target).await?.into_iter().next().map(|seen| seen.state.facts).unwrap_or_default();
            let before = operator.wanted(&target).await?;
            let revision = before.as_ref().map(|(head, _)| head.revision);
            let old = match &before {
                Some((_, content)) => content.compile(&facts)?,
                None => Content { text: String::new(), ..new.clone() }.compile("")?,
            };
            let (old, new) = match (old, new.compile(&facts)?) {
                (Ok((_, old)), Ok((_, new))) => (old, new),
                (Err(refusals), _) | (_, Err(refusals)) => return Ok(check::refuse(&refusals)),
            };
            let diff = old.outline().diff(&new.outline());
            let same = diff.is_empty() && before.is_some();
            show(&Compared { target, revision, same, diff }, self.json)?;
            Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
    }
}

fn show(compared: &Compared, json: bool) -> Result<()> {
    if json {
        return output::json(compared);
    }
    let Compared { target, revision, same, diff } = compared;
    let what = revision.map_or_else(|| "nothing yet".to_owned(), |revision| format!("revision {revision}"));
    if *same {
        return output::line(&format!("{target}: {what} is what the file says"));
    }
    output::line(&format!("{target}: {what} would change"))?;
    diff::show_changes(diff, None)
}

/// Show the policies that a target had, as far as the broker still has them
#[derive(clap::Args)]
pub(super) struct History {
    #[command(flatten)]
    whom: Whom,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

impl History {
    pub(super) fn run(self) -> Result<ExitCode> {
        self.access.with_operator(async |operator| {
            let target = self.whom.target();
            let versions = operator.versions(&target).await?;
            if versions.is_empty() {
                eprintln!("`{target}` never had a policy");
                return Ok(ExitCode::SUCCESS);
            }
            if self.json {
                versions.iter().try_for_each(output::json)?;
                return Ok(ExitCode::SUCCESS);
            }
            let mut table = output::table(["REVISION", "TAKEN", "POLICY", "AUTHOR", "SIGNED BY"]);
            for version in &versions {
                table.add_row(cells(version));
            }
            output::line(&table.to_string())?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

fn cells(version: &Version) -> [String; 5] {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let policy = version.refused.as_ref().map_or_else(|| text(&version.policy), |why| format!("REFUSED: {why}"));
    [
        version.revision.map_or_else(|| "-".to_owned(), |revision| revision.to_string()),
        instant::text(version.taken_at),
        policy,
        text(&version.author),
        text(&version.signed_by),
    ]
}

/// Say what a node's policy does with a packet
///
/// By the policy that the node says it runs, with its own facts. What is denied or allowed beside it only the node knows:
/// `sipwall explain --live` there.
#[derive(clap::Args)]
pub(super) struct Explain {
    /// The node
    #[arg(long, value_name = "NODE", value_parser = name)]
    node: String,
    #[command(flatten)]
    question: Question,
    #[command(flatten)]
    access: Access,
}

impl Explain {
    pub(super) fn run(self) -> Result<ExitCode> {
        let frame = match self.question.frame() {
            Ok(frame) => frame,
            Err(code) => return Ok(code),
        };
        self.access.with_operator(async |operator| {
            let mut nodes = operator.nodes().await?.into_iter();
            let seen = nodes.find(|seen| seen.state.node == self.node);
            let state = seen
                .with_context(|| {
                    format!(
                        "no node `{}` ever said anything\nhint: `sipwall fleet status` shows those that did",
                        self.node
                    )
                })?
                .state;
            let (target, running) = state.target.zip(state.running).with_context(|| {
                format!("`{}` runs its own policy\nhint: `sipwall explain` there knows it", self.node)
            })?;
            let content = operator.content_of(&target, running).await?;
            match content.compile(&state.facts)? {
                Ok((policy, compiled)) => self.question.answer(&frame, &policy, &compiled),
                Err(refusals) => Ok(check::refuse(&refusals)),
            }
        })
    }
}
