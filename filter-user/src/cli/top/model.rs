//! What is shown, apart from how.

use std::{collections::BTreeMap, time::Duration};

use filter_user::{
    kernel::{Confirmation, Status},
    telemetry::{By, Calls, Ranked, Rate, Refused, Risk, SILENCE, Span, provider},
};

use crate::cli::output::{quantity, share};

/// All that is known of one interface at one time.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// In UTC.
    pub(super) time: String,
    pub(super) status: Status,
    /// Which interface it is, and of how many.
    pub(super) place: (usize, usize),
    /// How a policy file compares with what runs, where one is named.
    pub(super) drift: Option<String>,
    pub(super) passed: Series,
    /// What was dropped, and what monitor mode let pass.
    pub(super) dropped: Series,
    pub(super) rules: Vec<RuleRow>,
    pub(super) reasons: Vec<ReasonRow>,
    /// How long was looked at what the next three are over: at most a minute.
    pub(super) watched: Duration,
    pub(super) calls: Calls,
    /// What was counted as of listed sources and dropped, by reason.
    pub(super) at_risk: Vec<(&'static str, u64)>,
    pub(super) refused: Refused,
    /// What `ranked` and the source of most drops are over.
    pub(super) span: Span,
    /// What `ranked` is by.
    pub(super) by: By,
    pub(super) ranked: Vec<Ranked>,
    /// The source of most drops.
    pub(super) knocker: Option<Ranked>,
    /// How many sources there were; at least.
    pub(super) source_count: usize,
    /// About how many packets were dropped in all.
    pub(super) span_total: u64,
}

/// A rate and how it came about.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    /// Packets a second, the latest last.
    pub(super) past: Vec<u64>,
    pub(super) rate: Rate,
    pub(super) packets: u64,
}

/// A rule.
#[derive(Clone, Debug)]
pub(super) struct RuleRow {
    pub(super) rule: String,
    pub(super) packets_per_second: f64,
    pub(super) packets: u64,
    pub(super) quiet: Quiet,
}

/// How long nothing came.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Quiet {
    /// Since then.
    For(Duration),
    /// Since before this was looked at, which is so long ago.
    Longer(Duration),
    /// Ever since the filter was attached.
    Always,
}

/// A reason.
#[derive(Clone, Debug)]
pub(super) struct ReasonRow {
    pub(super) reason: &'static str,
    pub(super) action: &'static str,
    pub(super) packets_per_second: f64,
    pub(super) packets: u64,
}

/// How a line is to be taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tone {
    Good,
    Warning,
    Bad,
}

impl Model {
    /// Whether calls are at risk, in one line.
    pub(super) fn calls(&self) -> (Tone, String) {
        if !self.status.running {
            return (Tone::Bad, "NOT FILTERING: the interface is gone or runs another program".to_owned());
        }
        if self.status.mode.is_none() {
            return (Tone::Bad, "NOT FILTERING: no policy is in force, everything passes".to_owned());
        }
        let silent = self.silent();
        let lost = if self.is_monitored() { "would be lost" } else { "lost" };
        let why = || {
            let silent = silent.as_ref().map_or_else(String::new, |silent| format!("; SILENT: {silent}"));
            format!("{lost} of listed sources: {}{silent}", self.lost_for())
        };
        match self.calls.risk() {
            Risk::Calls if self.is_monitored() => (Tone::Warning, format!("CALLS AT RISK: {}", why())),
            Risk::Calls => (Tone::Bad, format!("CALLS AT RISK: {}", why())),
            Risk::Little => (Tone::Warning, format!("BELOW 1 %: {}", why())),
            Risk::Nothing => match silent {
                Some(silent) => {
                    (Tone::Warning, format!("SILENT: {silent}, and sent before; nothing listed was dropped"))
                }
                None => (Tone::Good, self.nothing_lost()),
            },
        }
    }

