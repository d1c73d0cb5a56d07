//! What the operator chose: keys become actions.

use filter_user::telemetry::{By, Ranked, Span};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{
    model::Model,
    question::{Lasting, Question},
};

/// What a key asks of whoever owns the screen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Action {
    Nothing,
    Quit,
    NextInterface,
    /// Read all again.
    Gather,
    /// Do what was asked, for so long.
    Change(Question, Lasting),
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
    /// Whether this is to be changed.
    Change(Question),
}

/// What the operator chose.
#[derive(Debug, Default)]
pub(super) struct Ui {
    asked: Asked,
    paused: bool,
    sort: Sort,
    filter: String,
    by: usize,
    span: usize,
    /// What is selected, by its text: ranks change.
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

    pub(super) fn by(&self) -> By {
        By::ALL[self.by % By::ALL.len()]
    }

    pub(super) fn is_filtering(&self) -> bool {
        self.asked == Asked::Filter
    }

    pub(super) fn question(&self) -> Option<&Question> {
        match &self.asked {
            Asked::Change(question) => Some(question),
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

    /// What the filter leaves of what is ranked.
    pub(super) fn ranked<'a>(&self, model: &'a Model) -> Vec<&'a Ranked> {
        model.ranked.iter().filter(|ranked| self.shows(ranked)).collect()
    }

    /// Whether the filter leaves a name.
    pub(super) fn shows_name(&self, name: &str) -> bool {
        name.contains(&self.filter)
    }

    fn shows(&self, ranked: &Ranked) -> bool {
        self.shows_name(&ranked.what)
            || ranked.reasons.iter().any(|reason| self.shows_name(reason))
            || ranked.wanted.iter().any(|wanted| self.shows_name(&wanted.to_string()))
    }

    /// The place of what is selected among those that are shown.
    pub(super) fn selection(&self, model: &Model) -> Option<usize> {
        let selected = self.selected.as_deref()?;
        self.ranked(model).iter().position(|ranked| ranked.what == selected)
    }

    /// Selects the first one where none is selected that is there.
    pub(super) fn settle(&mut self, model: &Model) {
        if self.selection(model).is_none() {
            self.selected = self.ranked(model).first().map(|ranked| ranked.what.clone());
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
            Asked::Change(question) => self.answer(key.code, question),
        }
    }

    fn command(&mut self, key: KeyCode, model: &Model) -> Action {
        self.said = None;
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return Action::Quit,
            KeyCode::Tab if model.place.1 > 1 => return Action::NextInterface,
            KeyCode::Up | KeyCode::Char('k') => self.select(model, |place| place.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.select(model, |place| place + 1),
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('/') => self.asked = Asked::Filter,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('w') => {
                self.span = (self.span + 1) % Span::ALL.len();
                return Action::Gather;
            }
            KeyCode::Char('v') => {
                self.by = (self.by + 1) % By::ALL.len();
                return Action::Gather;
            }
            KeyCode::Char('d') => self.ask(model, Question::deny),
            KeyCode::Char('a') => self.ask(model, Question::allow),
            _ => {}
        }
        Action::Nothing
    }

    fn select(&mut self, model: &Model, to: impl Fn(usize) -> usize) {
        let ranked = self.ranked(model);
        let place = self.selection(model).map_or(0, to).min(ranked.len().saturating_sub(1));
        self.selected = ranked.get(place).map(|ranked| ranked.what.clone());
    }

    fn ask(&mut self, model: &Model, question: impl Fn(&Ranked) -> Result<Question, String>) {
        let selected = self.selection(model).and_then(|place| self.ranked(model).get(place).copied());
        match selected.map(question) {
            None => self.say("nothing is selected".to_owned()),
            Some(Err(why)) => self.say(why),
            Some(Ok(question)) => self.asked = Asked::Change(question),
        }
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

    fn answer(&mut self, key: KeyCode, mut question: Question) -> Action {
        let lasting = match key {
            KeyCode::Char('1') => Lasting::Hour,
            KeyCode::Char('2') => Lasting::Day,
            KeyCode::Char('3') => Lasting::Ever,
            KeyCode::Char('n' | 'q') | KeyCode::Esc => {
                self.asked = Asked::Nothing;
                return Action::Nothing;
            }
            KeyCode::Tab => {
                question.choose_next();
                self.asked = Asked::Change(question);
                return Action::Nothing;
            }
            _ => return Action::Nothing,
        };
        self.asked = Asked::Nothing;
        Action::Change(question, lasting)
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
