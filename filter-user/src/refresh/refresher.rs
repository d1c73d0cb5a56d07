//! A refresh: asking what is due, judging the answers, counting the grace. Nothing is kept before it is committed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use super::{
    clock::Moment,
    document,
    fetch::{Fetched, Fetcher, Validators},
    grace,
    judge::{Objection, judge, judge_names},
    load,
    names::{NameServers, Names, Resolved},
    report::{Departing, Outcome, Report},
    state::State,
    store::{Store, StoreError},
};
use crate::{
    allowlist::{
        Allowlist,
        diff::{Rule, diff},
        ports_text,
    },
    policy::{
        Policy, Refusals, Unavailable,
        file::{PolicyFile, Provider, Source},
    },
};

/// Refreshes the sources of a policy.
#[derive(Debug)]
pub struct Refresher {
    /// Where states are kept.
    pub store: Store,
    /// What gets documents.
    pub fetcher: Fetcher,
    /// Who resolves names.
    pub name_servers: NameServers,
}

/// What a refresh makes of one provider.
#[derive(Clone, Debug)]
pub struct Step {
    /// What became of it.
    pub report: Report,
    /// How long an answer of the source holds.
    pub refresh: Duration,
    /// What was known before.
    pub before: Option<State>,
    /// What is known now; nothing if nothing was ever accepted.
    pub after: Option<State>,
}

impl Step {
    /// How long nothing changes if the source is not asked: until a name's answer or a grace is over.
    ///
    /// Nothing where there is no such thing.
    pub fn rests_for(&self, now: &Moment) -> Option<Duration> {
        let names = self.after.iter().flat_map(|after| &after.names).map(|resolved| resolved.holds_for(now));
        let graces = self.report.departing.iter().map(|departing| departing.until.saturating_sub(now.wall));
        names.chain(graces.map(Duration::from_secs)).min()
    }

    /// How long the document's last answer still holds.
    pub fn holds_for(&self, now: &Moment) -> Duration {
        let asked = self.after.as_ref().and_then(|after| now.since(&after.checked));
        asked.map_or(Duration::ZERO, |asked| self.refresh.saturating_sub(asked))
    }

    /// Whether another allowlist is in force for the provider than before.
    pub fn changes_policy(&self) -> bool {
        self.before.as_ref().map(State::in_force) != self.after.as_ref().map(State::in_force)
    }
}

/// A provider with a source, and the policy that it stands in.
struct Task<'a> {
    file: &'a PolicyFile,
    folder: &'a Path,
    provider: &'a Provider,
    place: &'a str,
    settings: Source,
    now: &'a Moment,
    asking: &'a Asking,
}

/// Which sources to ask.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Asking {
    /// Those whose last answer holds no more.
    Due,
    /// Every one, for the whole document, and any shrinking is taken.
    Force,
    /// Those of these providers.
    Only(BTreeSet<String>),
}

/// What became of asking for the document.
struct Answer {
    outcome: Outcome,
    why: Option<String>,
    /// The document to go on with, new or old.
    document: Option<Allowlist>,
    validators: Validators,
}

impl Refresher {
    /// Asks sources of the policy, follows their names, and counts the time of what waits.
    ///
    /// `folder` is where the policy stands. Nothing is kept until [`Self::commit`].
    pub fn refresh(&self, file: &PolicyFile, folder: &Path, now: &Moment, asking: &Asking) -> Vec<Step> {
        let tasks = file.providers.iter().filter_map(|provider| {
            let (settings, place) = (provider.source?, &provider.allowlist.as_ref()?.value);
            Some(Task { file, folder, provider, place, settings, now, asking })
        });
        tasks.map(|task| self.step(&task)).collect()
    }

    /// The policy with what the steps accepted.
    ///
    /// # Errors
    /// What the policy is refused for; a source of which nothing was ever accepted is one reason.
    pub fn policy(file: PolicyFile, folder: &Path, steps: &[Step]) -> Result<Policy, Refusals> {
        let accepted = steps.iter().filter_map(|step| Some((&step.report.provider, step.after.as_ref()?)));
        let accepted: BTreeMap<_, _> = accepted.collect();
        load::join(file, folder, |provider, source| {
            let state = accepted.get(&provider.name.value);
            state.map(|state| state.in_force()).ok_or_else(|| Unavailable::not_fetched(source))
        })
    }

    /// Keeps what the steps know now.
    ///
    /// # Errors
    /// If a state cannot be written.
    pub fn commit(&self, steps: &[Step]) -> Result<(), StoreError> {
        let changed = steps.iter().filter(|step| step.before != step.after);
        changed.filter_map(|step| step.after.as_ref()).try_for_each(|state| self.store.save(state))
    }

    fn step(&self, task: &Task<'_>) -> Step {
        let (before, mut notes) = match self.store.load(&task.provider.name.value, task.place) {
            Ok(before) => (before, Vec::new()),
            Err(error) => (None, vec![error.to_string()]),
        };
        let mut answer = self.ask(task, before.as_ref());
        let mut after = self.follow(task, before.as_ref(), &answer, &mut notes);
        if let (Outcome::Updated, Some(Err(refusals))) = (answer.outcome, after.as_ref().map(|after| task.fits(after)))
        {
            let misfit = Objection::Misfit(refusals.to_string());
            answer = Answer::kept(Outcome::Refused, Some(misfit.to_string()), before.as_ref());
            after = self.follow(task, before.as_ref(), &answer, &mut notes);
        }
        let report = report(task, answer, notes, before.as_ref(), after.as_ref());
        Step { report, refresh: task.settings.refresh, before, after }
    }

