//! Sequences of packets by which judges who remember are compared: the oracle, `decide` on the host, and the kernel.

use std::{cell::RefCell, collections::BTreeMap, fmt::Write as _};

use filter_common::{Verdict, decide, outgoing};
use filter_user::{
    kernel::Sandbox,
    policy::{CompiledPolicy, HostPolicy, HostState},
};

use crate::{
    finding::hexadecimal,
    generate::{Aim, Choices, Event, WrittenPolicy, sequence},
    oracle::{Memory, Oracle},
};

/// A policy, as each of the judges knows it.
struct Judges<'k> {
    oracle: Oracle,
    compiled: CompiledPolicy,
    host: HostPolicy,
    kernel: RefCell<&'k mut Sandbox>,
}

/// How often each reason was the right one.
pub type Tally = BTreeMap<&'static str, u64>;

/// Compares the judges on one sequence, whose policy and packets follow from the seed.
///
/// # Errors
/// The policy and the fewest packets found on which they do not agree, and what they say of the last one.
///
/// # Panics
/// If the kernel does not judge.
pub fn compare(seed: u64, kernel: &mut Sandbox) -> Result<Tally, String> {
    let mut choices = Choices::random(seed);
    let written = WrittenPolicy::with_memory(&mut choices);
    let Some(policy) = written.policy() else { return Ok(Tally::new()) };
    let Ok(compiled) = policy.compile() else { return Ok(Tally::new()) };
    let compiled = compiled.by_the_hour();
    kernel.publish(&compiled).expect("the policy is in force");
    let judges = Judges {
        oracle: Oracle::new(&policy),
        host: HostPolicy::new(&compiled),
        compiled,
        kernel: RefCell::new(kernel),
    };
    let events = sequence(&mut choices, &Aim::new(&judges.oracle));
    judges.agree(&events).map_err(|_| {
        let fewest = judges.fewest(events);
        let dissent = judges.agree(&fewest).err().unwrap_or_else(|| "but not again".to_owned());
        format!("seed {seed}: {dissent}\n{}\n{}", written.text, listing(&fewest))
    })
}

impl Judges<'_> {
    /// Lets every judge see the events, from an empty memory on.
    fn agree(&self, events: &[Event]) -> Result<Tally, String> {
        let mut kernel = self.kernel.borrow_mut();
        kernel.forget().expect("the program forgets");
        let (mut memory, state) = (Memory::default(), HostState::default());
        // A clock that has run for a while, as the kernel's has.
        state.advance(60_000_000_000);
        let mut tally = Tally::new();
        for event in events {
            match event {
                Event::Sends(frame) => {
                    self.oracle.note_sent(frame, &mut memory);
                    if let Some(outgoing) = outgoing(frame.as_slice(), &self.host) {
                        state.note(&outgoing);
                    }
                    kernel.send(frame).expect("the egress program runs");
                }
                // The kernel takes no shorter frame in a test run.
                Event::Arrives(frame) if frame.len() < 14 => {}
                Event::Arrives(frame) => {
                    let (reason, rule) = self.oracle.judge_next(frame, &mut memory);
                    let host = self.named(decide(frame.as_slice(), &self.host, &state));
                    let judged = self.named(kernel.judge(frame).expect("the program judges"));
                    let oracle = (reason.name(), rule.as_deref());
                    if oracle != host || oracle != judged {
                        return Err(format!("the oracle says {oracle:?}, the host {host:?}, the kernel {judged:?}"));
                    }
                    *tally.entry(reason.name()).or_default() += 1;
                }
            }
        }
        Ok(tally)
    }

    /// Leaves out whatever can be left out while the judges still do not agree.
    fn fewest(&self, mut events: Vec<Event>) -> Vec<Event> {
        let mut place = events.len();
        while place > 0 {
            place -= 1;
            let mut fewer = events.clone();
            fewer.remove(place);
            if self.agree(&fewer).is_err() {
                events = fewer;
            }
        }
        events
    }

    fn named(&self, verdict: Verdict) -> (&'static str, Option<&str>) {
        let rule = verdict.rule().map(|rule| self.compiled.rules[usize::from(rule)].name.as_str());
        (verdict.reason().name(), rule)
    }
}

fn listing(events: &[Event]) -> String {
    events.iter().fold(String::new(), |mut text, event| {
        let (what, frame) = match event {
            Event::Arrives(frame) => ("arrives", frame),
            Event::Sends(frame) => ("sends", frame),
        };
        writeln!(text, "{what} {}", hexadecimal(frame)).expect("a string takes every write");
        text
    })
}
