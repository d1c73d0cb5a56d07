//! Putting the policy in force on one interface, whatever is there.

use std::time::Duration;

use anyhow::Result;

use super::snapshot::InterfaceState;
use crate::{
    kernel::{self, AttachMode, Attached, Change, Confirmation, Fingerprint, Prospect, Status, XdpMode},
    lockout,
    policy::{CompiledPolicy, OutlineDiff, Policy},
};

/// What ends the waiting.
const HOW_TO_GO_ON: &str = "the policy file is put in force when it changes, or by `systemctl reload sipwall` (SIGHUP)";

/// The policy that is wanted, and where.
pub(super) struct Wanted {
    pub(super) policy: CompiledPolicy,
    /// What it was compiled from.
    pub(super) stated: Policy,
    pub(super) name: String,
    pub(super) interfaces: Vec<String>,
    pub(super) mode: AttachMode,
    /// Tells what it comes to from what other policies do.
    pub(super) fingerprint: Fingerprint,
}

/// What is to be done where another policy is in force.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Insistence {
    /// It stays if somebody put it in force by hand since this one is known, and so it does where one was not confirmed in
    /// time: somebody may have been locked out by this very policy.
    Hold,
    /// The operator asked for this policy since.
    Replace,
}

/// How an interface is now.
pub(super) struct Outcome {
    pub(super) state: InterfaceState,
    /// What is waited for.
    pub(super) message: Option<String>,
}

impl Outcome {
    const fn enforced() -> Self {
        Self { state: InterfaceState::Enforced, message: None }
    }

    /// The policy waits for what it would cut.
    fn guarded(cuts: &[String]) -> Self {
        let message = format!(
            "{}\nit is put in force when that is over, by `systemctl reload sipwall` (SIGHUP), or with `--allow-lockout`\nhint: \
             `sipwall check` shows what it lets in",
            cuts.join("\n")
        );
        Self { state: InterfaceState::Guarded, message: Some(message) }
    }

    /// There is no such interface.
    fn absent(interface: &str) -> Self {
        let message = kernel::renamed(interface)
            .map(|now| format!("the interface is called `{now}` now, and its filter goes on there"));
        Self { state: InterfaceState::Absent, message }
    }

    /// Somebody took the filter off.
    fn detached(interface: &str) -> Self {
        let message = format!(
            "`sipwall detach` took the filter off, and everything passes until `sipwall attach {interface}` or `systemctl \
             reload sipwall` (SIGHUP)"
        );
        Self { state: InterfaceState::Detached, message: Some(message) }
    }

    /// Somebody put another policy in force.
    fn by_hand(generation: u64, policy: Option<&str>) -> Self {
        let policy = policy.unwrap_or_default();
        let message = format!("generation {generation}, `{policy}`, was put in force by hand: {HOW_TO_GO_ON}");
        Self { state: InterfaceState::ByHand, message: Some(message) }
    }

    fn held(message: String) -> Self {
        Self { state: InterfaceState::Held, message: Some(message) }
    }
}

impl Wanted {
    /// Puts the policy in force, says what that changed, and returns how the interface is then.
    ///
    /// What is in force already is left alone, and so is what waits for its confirmation or was done by hand.
    /// `guard`: nor is what is in force changed where the policy would cut what this host is in the middle of.
    pub(super) fn enforce(&self, interface: &str, insistence: Insistence, guard: bool) -> Result<Outcome> {
        if let Some(outcome) = self.enforce_unless_changed(interface, insistence, guard)? {
            return Ok(outcome);
        }
        // What somebody did by hand meanwhile came after what this policy is wanted for, and stays.
        kernel::set_aside(interface, self.fingerprint)?;
        loop {
            if let Some(outcome) = self.enforce_unless_changed(interface, Insistence::Hold, guard)? {
                return Ok(outcome);
            }
        }
    }

