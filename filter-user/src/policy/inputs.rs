//! A policy with all that it is made from.

use std::{collections::BTreeSet, fmt::Display, path::Path};

use super::{
    file::{PolicyFile, Provider},
    refusal::{Code, Refusal, Refusals},
};
use crate::allowlist::{Allowlist, Entry, Service};

/// A policy file and the allowlist of each of its providers.
#[derive(Clone, Debug)]
pub struct Policy {
    file: PolicyFile,
    /// One for each provider; nothing where it has only a trunk.
    allowlists: Vec<Option<Allowlist>>,
}

impl Policy {
    /// Loads a policy file with its deny lists and allowlists, but for those with a `source`, which are not fetched.
    ///
    /// # Errors
    /// Everything that is wrong with them, as far as they can be read.
    pub fn load(path: &Path) -> Result<Self, Refusals> {
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        Self::new(PolicyFile::read(path)?, |name| Allowlist::load(name, folder))
    }

    /// Joins a policy file with the allowlists that `load` finds under the names which the file gives.
    ///
    /// # Errors
    /// Every allowlist that `load` does not find, every source, and what of the file does not fit the allowlists.
    pub fn new<E: Display>(file: PolicyFile, load: impl Fn(&str) -> Result<Allowlist, E>) -> Result<Self, Refusals> {
        Self::join(file, |provider, name| match provider.source {
            Some(_) => Err(Unavailable::not_fetched(name)),
            None => load(name).map_err(|error| Unavailable::unknown(&error)),
        })
    }

    /// Joins a policy file with the allowlists that `load` has for a provider and the name or source which it gives.
    ///
    /// # Errors
    /// Every allowlist that `load` does not have, and what of the file does not fit the ones that it has.
    pub fn join(
        file: PolicyFile,
        load: impl Fn(&Provider, &str) -> Result<Allowlist, Unavailable>,
    ) -> Result<Self, Refusals> {
        let mut refusals = Vec::new();
        let mut allowlists = Vec::with_capacity(file.providers.len());
        for provider in &file.providers {
            let allowlist = provider.allowlist.as_ref().and_then(|name| match load(provider, &name.value) {
                Ok(allowlist) => Some(allowlist),
                Err(unavailable) => {
                    refusals.push(unavailable.at(&file, name.line));
                    None
                }
            });
            if let Some(allowlist) = &allowlist {
                refusals.extend(unknown_regions(&file, provider, allowlist));
                refusals.extend(missing_services(&file, provider, allowlist));
            }
            allowlists.push(allowlist);
        }
        Refusals::unless_empty(refusals, Self { file, allowlists })
    }

    /// What the policy file says.
    pub const fn file(&self) -> &PolicyFile {
        &self.file
    }

    /// The providers with their allowlists.
    pub fn providers(&self) -> impl Iterator<Item = (&Provider, Option<&Allowlist>)> {
        self.file.providers.iter().zip(self.allowlists.iter().map(Option::as_ref))
    }

    /// The entries of the regions that the provider's `regions` choose; an entry without a region belongs to all.
    pub fn chosen<'a>(provider: &'a Provider, allowlist: &'a Allowlist) -> impl Iterator<Item = &'a Entry> {
        allowlist.entries.iter().filter(|entry| {
            let all = provider.regions.is_empty() || entry.regions.is_empty();
            all || provider.regions.iter().any(|wanted| entry.regions.iter().any(|known| is_same(known, &wanted.value)))
        })
    }
}

fn is_same(known: &str, wanted: &str) -> bool {
    known.to_lowercase() == wanted.to_lowercase()
}

/// Why there is no allowlist for a provider.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unavailable {
    code: Code,
    message: String,
    hint: Option<String>,
}

impl Unavailable {
    /// The allowlist is neither built in nor a readable file; what `error` says behind `hint: ` is the hint.
    pub fn unknown(error: &impl Display) -> Self {
        let text = error.to_string();
        let (message, hint) = match text.split_once("\nhint: ") {
            Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
            None => (text, None),
        };
        Self { code: Code::UnknownAllowlist, message, hint }
    }

    /// The document of this source was never fetched.
    pub fn not_fetched(source: &str) -> Self {
        let message = format!("no document of `{source}` was fetched and accepted yet");
        Self { code: Code::NotFetched, message, hint: Some("run `sipwall refresh` with this policy first".to_owned()) }
    }

    fn at(self, file: &PolicyFile, line: u32) -> Refusal {
        let Self { code, message, hint } = self;
        Refusal { code, file: file.name.to_string(), line, message, hint }
    }
}

fn unknown_regions(file: &PolicyFile, provider: &Provider, allowlist: &Allowlist) -> Vec<Refusal> {
    let known: BTreeSet<_> = allowlist.entries.iter().flat_map(|entry| &entry.regions).collect();
    let unknown = provider.regions.iter().filter(|wanted| !known.iter().any(|known| is_same(known, &wanted.value)));
    let names: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    let hint = if names.is_empty() {
        "the allowlist is not divided into regions: leave `regions` out".to_owned()
    } else {
        format!("it knows {}", names.join(", "))
    };
    unknown
        .map(|wanted| Refusal {
            code: Code::UnknownRegion,
            file: file.name.to_string(),
            line: wanted.line,
            message: format!("the allowlist of `{}` knows no region `{}`", provider.name.value, wanted.value),
            hint: Some(hint.clone()),
        })
        .collect()
}

fn missing_services(file: &PolicyFile, provider: &Provider, allowlist: &Allowlist) -> Option<Refusal> {
    let unspecified = Policy::chosen(provider, allowlist).find(|entry| entry.service == Service::Unspecified)?;
    provider.services.is_empty().then(|| Refusal {
        code: Code::MissingServices,
        file: file.name.to_string(),
        line: provider.name.line,
        message: format!(
            "the allowlist of `{}` does not say what runs at its addresses (line {} of the document)",
            provider.name.value, unspecified.line
        ),
        hint: Some("say it in the provider: `services = [\"sip-tls\", \"media\"]`".to_owned()),
    })
}