    /// What of listed sources was dropped for.
    fn lost_for(&self) -> String {
        let mut reasons: Vec<_> =
            self.at_risk.iter().map(|(reason, packets)| format!("{reason} {}", count(*packets))).collect();
        reasons.extend((self.refused.denied > 0).then(|| format!("denied ~{}", count(self.refused.denied))));
        reasons.join(", ")
    }

    /// What is known where nothing of listed sources was dropped.
    fn nothing_lost(&self) -> String {
        let refused = if self.is_monitored() { "would be refused" } else { "refused" };
        match self.refused.unlisted_sip {
            0 => format!("CALLS PASS: nothing of a listed source was dropped in {}", self.watched()),
            packets => {
                let seconds = self.watched.as_secs().min(60);
                let packets = count(packets);
                format!("LISTED SOURCES PASS; unlisted: ~{packets} SIP packets {refused} in {seconds} s")
            }
        }
    }

    /// The providers that sent something, and nothing for minutes.
    fn silent(&self) -> Option<String> {
        let mut providers: BTreeMap<&str, Quiet> = BTreeMap::new();
        for row in &self.rules {
            let Some(provider) = provider(&row.rule) else { continue };
            let quiet = providers.entry(provider).or_insert(Quiet::Always);
            *quiet = row.quiet.min(*quiet);
        }
        let silent = providers.into_iter().filter(|(_, quiet)| quiet.is_silence());
        let named: Vec<_> = silent.map(|(provider, quiet)| format!("{provider} for {}", quiet.text())).collect();
        (!named.is_empty()).then(|| named.join(", "))
    }

    fn watched(&self) -> String {
        match self.watched.as_secs() {
            60.. => "the last minute".to_owned(),
            seconds => format!("the last {seconds} s"),
        }
    }

    /// Who knocks, in one line.
    pub(super) fn knocking(&self) -> String {
        let Some(first) = &self.knocker else {
            return format!("NOBODY KNOCKS: nothing was dropped in the last {}", self.span.name());
        };
        let others = match self.source_count.saturating_sub(1) {
            0 => String::new(),
            1 => ", and 1 more source".to_owned(),
            more => format!(", and {more} more sources"),
        };
        let wanted = first.wanted.first().map_or_else(String::new, |wanted| format!(" for {wanted}"));
        format!("KNOCKING: {}{wanted}, {} of all drops{others}", first.what, share(first.packets, self.span_total))
    }

    pub(super) fn is_monitored(&self) -> bool {
        self.status.mode == Some("monitor")
    }

    /// What is awaited, where something is.
    pub(super) fn confirmation(&self) -> Option<String> {
        match self.status.confirmation {
            Confirmation::Confirmed => None,
            Confirmation::Pending { remaining_seconds, .. } => Some(format!("CONFIRM WITHIN {remaining_seconds} s")),
            Confirmation::RolledBack { generation } => Some(format!("GENERATION {generation} WAS NOT CONFIRMED")),
        }
    }
}

impl Quiet {
    /// Whether something came before, and nothing for so long that it is worth saying.
    fn is_silence(self) -> bool {
        match self {
            Self::For(length) | Self::Longer(length) => length >= SILENCE,
            Self::Always => false,
        }
    }

    /// In a few characters.
    pub(super) fn text(self) -> String {
        let short = |length: Duration| match length.as_secs() {
            seconds @ 0..=119 => format!("{seconds}s"),
            seconds @ 120..=7199 => format!("{}m", seconds / 60),
            seconds => format!("{}h", seconds / 3600),
        };
        match self {
            Self::For(length) if length < Duration::from_secs(2) => "now".to_owned(),
            Self::For(length) => short(length),
            Self::Longer(length) => format!(">{}", short(length)),
            Self::Always => "never".to_owned(),
        }
    }
}

/// A number of packets in a few characters.
#[expect(clippy::cast_precision_loss, reason = "it is shortened to two digits")]
pub(super) fn count(packets: u64) -> String {
    quantity(packets as f64)
}
