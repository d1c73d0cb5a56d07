//! `[[allow]]` and `[[deny]]`.

use std::{path::Path, sync::Arc};

use ipnet::IpNet;

use super::{
    document::{Section, Value},
    model::{Deny, Located, OwnAllow},
    values::{self, BadPrefix},
};
use crate::{
    policy::{
        Origin, PortSet,
        origin::Document as OriginDocument,
        refusal::{Code, Refusal, Refusals},
    },
    text_file,
};

/// The largest deny list, in bytes: two million prefixes with a remark behind each.
const LARGEST_DENY_LIST: u64 = 128 * 1024 * 1024;

/// One `[[allow]]`; nothing if it has no name.
pub(super) fn allow(mut section: Section<'_, '_>) -> Option<OwnAllow> {
    let name = section.require("name").and_then(|value| values::name(&value));
    let from = section.require("from").map(values::prefixes).unwrap_or_default();
    let [tcp, udp] = ["tcp", "udp"].map(|key| section.take(key).map(values::ports));
    let protocols = section.take("protocols").map(Value::some_items);
    if tcp.is_none() && udp.is_none() && protocols.is_none() {
        let message = "[[allow]] has none of `tcp`, `udp` and `protocols`".to_owned();
        section.document.refuse(Code::MissingKey, section.line, message);
    }
    section.finish();
    let protocols = protocols.flatten().unwrap_or_default();
    Some(OwnAllow {
        name: name?,
        from,
        tcp: tcp.unwrap_or_else(PortSet::default),
        udp: udp.unwrap_or_else(PortSet::default),
        protocols: protocols.iter().filter_map(values::protocol).collect(),
    })
}

/// One `[[deny]]` of the policy called `policy`, whose files are relative to `directory`; nothing if it has no name.
pub(super) fn deny(mut section: Section<'_, '_>, policy: &Arc<str>, directory: &Path) -> Option<Deny> {
    let name = section.require("name").and_then(|value| values::name(&value));
    let (from, file) = (section.take("from"), section.take("file"));
    if from.is_none() && file.is_none() {
        section.document.refuse(Code::MissingKey, section.line, "[[deny]] has neither `from` nor `file`".to_owned());
    }
    section.finish();
    let origin = |line| Origin { document: OriginDocument::Policy(Arc::clone(policy)), line };
    let stated = from.map(values::prefixes).unwrap_or_default();
    let mut prefixes: Vec<_> = stated.into_iter().map(|Located { value, line }| (value, origin(line))).collect();
    let file = file.and_then(|file| Some((directory.join(file.text()?), file)));
    if let Some((path, value)) = &file {
        prefixes.extend(deny_file(path, value).unwrap_or_default());
    }
    Some(Deny { name: name?, from: prefixes, file: file.map(|(path, _)| path) })
}

/// The hosts and CIDRs of a file, one a line; `#` begins a comment.
fn deny_file(path: &Path, value: &Value<'_, '_>) -> Option<Vec<(IpNet, Origin)>> {
    let file: Arc<str> = path.display().to_string().into();
    let text = match text_file::read(path, LARGEST_DENY_LIST) {
        Ok(text) => text,
        Err(error) => {
            value.refuse(Code::Unreadable, format!("`{file}` cannot be read: {error}"));
            return None;
        }
    };
    let (listed, refusals) = listed_prefixes(&file, &text);
    for refusal in refusals {
        value.document.add(refusal);
    }
    let origin = |line| Origin { document: OriginDocument::Policy(Arc::clone(&file)), line };
    Some(listed.into_iter().map(|Located { value, line }| (value, origin(line))).collect())
}

/// The hosts and CIDRs of a deny list, one a line; `#` begins a comment.
///
/// # Errors
/// Every line that is neither.
pub fn read_deny_list(path: &Path) -> Result<Vec<IpNet>, Refusals> {
    let file = path.display().to_string();
    let text = text_file::read(path, LARGEST_DENY_LIST).map_err(|error| Refusal {
        code: Code::Unreadable,
        file: file.clone(),
        line: 0,
        message: format!("the list cannot be read: {error}"),
        hint: None,
    })?;
    let (listed, refusals) = listed_prefixes(&file, &text);
    Refusals::unless_empty(refusals, listed.into_iter().map(|Located { value, line: _ }| value).collect())
}

fn listed_prefixes(file: &str, text: &str) -> (Vec<Located<IpNet>>, Vec<Refusal>) {
    let (mut prefixes, mut refusals) = (Vec::new(), Vec::new());
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.split('#').next().unwrap_or_default().trim();
        if content.is_empty() {
            continue;
        }
        match values::parse_prefix(content) {
            Ok(value) => prefixes.push(Located { value, line }),
            Err(BadPrefix { code, message, hint }) => {
                refusals.push(Refusal { code, file: file.to_owned(), line, message, hint: Some(hint) });
            }
        }
    }
    (prefixes, refusals)
}
