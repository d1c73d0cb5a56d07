//! Words as documents write them: accents, footnote marks, odd dashes and spaces taken off.

use std::{collections::HashSet, sync::OnceLock};

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// A set of words that a document can use for one thing.
#[derive(Debug)]
pub(crate) struct WordSet {
    listed: &'static str,
    words: OnceLock<HashSet<&'static str>>,
}

impl WordSet {
    /// The words of a text, in lower case and parted by one space each.
    pub(crate) const fn new(listed: &'static str) -> Self {
        Self { listed, words: OnceLock::new() }
    }

    /// Whether `word` is among them.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.words.get_or_init(|| self.listed.split(' ').collect()).contains(word)
    }
}

/// Marks that point to a footnote.
const FOOTNOTE_MARKS: [char; 9] = ['†', '‡', '§', '¹', '²', '³', '⁴', '⁵', '®'];

/// One line of text without footnote marks, backticks and odd spaces, and with plain hyphens.
///
/// Line breaks stay: in a cell they separate items.
pub(crate) fn tidy(text: &str) -> String {
    if is_tidy(text) {
        return text.to_owned();
    }
    let mut tidied = String::with_capacity(text.len());
    for character in without_references(&text.replace("**", "")).chars() {
        match character {
            '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{ff0d}' => tidied.push('-'),
            '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}' | '`' | '↳' | '└' => {}
            '\n' => trim_end_and_push(&mut tidied, '\n'),
            mark if FOOTNOTE_MARKS.contains(&mark) => {}
            space if space.is_whitespace() => push_space(&mut tidied),
            other => tidied.push(other),
        }
    }
    strip_star(tidied.trim()).replace('\\', "")
}

/// Whether nothing can have to be tidied, as in most cells: plain words with one space between them.
fn is_tidy(text: &str) -> bool {
    let is_plain = |octet: &u8| octet.is_ascii_graphic() && !b"*`\\[".contains(octet);
    let words_are_plain =
        text.as_bytes().split(|octet| *octet == b' ').all(|word| !word.is_empty() && word.iter().all(is_plain));
    text.is_empty() || words_are_plain
}

/// Takes out references to footnotes, `[^1]`.
fn without_references(text: &str) -> String {
    let mut parts = text.split("[^");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(']') {
            Some((_, after)) => kept.push_str(after),
            None => kept.push_str(part),
        }
    }
    kept
}

fn push_space(text: &mut String) {
    if !text.is_empty() && !text.ends_with([' ', '\n']) {
        text.push(' ');
    }
}

fn trim_end_and_push(text: &mut String, character: char) {
    text.truncate(text.trim_end().len());
    text.push(character);
}

/// Takes off a star that points to a footnote, as in `Destination*`; the star of `192.0.2.*` stays.
fn strip_star(text: &str) -> &str {
    let stripped = text.trim_end_matches('*');
    if stripped.ends_with(|last: char| last.is_alphanumeric() || last == ')' || last == ' ') {
        stripped.trim_end()
    } else {
        text
    }
}

/// `text` in lower case and without accents: `São Paulo` and `sao paulo` fold alike.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfd().filter(|character| !is_combining_mark(*character)).flat_map(char::to_lowercase).collect()
}

/// The folded words of `text`: runs of letters and digits.
pub(crate) fn words(text: &str) -> Vec<String> {
    fold(text)
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether `phrase` occurs in `text` as consecutive whole words.
pub(crate) fn contains_phrase(text: &[String], phrase: &[String]) -> bool {
    !phrase.is_empty() && text.windows(phrase.len()).any(|window| window == phrase)
}

/// `text` cut to about `limit` characters, for a message.
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_odd_characters_are_tidied() {
        for (raw, expected) in [
            ("Source Port † ", "Source Port"),
            ("Destination*", "Destination"),
            ("192.0.2.*", "192.0.2.*"),
            ("*.kore.ai", "*.kore.ai"),
            ("10,000\u{a0}–\u{a0}60,000", "10,000 - 60,000"),
            ("a \n b", "a\nb"),
            ("192\\.0\\.2\\.1", "192.0.2.1"),
            ("192.0.2.1[^1]", "192.0.2.1"),
            ("↳", ""),
            ("**Protocol**", "Protocol"),
            ("", ""),
            ("UDP  5060 ", "UDP 5060"),
            ("UDP\t5060", "UDP 5060"),
        ] {
            assert_eq!(tidy(raw), expected, "{raw:?}");
        }
    }

    #[test]
    fn accents_and_case_fold_away() {
        assert_eq!(words("South America São-Paulo"), ["south", "america", "sao", "paulo"]);
    }

    #[test]
    fn phrases_match_whole_words_only() {
        let text = words("North America San Jose Gateways");
        assert!(contains_phrase(&text, &words("San Jose")));
        assert!(!contains_phrase(&text, &words("Jo")));
        assert!(!contains_phrase(&text, &[]));
    }
}
