//! What is looked at before sources are denied.

use std::{net::IpAddr, process::ExitCode};

use anyhow::Result;
use filter_user::{
    kernel::{self, LiveChange, Named},
    lockout::Cut,
    policy::{Cover, is_wide},
};
use ipnet::IpNet;

use crate::cli::{WRONG_INPUT, change::Guard, live};

/// Whether what is likely a mistake is done all the same.
#[derive(clap::Args)]
pub(super) struct Caution {
    #[command(flatten)]
    guard: Guard,
    /// Deny also what is a large part of the internet: a CIDR shorter than /8, or than /16 in IPv6
    #[arg(long)]
    allow_wide: bool,
}

impl Caution {
    /// Says what speaks against denying these prefixes; the exit code, if that is not done.
    pub(super) fn refuses(&self, interfaces: &[String], prefixes: &[IpNet]) -> Result<Option<ExitCode>> {
        if let Some(wide) = prefixes.iter().find(|prefix| is_wide(**prefix) && !self.allow_wide) {
            eprintln!(
                "error: {wide} is a large part of the internet, and nothing is denied\nhint: `--allow-wide` denies it all \
                 the same"
            );
            return Ok(Some(ExitCode::from(WRONG_INPUT)));
        }
        let change = LiveChange { denied: Cover::new(prefixes), ..LiveChange::default() };
        let mut cuts: Vec<(&str, Cut)> = Vec::new();
        for interface in interfaces {
            warn(interface, &change.denied)?;
            let concerns = |source: IpAddr| change.denied.around(source.into()).is_some();
            cuts.extend(live::cuts(interface, &change, concerns)?.into_iter().map(|cut| (interface.as_str(), cut)));
        }
        Ok((!self.guard.lets("this", &cuts)).then_some(ExitCode::FAILURE))
    }
}

/// Says which rules let in something of what is to be denied.
fn warn(interface: &str, denied: &Cover) -> Result<()> {
    let named = kernel::rules_naming(interface, denied)?;
    for Named { rule, source, denied } in &named {
        eprintln!("warning: `{interface}`: {denied} cuts off what `{rule}` lets in, {source}");
    }
    if !named.is_empty() {
        eprintln!("hint: the deny list wins over every rule: take it out again if this is not meant");
    }
    Ok(())
}
