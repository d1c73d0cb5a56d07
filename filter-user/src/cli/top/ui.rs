//! What the operator chose: keys become actions.

use std::{net::IpAddr, time::Duration};

use filter_common::Reason;
use filter_user::telemetry::{Ranked, Span};
use ipnet::IpNet;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{Model, is_of_listed_source};

/// What a key asks of whoever owns the screen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Action {
    Nothing,
    Quit,
    NextInterface,
    /// Read all again.
    Gather,
    /// Deny a source, for so long.
    Deny(IpNet, Lasting),
}

/// How long a source is denied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lasting {
    Hour,
    Day,
    Ever,
}

/// What tables are in the order of.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Sort {
    #[default]
    Rate,
    Total,
    Name,
}

/// What the keys go to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
enum Asked {
    #[default]
    Nothing,
    /// The filter is typed.
    Filter,
    /// Whether this source is to be denied.
    Deny(Question),
}

/// Whether a source is to be denied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Question {
    pub(super) prefix: IpNet,
    /// Whether a rule names it.
    pub(super) is_listed: bool,
}

/// What the operator chose.
#[derive(Debug, Default)]
pub(super) struct Ui {
    asked: Asked,
    paused: bool,
    sort: Sort,
    filter: String,
    span: usize,
    /// The source that is selected, by its text: ranks change.
    selected: Option<String>,
    said: Option<String>,
}

impl Ui {
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    pub(super) fn sort(&self) -> Sort {
        self.sort
    }

    pub(super) fn filter(&self) -> &str {
        &self.filter
    }

    pub(super) fn span(&self) -> Span {
        Span::ALL[self.span % Span::ALL.len()]
    }

    pub(super) fn is_filtering(&self) -> bool {
        self.asked == Asked::Filter
    }

    pub(super) fn question(&self) -> Option<&Question> {
        match &self.asked {
            Asked::Deny(question) => Some(question),
            Asked::Nothing | Asked::Filter => None,
        }
    }

    /// What came of the last action.
    pub(super) fn said(&self) -> Option<&str> {
        self.said.as_deref()
    }

    pub(super) fn say(&mut self, text: String) {
        self.said = Some(text);
    }

    /// The sources that the filter leaves.
    pub(super) fn sources<'a>(&self, model: &'a Model) -> Vec<&'a Ranked> {
        model.sources.iter().filter(|source| self.shows(source)).collect()
    }

    /// Whether the filter leaves a name.
    pub(super) fn shows_name(&self, name: &str) -> bool {
        name.contains(&self.filter)
    }

    fn shows(&self, source: &Ranked) -> bool {
        let mut words = source.reasons.iter().copied().chain(source.wanted.iter().map(String::as_str));
        self.shows_name(&source.what) || words.any(|word| self.shows_name(word))
    }

    /// The place of the selected source among those that are shown.
    pub(super) fn selection(&self, model: &Model) -> Option<usize> {
        let selected = self.selected.as_deref()?;
        self.sources(model).iter().position(|source| source.what == selected)
    }

    /// Selects the first source where none is selected that is there.
    pub(super) fn settle(&mut self, model: &Model) {
        if self.selection(model).is_none() {
            self.selected = self.sources(model).first().map(|source| source.what.clone());
        }
    }

    /// Takes a key.
    pub(super) fn press(&mut self, key: KeyEvent, model: &Model) -> Action {
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Action::Quit;
        }
        match self.asked.clone() {
            Asked::Nothing => self.command(key.code, model),
            Asked::Filter => self.type_filter(key.code),
            Asked::Deny(question) => self.answer(key.code, &question),
        }
    }

    fn command(&mut self, key: KeyCode, model: &Model) -> Action {
        self.said = None;
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return Action::Quit,
            KeyCode::Tab if model.interfaces > 1 => return Action::NextInterface,
            KeyCode::Up | KeyCode::Char('k') => self.select(model, |place| place.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.select(model, |place| place + 1),
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('/') => self.asked = Asked::Filter,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('w') => {
                self.span = (self.span + 1) % Span::ALL.len();
                return Action::Gather;
            }
            KeyCode::Char('d') => self.ask(model),
            _ => {}
        }
        Action::Nothing
    }

    fn select(&mut self, model: &Model, to: impl Fn(usize) -> usize) {
        let sources = self.sources(model);
        let place = self.selection(model).map_or(0, to).min(sources.len().saturating_sub(1));
        self.selected = sources.get(place).map(|source| source.what.clone());
    }

    fn ask(&mut self, model: &Model) {
        let selected = self.selection(model).and_then(|place| self.sources(model).get(place).copied());
        let Some(source) = selected else { return self.say("no source is selected".to_owned()) };
        let Ok(address) = source.what.parse::<IpAddr>() else {
            return self.say(format!("{} is no address that could be denied", source.what));
        };
        let mut reasons = source.reasons.iter().filter_map(|name| Reason::from_name(name));
        self.asked = Asked::Deny(Question { prefix: address.into(), is_listed: reasons.any(is_of_listed_source) });
    }

    fn type_filter(&mut self, key: KeyCode) -> Action {
        match key {
            KeyCode::Enter => self.asked = Asked::Nothing,
            KeyCode::Esc => {
                self.filter.clear();
                self.asked = Asked::Nothing;
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(character) => self.filter.push(character),
            _ => {}
        }
        Action::Nothing
    }

    fn answer(&mut self, key: KeyCode, question: &Question) -> Action {
        let lasting = match key {
            KeyCode::Char('1') => Lasting::Hour,
            KeyCode::Char('2') => Lasting::Day,
            KeyCode::Char('3') => Lasting::Ever,
            KeyCode::Char('n' | 'q') | KeyCode::Esc => {
                self.asked = Asked::Nothing;
                return Action::Nothing;
            }
            _ => return Action::Nothing,
        };
        self.asked = Asked::Nothing;
        Action::Deny(question.prefix, lasting)
    }
}

impl Lasting {
    /// The time; nothing if it is for ever.
    pub(super) const fn length(self) -> Option<Duration> {
        match self {
            Self::Hour => Some(Duration::from_hours(1)),
            Self::Day => Some(Duration::from_hours(24)),
            Self::Ever => None,
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Hour => "for an hour",
            Self::Day => "for a day",
            Self::Ever => "until it is removed",
        }
    }
}

impl Sort {
    const fn next(self) -> Self {
        match self {
            Self::Rate => Self::Total,
            Self::Total => Self::Name,
            Self::Name => Self::Rate,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Total => "total",
            Self::Name => "name",
        }
    }
}
