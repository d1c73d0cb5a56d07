//! The policy file: TOML that is read key by key, so that every error names its line.

mod document;
mod model;
mod own;
mod provider;
mod sbc;
mod source;
mod title;
mod values;

use std::{collections::HashMap, path::Path, sync::Arc};

pub use model::{
    CLASSES, DEFAULT_CLASSES, Deny, Fragments, Inspection, Inspections, LimitRates, Listen, Located, OwnAllow,
    PolicyFile, Provider, Proxy, Sbc, Source, Trunk,
};
pub use own::read_deny_list;
pub use source::is_url;
pub use values::{LONGEST_NAME, is_name};

use self::document::{Document, Section};
use super::refusal::{Code, Refusal, Refusals};
use crate::{allowlist::Service, text_file};

/// The largest policy file, in bytes; its deny lists can be files of their own.
const LARGEST_POLICY: u64 = 16 * 1024 * 1024;

/// The services that `[sbc.listen]` has keys for.
const LISTEN: [Service; 5] = [Service::SipUdp, Service::SipTcp, Service::SipTls, Service::SipWss, Service::Media];

impl PolicyFile {
    /// Reads a policy file and the deny lists that it names.
    ///
    /// # Errors
    /// Everything that is wrong with it, as far as it can be read.
    pub fn read(path: &Path) -> Result<Self, Refusals> {
        let text = text_file::read(path, LARGEST_POLICY).map_err(|error| Refusal {
            code: Code::Unreadable,
            file: path.display().to_string(),
            line: 0,
            message: format!("the policy cannot be read: {error}"),
            hint: None,
        })?;
        Self::parse(path, &text)
    }

    /// Reads the text of the policy file at `path`, to whose directory the files that it names are relative.
    ///
    /// # Errors
    /// Everything that is wrong with it, as far as it can be read.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Refusals> {
        let name: Arc<str> = path.display().to_string().into();
        let directory = path.parent().unwrap_or_else(|| Path::new(""));
        let (document, table) = Document::parse(&name, text)?;
        let file = read(Section::new(&document, "the policy", 1, table), name, directory);
        refuse_duplicates(&document, &file);
        Refusals::unless_empty(document.into_refusals(), file)
    }
}

fn read(mut top: Section<'_, '_>, name: Arc<str>, directory: &Path) -> PolicyFile {
    let (sbc, listen) = match top.section("sbc", "[sbc]") {
        Some(mut section) => {
            let listen = section.section("listen", "[sbc.listen]");
            let read = (sbc::sbc(&mut section), sbc::listen(listen, &LISTEN));
            section.finish();
            read
        }
        None => (Sbc::default(), Listen::default()),
    };
    let file = PolicyFile {
        sbc,
        listen,
        classes: sbc::classes(top.section("classes", "[classes]")),
        limits: sbc::limits(top.section("limits", "[limits]")),
        inspect: sbc::inspect(top.section("inspect", "[inspect]")),
        providers: top.sections("provider", "[[provider]]").into_iter().filter_map(provider::provider).collect(),
        allows: top.sections("allow", "[[allow]]").into_iter().filter_map(own::allow).collect(),
        denies: top
            .sections("deny", "[[deny]]")
            .into_iter()
            .filter_map(|section| own::deny(section, &name, directory))
            .collect(),
        name,
    };
    top.finish();
    file
}

/// Rules are counted and shown by their names: two of one kind cannot share one.
fn refuse_duplicates(document: &Document, file: &PolicyFile) {
    let kinds: [(&str, Vec<&Located<String>>); 3] = [
        ("provider", file.providers.iter().map(|provider| &provider.name).collect()),
        ("allow", file.allows.iter().map(|allow| &allow.name).collect()),
        ("deny", file.denies.iter().map(|deny| &deny.name).collect()),
    ];
    for (kind, names) in kinds {
        let mut first = HashMap::new();
        for name in names {
            if let Some(line) = first.insert(&name.value, name.line) {
                let message = format!("[[{kind}]] `{}` has the name of the one on line {line}", name.value);
                document.refuse(Code::DuplicateName, name.line, message);
            }
        }
    }
}
