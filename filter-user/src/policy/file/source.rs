//! `source` of a `[[provider]]`, and the keys that say how it is refreshed.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

use super::{
    document::{Section, Value},
    model::{Located, Source},
    provider::located_text,
};
use crate::policy::refusal::Code;

/// How long an answer holds unless the policy says otherwise.
const DEFAULT_REFRESH: Duration = Duration::from_hours(6);
/// How long what is gone stays allowed unless the policy says otherwise.
const DEFAULT_GRACE: Duration = Duration::from_hours(7 * 24);
/// How many of a hundred prefixes may be gone unless the policy says otherwise.
const DEFAULT_MAX_SHRINK: u8 = 20;
/// Asking more often than this burdens a provider's server and learns nothing.
const SHORTEST_REFRESH: Duration = Duration::from_secs(1);
/// Hosts that no packet on its way to can be read or changed by others.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

/// The keys beside `source`.
const SETTINGS: [&str; 4] = ["refresh", "max_shrink", "grace", "resolve"];

/// Whether a source is fetched from a server; else it is a path.
pub fn is_url(source: &str) -> bool {
    source.contains("://")
}

/// What stands in `source`, if it can be used, and how it is refreshed; nothing if the provider has none of the keys.
pub(super) fn source(section: &mut Section<'_, '_>) -> Option<(Option<Located<String>>, Source)> {
    let place = section.take("source");
    let [refresh, max_shrink, grace, resolve] = SETTINGS.map(|key| section.take(key));
    let Some(place) = place else {
        for setting in [refresh, max_shrink, grace, resolve].into_iter().flatten() {
            setting.refuse(Code::MissingKey, format!("`{}` belongs to a `source`, and there is none", setting.key));
        }
        return None;
    };
    let settings = Source {
        refresh: refresh.and_then(|value| refresh_interval(&value)).unwrap_or(DEFAULT_REFRESH),
        max_shrink: max_shrink.and_then(|value| percent(&value)).unwrap_or(DEFAULT_MAX_SHRINK),
        grace: grace.and_then(|value| duration(&value)).unwrap_or(DEFAULT_GRACE),
        resolve: resolve.and_then(|value| value.boolean()).unwrap_or_default(),
    };
    Some((trusted(&place), settings))
}

/// Refuses what cannot stand beside a source.
pub(super) fn refuse_contradictions(
    section: &Section<'_, '_>,
    allowlist: Option<&Located<String>>,
    source: Option<&Source>,
    without_services: bool,
) {
    let Some(source) = source else { return };
    if let Some(allowlist) = allowlist {
        let message = "a provider has an `allowlist` or a `source`, not both".to_owned();
        section.document.refuse(Code::BadSource, allowlist.line, message);
    }
    if source.resolve && without_services {
        let message = "`resolve` needs `services`: a name does not say what runs there".to_owned();
        let hint = "say it in the provider: `services = [\"sip-tls\", \"media\"]`".to_owned();
        section.document.refuse_with_hint(Code::MissingServices, section.line, message, hint);
    }
}

/// A path, or a URL whose answer nobody on the way can forge.
fn trusted(value: &Value<'_, '_>) -> Option<Located<String>> {
    let place = located_text(value)?;
    if is_url(&place.value) && !is_protected(&place.value) {
        let message = format!("`{}` is not fetched with TLS: anyone on the way could let himself in", place.value);
        let hint = "write an `https://` URL; `http://` is for `127.0.0.1`, `[::1]` and `localhost` alone";
        value.refuse_with_hint(Code::BadSource, message, hint.to_owned());
        return None;
    }
    if place.value.is_empty() {
        value.refuse(Code::BadSource, "`source` is empty".to_owned());
        return None;
    }
    Some(place)
}

fn is_protected(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|octet| octet.is_ascii_digit()));
    let host = host.map_or(authority, |(host, _)| host);
    match scheme {
        "https" => !host.is_empty(),
        "http" => LOOPBACK.contains(&host),
        _ => false,
    }
}

fn duration(value: &Value<'_, '_>) -> Option<Duration> {
    let text = value.text()?;
    let span = text.parse::<Span>().ok();
    let length = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    let length = length.and_then(|length| Duration::try_from(length).ok());
    if length.is_none() {
        let message = format!("`{}` takes a length of time, not `{}`", value.key, text.escape_debug());
        value.refuse_with_hint(Code::BadDuration, message, "write `30m`, `6h` or `7d`".to_owned());
    }
    length
}

fn refresh_interval(value: &Value<'_, '_>) -> Option<Duration> {
    let interval = duration(value)?;
    if interval < SHORTEST_REFRESH {
        value.refuse(Code::BadDuration, "`refresh` takes a second at the least".to_owned());
        return None;
    }
    Some(interval)
}

fn percent(value: &Value<'_, '_>) -> Option<u8> {
    let text = value.text()?;
    let number = text.strip_suffix('%').map(str::trim_end).and_then(|number| number.parse().ok());
    let percent = number.filter(|percent| *percent <= 100);
    if percent.is_none() {
        let message = format!("`{}` takes a share from 0 % to 100 %, not `{}`", value.key, text.escape_debug());
        value.refuse_with_hint(Code::BadShare, message, "write `\"20 %\"`".to_owned());
    }
    percent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_protected_by_tls_or_does_not_leave_the_host() {
        for protected in
            ["https://example.net/x", "https://example.net:8443", "http://127.0.0.1:8080/x", "http://[::1]/"]
        {
            assert!(is_protected(protected), "{protected}");
        }
        for open in [
            "http://example.net/x",
            "ftp://127.0.0.1/x",
            "https:///x",
            "http://127.0.0.1@example.net/",
            "http://127.0.0.1.example.net/",
        ] {
            assert!(!is_protected(open), "{open}");
        }
    }
}
