//! Tells rows for people's own devices (laptops, browsers, SDKs) from rows for a session border controller.

use super::{
    super::words::{WordSet, words},
    fields::Fields,
    headings::Headings,
};

/// Words that speak of people's devices.
static CLIENT_WORDS: WordSet = WordSet::new(
    "laptop laptops desktop desktops browser browsers sdk sdks workstation workstations softphone \
    softphones client clients mobile smartphone smartphones pc pcs webrtc computer computers notebook notebooks \
    tablet tablets chrome firefox safari android ios",
);

/// Words that speak of telephony equipment.
static EQUIPMENT_WORDS: WordSet =
    WordSet::new("sbc sbcs gateway gateways trunk trunks trunking pbx border carrier byoc interconnect");

/// Words that clients have too: a browser talks to servers, a softphone SIP.
static SHARED_WORDS: WordSet = WordSet::new("server servers sip");

/// What a text says of whom it is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Says {
    Equipment,
    Clients,
    /// Of clients, and of what they share with equipment.
    Both,
    Shared,
}

/// Whether a row is for people's devices alone: its own words say so, or where they say nothing, the nearest heading
/// that says anything.
pub(crate) fn is_for_clients(fields: &Fields, headings: &Headings) -> bool {
    let mut own = says(&fields.labels.join(" ")).into_iter().chain(says(&fields.group));
    match own.find(|said| *said != Says::Shared) {
        Some(said) => said != Says::Equipment,
        None => headings.for_clients,
    }
}

/// Whether what stands under headings with these texts, nearest first, is for people's devices alone.
pub(crate) fn are_for_clients<'a>(mut texts: impl Iterator<Item = &'a str>) -> bool {
    texts.find_map(says) == Some(Says::Clients)
}

fn says(text: &str) -> Option<Says> {
    let words = words(text);
    let has = |listed: &WordSet| words.iter().any(|word| listed.has(word));
    match (has(&EQUIPMENT_WORDS), has(&CLIENT_WORDS), has(&SHARED_WORDS)) {
        (true, ..) => Some(Says::Equipment),
        (false, true, false) => Some(Says::Clients),
        (false, true, true) => Some(Says::Both),
        (false, false, true) => Some(Says::Shared),
        (false, false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(label: &str, headings: &[&str], expected: bool) {
        let fields = Fields { labels: vec![label.to_owned()], ..Fields::default() };
        let read = Headings::of(headings.iter().copied());
        assert_eq!(is_for_clients(&fields, &read), expected, "{label} under {headings:?}");
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
