//! A TOML document, read key by key: every error is collected with its line, and every key that nobody asked for is one.

use std::{cell::RefCell, ops::Range};

use toml::de::{DeTable, DeValue};

use crate::policy::refusal::{Code, Refusal, Refusals};

/// The document and what it is refused for so far.
pub(super) struct Document {
    file: String,
    /// The offset of each line's end.
    line_ends: Vec<usize>,
    refusals: RefCell<Vec<Refusal>>,
}

impl Document {
    /// Reads the syntax.
    ///
    /// What can be made of a file that is not TOML would be refused for what it does not say: its syntax is enough.
    pub(super) fn parse<'t>(file: &str, text: &'t str) -> Result<(Self, DeTable<'t>), Refusals> {
        let line_ends = text.match_indices('\n').map(|(offset, _)| offset).collect();
        let document = Self { file: file.to_owned(), line_ends, refusals: RefCell::default() };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let line = error.span().map_or(0, |span| document.line(&span));
            let message = format!("not TOML: {}", error.message());
            let hint = line.checked_sub(1).and_then(|before| bare_range(text.lines().nth(before as usize)?));
            document.add(Refusal { code: Code::Syntax, file: file.to_owned(), line, message, hint });
        }
        let refusals = document.refusals.take();
        Refusals::unless_empty(refusals, (document, table.into_inner()))
    }

    /// The line on which the span begins, from 1.
    fn line(&self, span: &Range<usize>) -> u32 {
        let before = self.line_ends.partition_point(|end| *end < span.start);
        u32::try_from(before + 1).unwrap_or(u32::MAX)
    }

    /// Refuses the document for something on this line.
    pub(super) fn refuse(&self, code: Code, line: u32, message: String) {
        self.add(Refusal { code, file: self.file.clone(), line, message, hint: None });
    }

    /// The same, with what to do about it.
    pub(super) fn refuse_with_hint(&self, code: Code, line: u32, message: String, hint: String) {
        self.add(Refusal { code, file: self.file.clone(), line, message, hint: Some(hint) });
    }

    /// Adds a refusal that may name another file.
    pub(super) fn add(&self, refusal: Refusal) {
        self.refusals.borrow_mut().push(refusal);
    }

    /// What the document is refused for.
    pub(super) fn into_refusals(self) -> Vec<Refusal> {
        self.refusals.into_inner()
    }
}

/// What to do about a line with a range of ports that does not stand in quotes, as in `[10000-20000]`.
fn bare_range(line: &str) -> Option<String> {
    let bare = line.split('#').next()?.split(['\'', '"']).step_by(2);
    let ranges = bare.flat_map(|text| text.split([' ', '\t', '[', ']', ',', '='])).filter(|word| {
        word.split_once('-').is_some_and(|(first, last)| {
            [first, last].iter().all(|port| !port.is_empty() && port.bytes().all(|octet| octet.is_ascii_digit()))
        })
    });
    let range = ranges.into_iter().next()?;
    Some(format!("a range of ports stands in quotes: `[\"{range}\"]`"))
}

/// A table of the document.
pub(super) struct Section<'d, 't> {
    pub(super) document: &'d Document,
    /// As people write it: `[sbc]`, `[[provider]]`.
    pub(super) name: String,
    pub(super) line: u32,
    entries: DeTable<'t>,
    /// The keys that were asked for.
    known: Vec<&'static str>,
}

impl<'d, 't> Section<'d, 't> {
    pub(super) fn new(document: &'d Document, name: &str, line: u32, entries: DeTable<'t>) -> Self {
        Self { document, name: name.to_owned(), line, entries, known: Vec::new() }
    }

    /// The value of the key, if it is there.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value<'d, 't>> {
        self.known.push(key);
        let value = self.entries.remove(key)?;
        let line = self.document.line(&value.span());
        Some(Value { document: self.document, key, line, inner: value.into_inner() })
    }

    /// The value of the key, refused if it is not there.
    pub(super) fn require(&mut self, key: &'static str) -> Option<Value<'d, 't>> {
        let value = self.take(key);
        if value.is_none() {
            self.document.refuse(Code::MissingKey, self.line, format!("{} has no `{key}`", self.name));
        }
        value
    }

    /// The table under the key.
    pub(super) fn section(&mut self, key: &'static str, name: &str) -> Option<Self> {
        self.take(key)?.section(name)
    }

    /// The array of tables under the key; none if it is not there.
    pub(super) fn sections(&mut self, key: &'static str, name: &str) -> Vec<Self> {
        let items = self.take(key).and_then(|value| value.tables(name)).unwrap_or_default();
        items.into_iter().filter_map(|item| item.section(name)).collect()
    }

    /// Refuses every key that was not asked for.
    pub(super) fn finish(self) {
        for key in self.entries.keys() {
            let line = self.document.line(&key.span());
            let message = format!("{} has no key `{}`", self.name, key.get_ref());
            let known: Vec<_> = self.known.iter().map(|key| format!("`{key}`")).collect();
            self.document.refuse_with_hint(Code::UnknownKey, line, message, format!("it has {}", known.join(", ")));
        }
    }
}

