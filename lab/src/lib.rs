//! A lab of network namespaces, unconnected to anything outside.
//!
//! Each host stands in a namespace of its own and bears the addresses that it was planned with, on
//! one NIC, `eth0`. A router, the core, joins them:
//!
//! ```text
//! kore   eth0 ── to-kore   ┐
//! twilio eth0 ── to-twilio ├ core ┬ to-sbc ── eth0 sbc
//! caller eth0 ── to-caller ┘      │
//! ```
//!
//! A lab is removed when it is dropped, and what a killed run left behind when the next is made.

mod command;
mod host;
mod identity;
mod removal;
mod tap;
mod wiring;

use std::iter;

use anyhow::{Context as _, Result};
pub use command::{Process, run};
pub use host::Host;
pub use identity::Identity;
use ipnet::IpNet;
pub use removal::{remove, remove_leftovers};
pub use tap::{Frame, Tap};

/// A host that a lab is to have.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name: at most 12 letters.
    pub name: String,
    /// The addresses and whole networks that it answers to. The first single address of a family
    /// is the one that it sends from by default.
    pub addresses: Vec<IpNet>,
}

/// Hosts in namespaces, until it is dropped.
#[derive(Debug)]
pub struct Lab {
    identity: Identity,
    hosts: Vec<Host>,
    kept: bool,
}

/// The router's name.
const CORE: &str = "core";

impl Plan {
    /// A host of that name with those addresses.
    pub fn new(name: &str, addresses: impl IntoIterator<Item = IpNet>) -> Self {
        Self { name: name.to_owned(), addresses: addresses.into_iter().collect() }
    }
}

impl Lab {
    /// Makes a lab with these hosts.
    ///
    /// # Errors
    /// If a namespace, link, address or route cannot be made; what was made is removed.
    pub fn new(plans: &[Plan]) -> Result<Self> {
        removal::remove_stale()?;
        // Dropped, and so removed, where a later step fails.
        let mut lab = Self { identity: Identity::new(), hosts: Vec::new(), kept: false };
        lab.identity.make_directory().context("the lab's directory could not be made")?;
        let names = iter::once(CORE).chain(plans.iter().map(|plan| plan.name.as_str()));
        for (number, name) in (0..).zip(names) {
            lab.hosts.push(Host::new(lab.identity, number, name)?);
        }
        lab.wire(plans).context("the lab could not be wired")?;
        Ok(lab)
    }

    /// What tells it from other labs.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The host of that name.
    ///
    /// # Errors
    /// If the lab was planned without it.
    pub fn host(&self, name: &str) -> Result<&Host> {
        let host = self.hosts.iter().find(|host| host.name() == name);
        host.with_context(|| format!("the lab has no host `{name}`"))
    }

    /// The router, which sees what hosts send before it reaches the NIC that it is meant for.
    ///
    /// # Errors
    /// Never, for a lab that was made.
    pub fn core(&self) -> Result<&Host> {
        self.host(CORE)
    }

    /// Leaves the lab standing after this process ends, until [`remove`] or [`remove_leftovers`].
    ///
    /// # Errors
    /// If that cannot be noted.
    pub fn keep(mut self) -> Result<()> {
        self.identity.mark_kept()?;
        self.kept = true;
        Ok(())
    }

    fn wire(&self, plans: &[Plan]) -> Result<()> {
        let core = self.core()?;
        core.forward()?;
        for plan in plans {
            let host = self.host(&plan.name)?;
            let link = wiring::Link { number: host.number(), plan };
            core.ip(&link.veth(host))?;
            host.ip(&link.host_side())?;
            core.ip(&link.core_side())?;
        }
        self.hosts.iter().try_for_each(Host::await_links)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = remove(self.identity)
        {
            eprintln!("warning: the lab {} could not be removed: {error:#}", self.identity);
        }
    }
}
