//! Interfaces that come and go, as rtnetlink tells of them.

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::sync::mpsc;

use super::control::Wake;

/// Wakes the controller whenever a link changes; what it is then is looked up, not taken from the message.
pub(super) fn follow(waker: mpsc::Sender<Wake>) -> Result<()> {
    let (connection, _, mut messages) =
        new_multicast_connection(&[MulticastGroup::Link]).context("cannot follow the network interfaces")?;
    tokio::spawn(connection);
    tokio::spawn(async move {
        while messages.next().await.is_some() {
            // Where the controller has as much to do as it can note, it will look at the links anyway.
            let _ = waker.try_send(Wake::Links);
        }
        tracing::error!("the kernel tells no more of network interfaces: they are looked at every few seconds");
    });
    Ok(())
}
