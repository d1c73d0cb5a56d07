//! Many policies, many packets, three judges.

use std::{
    collections::BTreeMap,
    env,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use filter_common::Action;
use filter_user::kernel::{Sandbox, Stats};

use crate::{
    contest::{Contest, Dissent},
    finding::Disagreement,
    generate::{Aim, Choices, WrittenPolicy, frame},
    oracle::Fate,
};

/// How long to go on, and from where.
pub struct Campaign {
    /// At least so many packets.
    pub packets: u64,
    /// At least so long.
    pub time: Duration,
    /// The first policy's seed; the others' follow it.
    pub seed: u64,
}

/// How many packets are made up for one policy.
const PACKETS_OF_A_POLICY: u64 = 1000;

/// How often each reason was the right one.
pub type Tally = BTreeMap<&'static str, u64>;

/// What a campaign ends with when judges do not agree.
pub enum Failure {
    /// On one packet.
    Verdict(Disagreement, Dissent),
    /// The kernel's counters say something else than its verdicts.
    Counters(String),
}

impl Campaign {
    /// A campaign of so many packets, or as the environment says: `SIPWALL_PACKETS`, `SIPWALL_SECONDS`, `SIPWALL_SEED`.
    pub fn from_environment(packets: u64) -> Self {
        let number = |name| env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")));
        Self {
            packets: number("SIPWALL_PACKETS").unwrap_or(packets),
            time: Duration::from_secs(number("SIPWALL_SECONDS").unwrap_or(0)),
            seed: number("SIPWALL_SEED").unwrap_or(1),
        }
    }

    /// Runs on every processor until the end, or until a judge differs.
    ///
    /// # Errors
    /// What one judge said that the others did not.
    pub fn run(&self) -> Result<Tally, Failure> {
        let begin = Instant::now();
        let next = AtomicU64::new(self.seed);
        let outcome = Mutex::new(Ok(Tally::new()));
        let worker = || {
            let mut kernel = Sandbox::new().expect("the program loads (this needs root)");
            while self.goes_on(&outcome, begin) {
                let round = round(next.fetch_add(1, Ordering::Relaxed), &mut kernel);
                add(&mut outcome.lock().unwrap_or_else(PoisonError::into_inner), round);
            }
        };
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
                scope.spawn(worker);
            }
        });
        outcome.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn goes_on(&self, outcome: &Mutex<Result<Tally, Failure>>, begin: Instant) -> bool {
        match &*outcome.lock().unwrap_or_else(PoisonError::into_inner) {
            Ok(tally) => tally.values().sum::<u64>() < self.packets || begin.elapsed() < self.time,
            Err(_) => false,
        }
    }
}

fn add(outcome: &mut Result<Tally, Failure>, round: Result<Tally, Failure>) {
    match (outcome, round) {
        (Ok(all), Ok(round)) => round.into_iter().for_each(|(reason, count)| *all.entry(reason).or_default() += count),
        (outcome @ Ok(_), Err(failure)) => *outcome = Err(failure),
        (Err(_), _) => {}
    }
}

/// One policy and its packets; nothing, if the policy must be refused.
fn round(seed: u64, kernel: &mut Sandbox) -> Result<Tally, Failure> {
    let mut choices = Choices::random(seed);
    let Some(contest) = WrittenPolicy::new(&mut choices).contest() else {
        return Ok(Tally::new());
    };
    contest.publish(kernel);
    let aim = Aim::new(contest.oracle());
    let before = kernel.stats().expect("the counters can be read");
    let (mut tally, mut counts) = (Tally::new(), Counts::default());
    for packet in 0..PACKETS_OF_A_POLICY {
        let mut frame_choices = Choices::random(seed << 20 | packet);
        let frame = frame(&mut frame_choices, &aim);
        let fate = contest.agreed(&frame, Some(kernel)).map_err(|dissent| {
            let (policy, frame) = (choices.made().to_vec(), frame_choices.made().to_vec());
            Failure::Verdict(Disagreement { policy, frame }, dissent)
        })?;
        *tally.entry(fate.0.name()).or_default() += 1;
        if Contest::reaches_the_kernel(&frame) {
            counts.add(fate, frame.len(), contest.monitors());
        }
    }
    let counted = Counts::between(&before, &kernel.stats().expect("the counters can be read"));
    if counted == counts {
        Ok(tally)
    } else {
        Err(Failure::Counters(format!("seed {seed}: {counted:?}, not {counts:?}")))
    }
}

/// Packets and octets by reason and action, and by rule.
#[derive(Debug, Default, Eq, PartialEq)]
struct Counts {
    reasons: BTreeMap<(&'static str, &'static str), (u64, u64)>,
    rules: BTreeMap<String, (u64, u64)>,
}

impl Counts {
    fn add(&mut self, (reason, rule): Fate<'_>, octets: usize, monitor: bool) {
        let action = if monitor && reason.action() == Action::Drop { "would_drop" } else { reason.action().name() };
        let rule = rule.map(|rule| self.rules.entry(rule.to_owned()).or_default());
        for (packets, bytes) in rule.into_iter().chain([self.reasons.entry((reason.name(), action)).or_default()]) {
            *packets += 1;
            *bytes += octets as u64;
        }
    }

    /// What was counted in between.
    fn between(before: &Stats, after: &Stats) -> Self {
        let known = |rule: &str| before.rules.iter().find(|count| count.rule == rule);
        let reasons = after.reasons.iter().zip(&before.reasons);
        let reasons =
            reasons.map(|(now, then)| ((now.reason, now.action), (now.packets - then.packets, now.bytes - then.bytes)));
        let rules = after.rules.iter().map(|now| {
            let (packets, bytes) = known(&now.rule).map_or((0, 0), |then| (then.packets, then.bytes));
            (now.rule.clone(), (now.packets - packets, now.bytes - bytes))
        });
        Self {
            reasons: reasons.filter(|(_, (packets, _))| *packets > 0).collect(),
            rules: rules.filter(|(_, (packets, _))| *packets > 0).collect(),
        }
    }
}