    /// Nothing if somebody changed what was looked at meanwhile.
    fn enforce_unless_changed(&self, interface: &str, insistence: Insistence, guard: bool) -> Result<Option<Outcome>> {
        if !kernel::interface_exists(interface) {
            return Ok(Some(Outcome::absent(interface)));
        }
        if !kernel::attached_interfaces()?.iter().any(|attached| attached == interface) {
            if kernel::kept(interface).is_some_and(|kept| kept.is_off()) {
                return self.set_aside(interface, Outcome::detached(interface)).map(Some);
            }
            return self.unless_it_cuts(interface, guard, || self.attach(interface));
        }
        if let Some(mode) = kernel::reattach(interface, self.mode)? {
            say_reattached(interface, mode);
        }
        let (status, kept) = (kernel::status(interface)?, kernel::kept(interface));
        let holds = insistence == Insistence::Hold;
        match status.confirmation {
            Confirmation::Pending { remaining_seconds, .. } => {
                let message =
                    format!("generation {} waits to be confirmed, {remaining_seconds} s left", status.generation);
                let held = Outcome::held(message);
                // A policy that changes from here on is asked for; the one that is known already is what is tried against.
                if holds && kept.is_none() { self.set_aside(interface, held) } else { Ok(held) }.map(Some)
            }
            Confirmation::RolledBack { generation } if holds => {
                let message = format!("generation {generation} was not confirmed in time: {HOW_TO_GO_ON}");
                self.set_aside(interface, Outcome::held(message)).map(Some)
            }
            Confirmation::RolledBack { .. } | Confirmation::Confirmed => {
                let by_hand = kept.is_some_and(|kept| kept.is_by_hand(status.generation, &self.fingerprint));
                let same = (holds && by_hand || guard) && kernel::compare(interface, &self.policy)?.same;
                if holds && by_hand && !same {
                    return Ok(Some(Outcome::by_hand(status.generation, status.policy.as_deref())));
                }
                self.unless_it_cuts(interface, guard && !same, || self.replace(&status))
            }
        }
    }

    /// Another policy than this one, or none, may be in force from now on.
    fn set_aside(&self, interface: &str, outcome: Outcome) -> Result<Outcome> {
        kernel::set_aside(interface, self.fingerprint)?;
        Ok(outcome)
    }

    /// Does something, unless the policy would cut what must not be cut.
    fn unless_it_cuts(
        &self,
        interface: &str,
        guard: bool,
        action: impl FnOnce() -> Result<Option<Outcome>>,
    ) -> Result<Option<Outcome>> {
        if guard {
            let prospect = Prospect::new(interface, &self.policy)?;
            let cuts = lockout::cuts(interface, &self.stated, |frame| prospect.drops(frame))?;
            if !cuts.is_empty() {
                return Ok(Some(Outcome::guarded(&cuts.iter().map(ToString::to_string).collect::<Vec<_>>())));
            }
        }
        action()
    }

    fn attach(&self, interface: &str) -> Result<Option<Outcome>> {
        let Some(attached) = kernel::attach_if_bare(interface, self.mode, &self.change())? else { return Ok(None) };
        let Attached { attach_mode, generation, .. } = attached;
        kernel::keep(interface, generation, self.fingerprint)?;
        let policy = self.name.as_str();
        tracing::info!(interface, generation, policy, %attach_mode, "attached");
        self.warn_if_foreign(interface);
        Ok(Some(Outcome::enforced()))
    }

    fn replace(&self, seen: &Status) -> Result<Option<Outcome>> {
        let interface = seen.interface.as_str();
        let comparison = kernel::compare(interface, &self.policy)?;
        let Some(applied) = kernel::apply_over(seen, &self.change())? else { return Ok(None) };
        kernel::keep(interface, applied.generation, self.fingerprint)?;
        if applied.changed {
            let (generation, changes) = (applied.generation, describe(&comparison.diff));
            tracing::info!(interface, generation, policy = self.name.as_str(), changes, "policy in force");
            self.warn_if_foreign(interface);
        }
        Ok(Some(Outcome::enforced()))
    }

    fn warn_if_foreign(&self, interface: &str) {
        let addresses = lockout::foreign_addresses(interface, &self.policy).unwrap_or_default();
        if !addresses.is_empty() {
            tracing::warn!(interface, ?addresses, "the policy's `addresses` have none of the interface's own");
        }
    }

    fn change(&self) -> Change<'_> {
        Change { policy: &self.policy, name: &self.name, confirm_within: None }
    }

    /// The same, unless it is not confirmed in time.
    pub(super) fn on_trial(&self, confirm_within: Duration) -> Change<'_> {
        Change { confirm_within: Some(confirm_within), ..self.change() }
    }
}

fn say_reattached(interface: &str, mode: XdpMode) {
    tracing::warn!(interface, xdp = %mode, "the interface was made anew: attached again, what passed meanwhile was not filtered");
}

/// What changes, in a few words.
fn describe(diff: &OutlineDiff) -> String {
    let mut parts: Vec<_> =
        diff.settings.iter().map(|setting| format!("{}: {} → {}", setting.setting, setting.from, setting.to)).collect();
    parts.extend(diff.rules.iter().map(|rule| {
        format!("{} +{} -{} prefixes", rule.grant.rule, rule.prefixes.added.len(), rule.prefixes.removed.len())
    }));
    if !diff.denied.is_empty() {
        parts.push(format!("deny list +{} -{} prefixes", diff.denied.added.len(), diff.denied.removed.len()));
    }
    if parts.is_empty() { "nothing that a rule, a port or a setting shows".to_owned() } else { parts.join("; ") }
}
