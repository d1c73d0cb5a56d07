//! Tells rows for people's own devices (laptops, browsers, SDKs) from rows for a session border controller.

use super::{
    super::words::{WordSet, words},
    fields::Fields,
};

/// Words that speak of people's devices.
static CLIENT_WORDS: WordSet = WordSet::new(
    "laptop laptops desktop desktops browser browsers sdk sdks workstation workstations softphone \
    softphones client clients mobile smartphone smartphones pc pcs webrtc",
);

/// Words that speak of telephony equipment.
static SERVER_WORDS: WordSet = WordSet::new(
    "sbc sbcs gateway gateways trunk trunks trunking server servers sip pbx border carrier byoc \
    interconnect",
);

/// Whether a row is for people's devices alone: its own words say so, or where they say nothing, the nearest heading
/// that says anything.
pub(crate) fn is_for_clients(fields: &Fields, headings: &[String]) -> bool {
    let own = [fields.labels.join(" "), fields.group.clone()];
    own.iter().chain(headings).find_map(|text| says(text)).unwrap_or(false)
}

/// Whether addresses under these headings are for people's devices alone.
pub(crate) fn stands_under_clients(headings: &[String]) -> bool {
    headings.iter().find_map(|text| says(text)).unwrap_or(false)
}

/// Whether a text speaks of clients alone; `None` where it speaks of neither.
fn says(text: &str) -> Option<bool> {
    let words = words(text);
    let has = |listed: &WordSet| words.iter().any(|word| listed.has(word));
    match (has(&CLIENT_WORDS), has(&SERVER_WORDS)) {
        (_, true) => Some(false),
        (true, false) => Some(true),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(label: &str, headings: &[&str], expected: bool) {
        let fields = Fields { labels: vec![label.to_owned()], ..Fields::default() };
        let headings: Vec<_> = headings.iter().map(|heading| (*heading).to_owned()).collect();
        assert_eq!(is_for_clients(&fields, &headings), expected, "{label} under {headings:?}");
    }

    #[test]
    fn a_row_s_own_words_go_before_its_headings() {
        check("Agent laptop", &["Session Border Controllers"], true);
        check("SBC", &["Desktop clients"], false);
        check("Media", &["Voice SDK", "Network"], true);
        check("Media", &["Media", "SIP trunking for browsers"], false);
        check("Media", &["Firewall rules"], false);
    }
}
