//! `sipwall fleet apply` and `rollback`

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use filter_user::fleet::{Content, Rollout, Target, Terms};

use super::{
    super::{WRONG_INPUT, policy::PolicyArgument, time::parse_duration},
    Access, Whom, progress,
};

/// How much longer than a node watches it has to confirm: the word that it may stay takes its time.
const SLACK: Duration = Duration::from_secs(10);

/// Roll a policy out: canaries first, then the others
///
/// Each node tries the policy, watches its traffic, and keeps the policy if nothing speaks against it; else its data plane goes
/// back. Where a canary fails, no other node is told. Exit code 0 if it is in force on every node that says anything, 1 if not.
#[derive(clap::Args)]
pub(super) struct Apply {
    #[command(flatten)]
    policy: PolicyArgument,
    #[command(flatten)]
    whom: Whom,
    /// How many nodes try it first: those with most traffic. By default one, and none of a single node
    #[arg(long, value_name = "N")]
    canary: Option<usize>,
    #[command(flatten)]
    manner: Manner,
    #[command(flatten)]
    access: Access,
}

/// Bring back what a target had under an earlier revision
///
/// It becomes a revision of its own: nodes never go back to an older one.
#[derive(clap::Args)]
pub(super) struct Rollback {
    /// The revision, as `sipwall fleet history` shows it
    #[arg(value_name = "REVISION")]
    revision: u64,
    #[command(flatten)]
    whom: Whom,
    /// How many nodes try it first
    #[arg(long, value_name = "N", default_value_t = 0)]
    canary: usize,
    #[command(flatten)]
    manner: Manner,
    #[command(flatten)]
    access: Access,
}

/// How it comes into force.
#[derive(clap::Args)]
struct Manner {
    /// How long a node tries it before its data plane goes back by itself
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "5m")]
    confirm: Duration,
    /// How long a node watches its traffic before it finds the policy good
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "30s")]
    observe: Duration,
    /// On how many nodes it may fail before it is taken back
    #[arg(long, value_name = "N", default_value_t = 0)]
    max_failures: usize,
    /// A provider, or a rule of one, that is meant to fall silent
    #[arg(long, value_name = "PROVIDER")]
    may_lose: Vec<String>,
    /// Print one JSON object a line: what happens, and last how it ended
    #[arg(long)]
    json: bool,
}

impl Manner {
    fn rollout(&self, target: Target, content: Content, canaries: usize) -> Result<Rollout, ExitCode> {
        if self.confirm < self.observe + SLACK {
            eprintln!("error: `--confirm` leaves no time: it must be {} s longer than `--observe`", SLACK.as_secs());
            return Err(ExitCode::from(WRONG_INPUT));
        }
        let terms =
            Terms { confirm: self.confirm.as_secs(), observe: self.observe.as_secs(), may_lose: self.may_lose.clone() };
        Ok(Rollout { target, content, canaries, terms, max_failures: self.max_failures })
    }
}

impl Apply {
    pub(super) fn run(self) -> Result<ExitCode> {
        let content = match Content::pack(self.policy.path()) {
            Ok(content) => content,
            Err(error) => {
                eprintln!("error: {error}");
                return Ok(ExitCode::from(WRONG_INPUT));
            }
        };
        let target = self.whom.target();
        let canaries = self.canary.unwrap_or(usize::from(!matches!(target, Target::Node(_))));
        let rollout = match self.manner.rollout(target, content, canaries) {
            Ok(rollout) => rollout,
            Err(code) => return Ok(code),
        };
        self.access.with_operator(async |operator| progress::roll_out(&operator, &rollout, self.manner.json).await)
    }
}

impl Rollback {
    pub(super) fn run(self) -> Result<ExitCode> {
        self.access.with_operator(async |operator| {
            let target = self.whom.target();
            let content = operator.content_of(&target, self.revision).await?;
            match self.manner.rollout(target, content, self.canary) {
                Ok(rollout) => progress::roll_out(&operator, &rollout, self.manner.json).await,
                Err(code) => Ok(code),
            }
        })
    }
}
