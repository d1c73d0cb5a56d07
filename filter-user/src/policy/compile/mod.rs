//! The compiler: a policy and its allowlists become tables.

mod draft;
mod intern;
mod matching;
mod own_allows;
pub(in crate::policy) mod own_ports;
mod port_tables;
mod providers;
mod sources;
mod stated;
mod tables;
mod trunk;

use filter_common::tables::{DENY_PREFIXES, Limits, PREFIXES, Rate, TERMS, Tables, flags};
use ipnet::IpNet;

use self::{draft::Draft, own_ports::OwnPorts, tables::Overflow};
pub use self::{
    draft::{RuleInfo, SourcePrefix, TermInfo},
    matching::{Match, PortMatch},
    providers::ProviderDeny,
};
use super::{
    Origin,
    file::PolicyFile,
    inputs::Policy,
    refusal::{Code, Refusal, Refusals},
};

/// A policy as the kernel takes it, and what stands behind every number in it.
#[derive(Clone)]
pub struct CompiledPolicy {
    /// Everything but the tries. The generation is 0, and the rules of its terms are places in `rules`.
    pub tables: Box<Tables>,
    /// The source tries of both families: prefixes with their places in the tables' `source_sets`, ascending.
    pub sources: Vec<(IpNet, u32)>,
    /// The deny list of both families, ascending, each prefix once.
    pub denied: Vec<IpNet>,
    /// Where each of `denied` comes from.
    pub denied_origins: Vec<Origin>,
    /// What the providers' always-deny lists take away; worked into `sources`.
    pub provider_denied: Vec<ProviderDeny>,
    /// The rules.
    pub rules: Vec<RuleInfo>,
    /// The terms, each at the place of its bit.
    pub terms: Vec<TermInfo>,
}

impl CompiledPolicy {
    /// The policy with rates by the hour instead of the second: for whoever cannot stop the kernel's clock.
    #[must_use]
    pub fn by_the_hour(&self) -> Self {
        let mut policy = self.clone();
        let limits = &mut policy.tables.settings.limits;
        for Rate { interval, tolerance } in [&mut limits.sip, &mut limits.tcp, &mut limits.icmp] {
            *interval *= 3600;
            *tolerance *= 3600;
        }
        policy
    }

    /// The policy without rate limits and return traffic: what depends on time and on what the host sent.
    #[must_use]
    pub fn without_limits(&self) -> Self {
        let mut policy = self.clone();
        policy.tables.settings.limits = Limits::default();
        policy.tables.settings.knobs.0 &= !flags::RETURN_TRAFFIC;
        policy
    }
}

impl Policy {
    /// Compiles the policy.
    ///
    /// # Errors
    /// If a provider's service has no port of the SBC, or the policy exceeds a limit of the tables.
    pub fn compile(&self) -> Result<CompiledPolicy, Refusals> {
        let file = self.file();
        let own = OwnPorts::new(file);
        let mut draft = Draft::default();
        let mut refusals = Vec::new();
        let provider_denied = providers::add_providers(&mut draft, self, &own, &mut refusals);
        own_allows::add(&mut draft, file);
        let (rules, terms) = draft.finish();
        if terms.len() > TERMS {
            let hint = "each rule takes a term for each set of ports that its rows have";
            refusals.push(too_many(file, Code::TooManyTerms, "terms", terms.len(), TERMS, Some(hint)));
        }
        let () = Refusals::unless_empty(refusals, ())?;
        let sources = sources::push_down(&rules, &terms, &provider_denied);
        let (denied, denied_origins) = denied(file);
        let too_many_prefixes = [
            prefix_limit(file, Code::TooManyPrefixes, "source", sources.iter().map(|(prefix, _)| prefix), PREFIXES),
            prefix_limit(file, Code::TooManyDenied, "denied", denied.iter(), DENY_PREFIXES),
        ];
        let () = Refusals::unless_empty(too_many_prefixes.into_iter().flatten().collect(), ())?;
        let (sources, source_sets) = sources::number(&sources);
        let tables = tables::build(file, &own, &rules, &terms, &source_sets)
            .map_err(|Overflow { code, what, needed, limit }| too_many(file, code, what, needed, limit, None))?;
        Ok(CompiledPolicy { tables, sources, denied, denied_origins, provider_denied, rules, terms })
    }
}

/// The deny list, each prefix once, with the first line that states it.
fn denied(file: &PolicyFile) -> (Vec<IpNet>, Vec<Origin>) {
    let mut denied: Vec<_> = file.denies.iter().flat_map(|deny| deny.from.iter().cloned()).collect();
    denied.sort_by_key(|(prefix, _)| *prefix);
    denied.dedup_by_key(|(prefix, _)| *prefix);
    denied.into_iter().unzip()
}

fn too_many(file: &PolicyFile, code: Code, what: &str, needed: usize, limit: usize, hint: Option<&str>) -> Refusal {
    Refusal {
        code,
        file: file.name.to_string(),
        line: 0,
        message: format!("the policy needs {needed} {what}, and there is room for {limit}"),
        hint: hint.map(str::to_owned),
    }
}

fn prefix_limit<'a>(
    file: &PolicyFile,
    code: Code,
    kind: &str,
    prefixes: impl Iterator<Item = &'a IpNet>,
    limit: u32,
) -> Option<Refusal> {
    let (v4, v6): (Vec<&IpNet>, Vec<&IpNet>) = prefixes.partition(|prefix| matches!(prefix, IpNet::V4(_)));
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (family, needed) = [("IPv4", v4.len()), ("IPv6", v6.len())].into_iter().find(|(_, needed)| *needed > limit)?;
    Some(too_many(file, code, &format!("{kind} prefixes of {family}"), needed, limit, None))
}
