//! What the host remembers between packets, as the kernel does in maps, by a clock that is set by hand.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use filter_common::{
    Address, Bucket, Datagram, FRAGMENT_LIFETIME, FirstFragment, Flow, Limit, Outgoing, State, tables::Rate,
};

/// State in memory. It has room for everything, and no entry is pushed out by others.
#[derive(Debug, Default)]
pub struct HostState {
    now: Cell<u64>,
    fragments: RefCell<HashMap<Datagram, (u64, FirstFragment)>>,
    flows: RefCell<HashMap<Flow, u64>>,
    buckets: RefCell<HashMap<Bucket, u64>>,
}

impl HostState {
    /// Lets so many nanoseconds pass.
    pub fn advance(&self, nanoseconds: u64) {
        self.now.set(self.now.get() + nanoseconds);
    }

    /// Sets the clock to this time, unless it is later already.
    pub fn advance_to(&self, time: u64) {
        self.now.set(self.now.get().max(time));
    }

    /// Remembers that this host sent something.
    pub fn note(&self, outgoing: &Outgoing) {
        let mut flows = self.flows.borrow_mut();
        if outgoing.opens || flows.contains_key(&outgoing.flow) {
            flows.insert(outgoing.flow, self.now.get());
        }
    }
}

impl State for HostState {
    fn first_fragment(&self, datagram: &Datagram) -> Option<FirstFragment> {
        let (at, first) = *self.fragments.borrow().get(datagram)?;
        (self.now.get() - at < FRAGMENT_LIFETIME).then_some(first)
    }

    fn remember_fragment(&self, datagram: &Datagram, first: FirstFragment) {
        self.fragments.borrow_mut().insert(*datagram, (self.now.get(), first));
    }

    fn is_answer(&self, flow: &Flow) -> bool {
        self.flows.borrow().get(flow).is_some_and(|sent| self.now.get() - sent < flow.lifetime())
    }

    fn keeps_to(&self, limit: Limit, source: Address, rate: &Rate) -> bool {
        let mut buckets = self.buckets.borrow_mut();
        let due = buckets.entry(Bucket::new(limit, source)).or_default();
        rate.next(*due, self.now.get()).map(|next| *due = next).is_some()
    }
}
