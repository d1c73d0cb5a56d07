//! What is asked before anything is changed.

use std::{net::IpAddr, time::Duration};

use filter_common::{Reason, live::Expiry, packet::ip};
use filter_user::{
    policy::{LiveAllow, LiveMatch, file},
    ports::PortRange,
    replay::Wanted,
    telemetry::{Ranked, concerns_listed, is_overridden_by_allow},
};
use ipnet::IpNet;

use crate::cli::allow;

/// A change that awaits its confirmation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Question {
    /// Whose packets it is about.
    pub(super) prefix: IpNet,
    pub(super) change: Change,
}

/// What is to become of a source's packets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Change {
    /// All of them are dropped.
    Deny {
        /// Whether a rule names the source.
        is_listed: bool,
    },
    /// Some of them are let in.
    Allow {
        /// What may be let in: each thing that it wanted, then all of them.
        choices: Vec<Vec<LiveMatch>>,
        /// Which of them is.
        chosen: usize,
        /// What no allow overrides, and it was dropped for too.
        in_vain: Vec<&'static str>,
    },
}

/// How long a change lasts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lasting {
    Hour,
    Day,
    Ever,
}

impl Question {
    /// Whether to deny what is selected; else why that cannot be asked.
    pub(super) fn deny(selected: &Ranked) -> Result<Self, String> {
        let prefix = prefix(selected).ok_or_else(|| format!("{} is no address that could be denied", selected.what))?;
        let is_listed = reasons(selected).any(concerns_listed);
        Ok(Self { prefix, change: Change::Deny { is_listed } })
    }

    /// Whether to let in what is selected; else why that cannot be asked.
    pub(super) fn allow(selected: &Ranked) -> Result<Self, String> {
        let refused = || format!("{} is no address that could be let in", selected.what);
        let prefix = prefix(selected).ok_or_else(refused)?;
        let mut all: Vec<LiveMatch> = selected.wanted.iter().copied().filter_map(matching).collect();
        all.dedup();
        if all.is_empty() {
            return Err(format!("{} wanted nothing that could be let in", selected.what));
        }
        let mut choices: Vec<_> = all.iter().map(|one| vec![*one]).collect();
        if all.len() > 1 {
            choices.push(all);
        }
        let in_vain = reasons(selected).filter(|reason| !is_overridden_by_allow(*reason)).map(Reason::name).collect();
        Ok(Self { prefix, change: Change::Allow { choices, chosen: 0, in_vain } })
    }

    /// Chooses what else could be let in.
    pub(super) fn choose_next(&mut self) {
        if let Change::Allow { choices, chosen, .. } = &mut self.change {
            *chosen = (*chosen + 1) % choices.len();
        }
    }
}

impl Change {
    /// What is let in; nothing where all is dropped.
    pub(super) fn matches(&self) -> Option<&[LiveMatch]> {
        match self {
            Self::Deny { .. } => None,
            Self::Allow { choices, chosen, .. } => choices.get(*chosen).map(Vec::as_slice),
        }
    }
}

impl Lasting {
    /// The time; nothing if it is for ever.
    pub(super) const fn length(self) -> Option<Duration> {
        match self {
            Self::Hour => Some(Duration::from_hours(1)),
            Self::Day => Some(Duration::from_hours(24)),
            Self::Ever => None,
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Hour => "for an hour",
            Self::Day => "for a day",
            Self::Ever => "until it is removed",
        }
    }
}

/// What is let in, in words: `UDP 5060, TCP 22`.
pub(super) fn words(matches: &[LiveMatch]) -> String {
    matches.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The allow that lets these in. Its name says whose and what it is, as far as there is room.
pub(super) fn live_allow(prefix: IpNet, matches: &[LiveMatch]) -> LiveAllow {
    let what = match matches {
        [one] => one.to_string().to_lowercase().replace(' ', "-"),
        _ => "all".to_owned(),
    };
    let whole = format!("{}-{what}", allow::name_of(&prefix.to_string()));
    // What tells two addresses of one network apart stands last.
    let kept = &whole[whole.len().saturating_sub(file::LONGEST_NAME)..];
    let name = if kept == whole { kept } else { kept.split_once('-').map_or(kept, |(_, name)| name) };
    LiveAllow {
        name: name.to_owned(),
        from: vec![prefix],
        matches: matches.to_vec(),
        expiry: Expiry::NEVER,
        comment: "let in by `top`".to_owned(),
    }
}

/// The address or network that is selected, where it is one.
fn prefix(selected: &Ranked) -> Option<IpNet> {
    let address = selected.what.parse::<IpAddr>().map(IpNet::from);
    address.or_else(|_| selected.what.parse()).ok()
}

fn reasons(selected: &Ranked) -> impl Iterator<Item = Reason> {
    selected.reasons.iter().filter_map(|name| Reason::from_name(name))
}

/// What lets in what was wanted, where anything does.
fn matching(wanted: Wanted) -> Option<LiveMatch> {
    let port = |port: u16| PortRange::new(port.into(), port.into()).ok();
    match wanted {
        Wanted::Udp(number) => port(number).map(LiveMatch::Udp),
        Wanted::Tcp(number) => port(number).map(LiveMatch::Tcp),
        Wanted::Icmp(_) => Some(LiveMatch::Protocol(ip::ICMP)),
        Wanted::Icmpv6(_) => Some(LiveMatch::Protocol(ip::ICMPV6)),
        Wanted::Fragment(protocol) | Wanted::Protocol(protocol) => Some(LiveMatch::Protocol(protocol)),
        Wanted::Ethertype(_) | Wanted::Unreadable => None,
    }
}
