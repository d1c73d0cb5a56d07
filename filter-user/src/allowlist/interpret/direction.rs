//! Tells from words who opens a connection, the provider or the reader.

use std::borrow::Cow;

use super::super::words::words;

/// Whether a text says that the provider opens the connection; `None` where it says nothing.
pub(super) fn is_inbound(text: &str) -> Option<bool> {
    let words = words(&with_arrows_spelt(text));
    let says = |listed: &[&str]| words.iter().any(|word| listed.contains(&word.as_str()));
    let inbound = says(&["inbound", "ingress", "incoming"]) || leads_to_the_reader(&words);
    let outbound = says(&["outbound", "egress", "outgoing", "bidirectional", "both"]) || comes_from_the_reader(&words);
    (inbound != outbound).then_some(inbound)
}

/// The text with `to` for its arrows.
fn with_arrows_spelt(text: &str) -> Cow<'_, str> {
    if !text.contains(['→', '➔', '⇒', '>']) {
        return text.into();
    }
    text.replace(['→', '➔', '⇒'], " to ").replace("->", " to ").into()
}

/// Words for the reader's own side.
const READER_WORDS: [&str; 6] = ["you", "your", "customer", "customers", "us", "our"];

fn is_reader(word: &str) -> bool {
    READER_WORDS.contains(&word)
}

/// `Acme to you`, `from Acme to the customer`.
fn leads_to_the_reader(words: &[String]) -> bool {
    let mut to =
        words.iter().enumerate().skip(1).filter(|(_, word)| ["to", "toward", "towards"].contains(&word.as_str()));
    to.any(|(at, _)| words[at + 1..].iter().find(|word| *word != "the").is_some_and(|word| is_reader(word)))
}

/// `from your network`, `you to Acme`.
fn comes_from_the_reader(words: &[String]) -> bool {
    let from = words.windows(2).any(|pair| pair[0] == "from" && is_reader(&pair[1]));
    let begins = words.first().is_some_and(|word| is_reader(word) && words.iter().any(|word| word == "to"));
    from || begins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_opens_a_connection_is_told_from_words() {
        for (text, expected) in [
            ("Inbound rules", Some(true)),
            ("Traffic from Acme to your SBC", Some(true)),
            ("Acme → you", Some(true)),
            ("Egress", Some(false)),
            ("From your network to Acme", Some(false)),
            ("You -> Acme", Some(false)),
            ("Inbound and outbound", None),
            ("How to open your firewall", None),
            ("SIP", None),
        ] {
            assert_eq!(is_inbound(text), expected, "{text}");
        }
    }
}