/// A value of the document, with the key that it belongs to.
pub(super) struct Value<'d, 't> {
    pub(super) document: &'d Document,
    pub(super) key: &'static str,
    pub(super) line: u32,
    inner: DeValue<'t>,
}

impl<'d, 't> Value<'d, 't> {
    /// Refuses the value for something.
    pub(super) fn refuse(&self, code: Code, message: String) {
        self.document.refuse(code, self.line, message);
    }

    /// Refuses the value for something, with what to do about it.
    pub(super) fn refuse_with_hint(&self, code: Code, message: String, hint: String) {
        self.document.refuse_with_hint(code, self.line, message, hint);
    }

    fn wrong_type(&self, expected: &str) {
        self.refuse(Code::WrongType, self.takes(expected));
    }

    fn takes(&self, expected: &str) -> String {
        format!("`{}` takes {expected}, not a TOML {}", self.key, self.inner.type_str())
    }

    /// The value as one would type it, if it can be an item of a list.
    fn as_item(&self) -> Option<String> {
        match &self.inner {
            DeValue::String(text) => Some(format!("\"{text}\"")),
            DeValue::Integer(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// The value as it stands, if it is a string.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.inner {
            DeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value as an integer from 0, if it is one.
    pub(super) fn as_number(&self) -> Option<u64> {
        match &self.inner {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        }
    }

    /// The text, refused if it is something else.
    pub(super) fn text(&self) -> Option<String> {
        if self.as_text().is_none() {
            self.wrong_type("a string");
        }
        self.as_text().map(str::to_owned)
    }

    /// Whether it is true, refused if it is neither true nor false.
    pub(super) fn boolean(&self) -> Option<bool> {
        if let DeValue::Boolean(value) = self.inner {
            return Some(value);
        }
        self.wrong_type("`true` or `false`");
        None
    }

    /// The items of a list, refused if it is something else.
    pub(super) fn items(self) -> Option<Vec<Self>> {
        let Self { document, key, line, inner } = self;
        match inner {
            DeValue::Array(items) => Some(
                items
                    .into_iter()
                    .map(|item| Self { document, key, line: document.line(&item.span()), inner: item.into_inner() })
                    .collect(),
            ),
            inner => {
                let value = Self { document, key, line, inner };
                match value.as_item() {
                    Some(item) => {
                        let hint = format!("write `{key} = [{item}]`");
                        value.refuse_with_hint(Code::WrongType, value.takes("a list"), hint);
                    }
                    None => value.wrong_type("a list"),
                }
                None
            }
        }
    }

    /// The items of a list of tables, called `name` by people; refused if it is something else.
    fn tables(self, name: &str) -> Option<Vec<Self>> {
        if matches!(self.inner, DeValue::Table(_)) {
            let message = format!("`[{}]` is one table, and there can be several", self.key);
            self.refuse_with_hint(Code::WrongType, message, format!("write `{name}`"));
            return None;
        }
        self.items()
    }

    /// The items of a list that has one.
    pub(super) fn some_items(self) -> Option<Vec<Self>> {
        let Self { document, key, line, inner: _ } = self;
        let items = self.items()?;
        if items.is_empty() {
            document.refuse(Code::EmptyList, line, format!("`{key}` is empty"));
            return None;
        }
        Some(items)
    }

    /// The table, called `name` by people; refused if it is something else.
    pub(super) fn section(self, name: &str) -> Option<Section<'d, 't>> {
        match self.inner {
            DeValue::Table(entries) => Some(Section::new(self.document, name, self.line, entries)),
            _ => {
                self.wrong_type("a table");
                None
            }
        }
    }

    /// What the word stands for among `choices`.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = choices.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("`\"{word}\"`")).collect();
            let message = format!("`{}` does not take `\"{text}\"`", self.key);
            self.refuse_with_hint(Code::UnknownValue, message, format!("it takes {}", words.join(" or ")));
        }
        found.map(|(_, value)| *value)
    }
}
