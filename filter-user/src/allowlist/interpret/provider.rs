//! Tells whose document it is.

use super::super::words::words;

/// Words that name a provider, with the provider's short name.
const PROVIDERS: [(&str, &str); 12] = [
    ("kore", "kore"),
    ("koreai", "kore"),
    ("smartassist", "kore"),
    ("twilio", "twilio"),
    ("genesys", "genesys"),
    ("mypurecloud", "genesys"),
    ("purecloud", "genesys"),
    ("zoom", "zoom"),
    ("chime", "aws"),
    ("aws", "aws"),
    ("amazonaws", "aws"),
    ("microsoft", "microsoft"),
];

/// The provider's short name: by the title, else by the file's name, else by the first provider that the text names,
/// else the first word of the file's name.
pub(crate) fn provider_of(title: &str, file_stem: &str, text: &str) -> String {
    let named = |text: &str| words(text).iter().find_map(|word| of_word(word));
    let found = named(title).or_else(|| named(file_stem)).or_else(|| text.lines().find_map(named));
    let fallback = || words(file_stem).into_iter().next().unwrap_or_else(|| "provider".to_owned());
    found.map_or_else(fallback, str::to_owned)
}

fn of_word(word: &str) -> Option<&'static str> {
    PROVIDERS.iter().find(|(known, _)| *known == word).map(|(_, provider)| *provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn title_goes_before_file_name_and_file_name_before_text() {
        for (title, stem, text, expected) in [
            ("Configure Twilio Interconnect", "kore", "genesys", "twilio"),
            ("Firewall Rules", "kore-us", "twilio.com", "kore"),
            ("Firewall Rules", "page", "a\n*.kore.ai\n*.twilio.com", "kore"),
            ("Firewall Rules", "acme-voice", "", "acme"),
            ("", "", "", "provider"),
        ] {
            assert_eq!(provider_of(title, stem, text), expected);
        }
    }
}
