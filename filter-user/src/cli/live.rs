//! What `allow` and `deny` have in common: interfaces, prefixes, and the policy file that a change is saved in.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Result;
use filter_common::Action;
use filter_user::{
    kernel::{self, LiveChange},
    lockout::{self, Cut},
    policy::{PolicyEdit, SaveError},
    refresh,
};
use ipnet::IpNet;

use super::{WRONG_INPUT, check, output, refresh::StateDirectory, target::Interfaces, time};

/// On which interfaces something is changed, where the command's words are what.
#[derive(clap::Args)]
pub(crate) struct OnInterfaces {
    /// Only this interface; all that have a filter if none is named
    #[arg(long = "interface", value_name = "INTERFACE")]
    named: Vec<String>,
}

impl OnInterfaces {
    pub(crate) fn names(self) -> Result<Vec<String>> {
        Interfaces(self.named).names()
    }
}

impl Interfaces {
    /// Those that are named, else all that have a filter, of which there is one at least.
    pub(crate) fn names(self) -> Result<Vec<String>> {
        let mut names = self.or_attached()?;
        if names.is_empty() {
            // What cannot be changed because another version made it is said to be so.
            names.extend(kernel::other_versions()?.into_iter().map(|other| other.interface));
        }
        anyhow::ensure!(
            !names.is_empty(),
            "no filter is attached to any interface\nhint: `sipwall attach` attaches one"
        );
        Ok(names)
    }
}

/// Whether a change is written into the policy file too.
#[derive(clap::Args)]
pub(crate) struct Saving {
    /// Write the change into the policy file too, which keeps its comments and its order; what ends by itself (`--for`)
    /// cannot be saved
    #[arg(long, requires = "policy")]
    save: bool,
    /// The policy file that `--save` changes
    #[arg(long, value_name = "FILE", requires = "save")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    state: StateDirectory,
}

/// What is done to a policy file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SavedChange {
    Addition,
    Removal,
}

impl SavedChange {
    const fn outcome(self) -> &'static str {
        match self {
            Self::Addition => "it is part of the policy",
            Self::Removal => "it is no part of the policy any more",
        }
    }
}

impl Saving {
    /// The policy file with a change, not yet written, and what the change found; nothing where nothing is to be saved.
    /// The exit code if it cannot be changed so, or would be refused.
    pub(crate) fn prepare<T>(
        &self,
        change: impl FnOnce(&mut PolicyEdit) -> Result<T, SaveError>,
    ) -> Result<Option<(PolicyEdit, T)>, ExitCode> {
        let Some(path) = self.policy.as_deref().filter(|_| self.save) else { return Ok(None) };
        let wrong = |error| {
            eprintln!("error: {error}");
            ExitCode::from(WRONG_INPUT)
        };
        let mut edit = PolicyEdit::open(path).map_err(wrong)?;
        let found = change(&mut edit).map_err(wrong)?;
        self.check(path, &edit).map_err(|refusals| check::refuse(&refusals))?;
        Ok(Some((edit, found)))
    }

    fn check(&self, path: &Path, edit: &PolicyEdit) -> Result<(), filter_user::policy::Refusals> {
        refresh::load_text(path, &edit.text(), &self.state.store())?.compile().map(drop)
    }

    /// Writes the changed file, and says so.
    pub(crate) fn finish<T>(&self, prepared: Option<(PolicyEdit, T)>, change: SavedChange) -> Result<Option<T>> {
        let (Some(path), Some((edit, found))) = (&self.policy, prepared) else { return Ok(None) };
        edit.commit()?;
        eprintln!("`{}`: saved; {} from the next `sipwall apply` on", path.display(), change.outcome());
        Ok(Some(found))
    }
}

/// The sessions over `interface` that a change would cut; `concerns`: whose packets it may be about.
pub(crate) fn cuts(interface: &str, change: &LiveChange, concerns: impl Fn(IpAddr) -> bool) -> Result<Vec<Cut>> {
    lockout::live_cuts(interface, &kernel::sip_ports(interface)?, concerns, |frame| {
        let passes = kernel::judge(interface, frame)?.action == Action::Pass;
        let after = kernel::judge_after(interface, frame, change)?;
        Ok((passes && after.action != Action::Pass && !after.monitor).then_some(after.reason))
    })
}

/// A host or a CIDR without host bits.
pub(crate) fn prefix(text: &str) -> Result<IpNet, String> {
    let prefix = match text.parse::<IpAddr>() {
        Ok(host) => IpNet::from(host),
        Err(_) => text.parse().map_err(|_| "neither an address nor a CIDR".to_owned())?,
    };
    if prefix.trunc() == prefix { Ok(prefix) } else { Err(format!("it has host bits: is {} meant?", prefix.trunc())) }
}

/// A comment of at most 127 octets.
pub(crate) fn comment(text: &str) -> Result<String, String> {
    if text.len() > 127 { Err("it is longer than 127 octets".to_owned()) } else { Ok(text.to_owned()) }
}

/// When something ends, for a table.
pub(crate) fn ends_in(seconds: Option<u64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), |seconds| time::describe(Duration::from_secs(seconds)))
}

/// A comment for a table.
pub(crate) fn remark(comment: Option<&str>) -> String {
    comment.map_or_else(|| "-".to_owned(), output::harmless)
}