    fn ask(&self, task: &Task<'_>, before: Option<&State>) -> Answer {
        if !task.is_due(before) {
            return Answer::kept(Outcome::NotDue, None, before);
        }
        let known = before.filter(|_| !task.is_forced()).map(|before| before.validators.clone()).unwrap_or_default();
        let (source, validators) = match self.fetcher.fetch(task.place, task.folder, &known) {
            Ok(Fetched::Document(source, validators)) => (source, validators),
            Ok(Fetched::Unchanged) => return Answer::kept(Outcome::Unchanged, None, before),
            Err(error) => return Answer::kept(Outcome::Failed, Some(error.to_string()), before),
        };
        let document = document::read(&source);
        let accepted = before.map(|before| &before.document);
        let max_shrink = (!task.is_forced()).then_some(task.settings.max_shrink);
        let followed = if task.settings.resolve { judge_names(&document) } else { Ok(()) };
        match followed.and_then(|()| judge(accepted, &document, max_shrink)) {
            Err(objection) => Answer::kept(Outcome::Refused, Some(objection.to_string()), before),
            Ok(()) => {
                let outcome = if accepted == Some(&document) { Outcome::Unchanged } else { Outcome::Updated };
                Answer { outcome, why: None, document: Some(document), validators }
            }
        }
    }

    /// The state that follows from the answer; nothing if there is no document.
    fn follow(
        &self,
        task: &Task<'_>,
        before: Option<&State>,
        answer: &Answer,
        notes: &mut Vec<String>,
    ) -> Option<State> {
        let document = answer.document.clone()?;
        let known = before.map(|before| before.names.as_slice()).unwrap_or_default();
        let names = self.names(task, &document, known, notes);
        let settled = matches!(answer.outcome, Outcome::Unchanged | Outcome::Updated);
        let mut after = State {
            written_by: State::WRITER.to_owned(),
            provider: task.provider.name.value.clone(),
            source: task.place.to_owned(),
            checked: before.filter(|_| !settled).map_or(task.now, |before| &before.checked).clone(),
            counted: task.now.clone(),
            changed: task.now.wall,
            validators: answer.validators.clone(),
            document,
            names,
            departed: Vec::new(),
        };
        if let Some(before) = before {
            count_grace(&mut after, before, task.settings.grace);
        }
        Some(after)
    }

    fn names(
        &self,
        task: &Task<'_>,
        document: &Allowlist,
        known: &[Resolved],
        notes: &mut Vec<String>,
    ) -> Vec<Resolved> {
        if !task.settings.resolve {
            return Vec::new();
        }
        match Names::new(self.name_servers) {
            Ok(names) => {
                let (followed, messages) = names.follow(document, known, task.now);
                notes.extend(messages);
                followed
            }
            Err(error) => {
                notes.push(format!("the name servers cannot be told: {error}"));
                known.to_vec()
            }
        }
    }
}

/// Lets the time since `before` pass for what waits, and adds what `after` states no more.
fn count_grace(after: &mut State, before: &State, grace: Duration) {
    // Where the clock went backwards over a boot, no time has passed.
    let elapsed = after.counted.since(&before.counted).unwrap_or_default();
    let waiting = grace::wait(&before.departed, elapsed, grace);
    let departed = grace::depart(&before.stated(), &waiting, &after.stated());
    after.departed = grace::wait(&departed, Duration::ZERO, grace);
    if after.in_force() == before.in_force() {
        after.changed = before.changed;
    }
}

impl Task<'_> {
    fn is_due(&self, before: Option<&State>) -> bool {
        let asked = before.and_then(|before| self.now.since(&before.checked));
        match self.asking {
            Asking::Due => asked.is_none_or(|asked| asked >= self.settings.refresh),
            Asking::Force => true,
            Asking::Only(providers) => providers.contains(&self.provider.name.value),
        }
    }

    fn is_forced(&self) -> bool {
        *self.asking == Asking::Force
    }

    /// Whether a policy of this provider alone works with what would be in force.
    fn fits(&self, state: &State) -> Result<(), Refusals> {
        let file = PolicyFile {
            providers: vec![self.provider.clone()],
            allows: Vec::new(),
            denies: Vec::new(),
            ..self.file.clone()
        };
        load::join(file, self.folder, |_, _| Ok(state.in_force()))?.compile().map(|_| ())
    }
}

impl Answer {
    /// What was known before is what is known now.
    fn kept(outcome: Outcome, why: Option<String>, before: Option<&State>) -> Self {
        let document = before.map(|before| before.document.clone());
        Self { outcome, why, document, validators: before.map(|before| before.validators.clone()).unwrap_or_default() }
    }
}

fn report(
    task: &Task<'_>,
    answer: Answer,
    notes: Vec<String>,
    before: Option<&State>,
    after: Option<&State>,
) -> Report {
    let in_force = |state: Option<&State>| state.map(State::in_force).unwrap_or_default();
    let difference = diff(&in_force(before), &in_force(after));
    Report {
        provider: task.provider.name.value.clone(),
        source: task.place.to_owned(),
        outcome: answer.outcome,
        why: answer.why,
        notes,
        added: difference.added,
        removed: difference.removed,
        departing: after.map(|after| departing(after, task)).unwrap_or_default(),
    }
}

fn departing(state: &State, task: &Task<'_>) -> Vec<Departing> {
    let grace = task.settings.grace.as_secs();
    let rules = state.departed.iter().flat_map(|departed| {
        let entry = &departed.entry;
        entry.remote.iter().map(move |remote| Departing {
            rule: Rule {
                remote: *remote,
                service: entry.service,
                protocol: entry.protocol,
                remote_ports: ports_text(&entry.remote_ports),
            },
            line: entry.line,
            until: task.now.wall.saturating_add(grace.saturating_sub(departed.waited)),
        })
    });
    rules.collect()
}
