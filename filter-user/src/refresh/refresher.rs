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
    place::Place,
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
    /// The source as the policy names it.
    named: &'a str,
    /// Where that is.
    place: Place,
    /// Where the policy file is.
    policy: Place,
    settings: Source,
    now: &'a Moment,
    asking: &'a Asking,
}

/// Which sources to ask, and what to take of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Asking {
    /// Which sources.
    pub whom: Whom,
    /// The providers that are asked too, and whose documents are taken however much they shrank.
    pub accept_shrink: BTreeSet<String>,
}

/// Which sources to ask.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Whom {
    /// Those whose last answer holds no more.
    Due,
    /// Every one, for the whole document.
    Every,
    /// Those of these providers.
    Only(BTreeSet<String>),
}

impl Asking {
    /// Asks the sources whose last answer holds no more.
    pub const fn due() -> Self {
        Self { whom: Whom::Due, accept_shrink: BTreeSet::new() }
    }

    /// Asks every source, for the whole document.
    pub const fn every() -> Self {
        Self { whom: Whom::Every, accept_shrink: BTreeSet::new() }
    }

    /// Asks the sources of these providers.
    pub const fn only(providers: BTreeSet<String>) -> Self {
        Self { whom: Whom::Only(providers), accept_shrink: BTreeSet::new() }
    }

    /// Takes the documents of these providers however much they shrank.
    #[must_use]
    pub fn accepting(self, providers: BTreeSet<String>) -> Self {
        Self { accept_shrink: providers, ..self }
    }
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
        let policy = Place::of(&file.name, Path::new(""));
        let tasks = file.providers.iter().filter_map(|provider| {
            let (settings, named) = (provider.source?, &provider.allowlist.as_ref()?.value);
            let (place, policy) = (Place::of(named, folder), policy.clone());
            Some(Task { file, folder, provider, named, place, policy, settings, now, asking })
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
        for Step { before, after, .. } in steps {
            let Some(after) = after.as_ref().filter(|after| before.as_ref() != Some(after)) else { continue };
            self.store.save(after)?;
            if let Some(before) = before.as_ref().filter(|before| before.source != after.source) {
                self.store.leave(before, &after.policies)?;
            }
        }
        Ok(())
    }

    fn step(&self, task: &Task<'_>) -> Step {
        let (before, mut notes) = self.known(task);
        let mut answer = self.ask(task, before.as_ref(), &mut notes);
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

    /// What is known of the source, or of the one that the policy named before; and what there is to say of that.
    fn known(&self, task: &Task<'_>) -> (Option<State>, Vec<String>) {
        let provider = &task.provider.name.value;
        let (known, mut notes) = match self.store.load(provider, &task.place) {
            Ok(known) => (known, Vec::new()),
            Err(error) => (None, vec![error.to_string()]),
        };
        let known = known.or_else(|| self.store.predecessor(provider, &task.place, &task.policy));
        if let Some(before) = known.as_ref().filter(|before| before.source != task.place) {
            notes.push(format!(
                "the source was `{}` before: what is not stated here any more is judged as gone",
                before.source
            ));
        }
        (known, notes)
    }

    fn ask(&self, task: &Task<'_>, before: Option<&State>, notes: &mut Vec<String>) -> Answer {
        if !task.is_due(before) {
            return Answer::kept(Outcome::NotDue, None, before);
        }
        let same = before.filter(|before| before.source == task.place && !task.wants_all());
        let known = same.map(|before| before.validators.clone()).unwrap_or_default();
        let (source, validators) = match self.fetcher.fetch(task.named, task.folder, &known) {
            Ok(Fetched::Document(source, validators)) => (source, validators),
            Ok(Fetched::Unchanged) => return Answer::kept(Outcome::Unchanged, None, before),
            Err(error) => return Answer::kept(Outcome::Failed, Some(error.to_string()), before),
        };
        let document = document::read(&source);
        let accepted = before.map(|before| &before.document);
        let followed = if task.settings.resolve { judge_names(&document) } else { Ok(()) };
        match followed.and_then(|()| task.judge(accepted, &document, notes)) {
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
        // What stays is from where it was from.
        let from = before.filter(|_| !settled).map_or(&task.place, |before| &before.source);
        let others = before.filter(|before| before.source == *from).map(|before| before.policies.clone());
        let policies = others.into_iter().flatten().chain([task.policy.clone()]).collect();
        let mut after = State {
            written_by: State::WRITER.to_owned(),
            provider: task.provider.name.value.clone(),
            source: from.clone(),
            policies,
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
        let asked = before.filter(|before| before.source == self.place);
        let asked = asked.and_then(|before| self.now.since(&before.checked));
        let is_due = match &self.asking.whom {
            Whom::Due => asked.is_none_or(|asked| asked >= self.settings.refresh),
            Whom::Every => true,
            Whom::Only(providers) => providers.contains(&self.provider.name.value),
        };
        is_due || self.accepts_shrinking()
    }

    fn accepts_shrinking(&self) -> bool {
        self.asking.accept_shrink.contains(&self.provider.name.value)
    }

    /// Whether to ask for the whole document, even if the one that is here is still the present one.
    fn wants_all(&self) -> bool {
        self.asking.whom == Whom::Every || self.accepts_shrinking()
    }

    /// Judges a document; notes what is taken although `max_shrink` forbids it.
    fn judge(&self, before: Option<&Allowlist>, now: &Allowlist, notes: &mut Vec<String>) -> Result<(), Objection> {
        match judge(before, now, Some(self.settings.max_shrink)) {
            Err(Objection::Shrunk { lost, of, max_shrink }) if self.accepts_shrinking() => {
                notes.push(format!(
                    "the document has lost {lost} of {of} prefixes, more than {max_shrink} %, and is taken all the same"
                ));
                Ok(())
            }
            judged => judged,
        }
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
    let due_in_seconds = before.filter(|_| answer.outcome == Outcome::NotDue).map(|before| {
        let asked = task.now.since(&before.checked).unwrap_or_default();
        task.settings.refresh.saturating_sub(asked).as_secs()
    });
    Report {
        provider: task.provider.name.value.clone(),
        source: task.named.to_owned(),
        outcome: answer.outcome,
        due_in_seconds,
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
