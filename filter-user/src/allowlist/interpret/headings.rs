//! What the headings over a table or block say of all that stands under them.

use super::{
    clients::are_for_clients,
    direction,
    protocols::{Kinds, Wire},
    rule::words_of,
};

/// What headings say; the nearest that says anything counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headings {
    /// Of the kind of traffic, and of how SIP travels.
    pub(crate) words: (Kinds, Vec<Wire>),
    /// Whether the provider opens the connections.
    pub(crate) inbound: Option<bool>,
    /// Whether all that stands under them is for people's devices alone.
    pub(crate) for_clients: bool,
}

impl Headings {
    /// Reads the texts of headings, nearest first.
    pub(crate) fn of<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Self {
        Self {
            words: texts.clone().find_map(words_of).unwrap_or_default(),
            inbound: texts.clone().find_map(direction::is_inbound),
            for_clients: are_for_clients(texts),
        }
    }
}
