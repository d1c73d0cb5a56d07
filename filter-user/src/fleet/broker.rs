//! The way to the broker: NATS, which reconnects by itself.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use async_nats::{Client, ConnectOptions, Event, connection::State};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use super::config::Access;

/// How long an answer of the broker may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// How long a node's connection may take, with TLS and who it is: a host under a flood is slow, and nobody waits for it.
const CONNECTING: Duration = Duration::from_secs(10);
/// How long the broker's servers may take to agree on who leads, during which nothing is answered.
const ELECTION: Duration = Duration::from_secs(30);
/// How long between two questions meanwhile.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is asked whether the broker is there: a connection is given up when two questions had no answer.
const PING: Duration = Duration::from_secs(5);
/// The longest pause between two attempts to reach it.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The connection, and what became of it.
#[derive(Clone, Debug)]
pub struct Broker {
    client: Client,
    known: Arc<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Why it is not reached.
    why: Mutex<Option<String>>,
    changed: Notify,
}

impl Broker {
    /// Goes to the broker; whether it is there is another matter: it is tried again and again.
    ///
    /// # Errors
    /// If a file that is needed for it cannot be used.
    pub async fn reach(access: &Access, name: &str) -> Result<Self> {
        let known = Arc::new(Known::default());
        let options = options(access, name, Arc::clone(&known)).await?;
        let client = options.connection_timeout(CONNECTING).retry_on_initial_connect();
        let client = client.connect(&access.servers).await.context("the broker's address cannot be used")?;
        Ok(Self { client, known })
    }

    /// Connects to the broker, or says why that fails: for a command that somebody waits for.
    ///
    /// # Errors
    /// If a file that is needed for it cannot be used, or the broker is not reached.
    pub async fn connect(access: &Access, name: &str) -> Result<Self> {
        let known = Arc::new(Known::default());
        let client = options(access, name, Arc::clone(&known)).await?;
        let client = client.connect(&access.servers).await;
        let client = client.with_context(|| format!("cannot reach the broker at {}", access.servers.join(", ")))?;
        Ok(Self { client, known })
    }

    /// The same where the broker may just have been started.
    ///
    /// # Errors
    /// If a file that is needed for it cannot be used, or the broker is not reached for long.
    pub async fn connect_patiently(access: &Access, name: &str) -> Result<Self> {
        patiently(async || Self::connect(access, name).await).await
    }

    /// The client itself.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether the broker is reached now.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Why it is not, if that is known.
    pub fn why(&self) -> Option<String> {
        self.known.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it is reached or lost.
    pub async fn changed(&self) {
        self.known.changed.notified().await;
    }
}

/// Asks again while the broker's servers may be busy with themselves. For questions alone: what changes something might be done
/// twice.
///
/// # Errors
/// The last one.
pub(super) async fn patiently<T>(mut ask: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let end = Instant::now() + ELECTION;
    loop {
        match ask().await {
            Err(_) if Instant::now() < end => sleep(PAUSE).await,
            answer => return answer,
        }
    }
}

async fn options(access: &Access, name: &str, known: Arc<Known>) -> Result<ConnectOptions> {
    let mut options = ConnectOptions::new()
        .name(name)
        .ping_interval(PING)
        .connection_timeout(PATIENCE)
        .request_timeout(Some(PATIENCE))
        .reconnect_delay_callback(pause)
        .event_callback(move |event| {
            let known = Arc::clone(&known);
            async move { known.note(&event) }
        });
    // The servers that a broker names may be of another network: the file says which are meant.
    options = options.ignore_discovered_servers();
    if access.servers.iter().any(|server| server.starts_with("tls://")) {
        options = options.require_tls(true);
    }
    if let Some(ca) = &access.ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let Some((certificate, key)) = &access.certificate {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    if let Some(credentials) = &access.credentials {
        let read = options.credentials_file(credentials).await;
        options = read.with_context(|| format!("`{}` holds no credentials of NATS", credentials.display()))?;
    }
    Ok(options)
}

/// Doubles from a tenth of a second; a part of it is random, so that a fleet does not come back as one.
fn pause(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(7);
    let longest = (Duration::from_millis(100) * 2_u32.pow(doublings)).min(LONGEST_PAUSE);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

impl Known {
    fn note(&self, event: &Event) {
        let why = match event {
            Event::Connected => None,
            Event::Disconnected => Some("the connection was lost".to_owned()),
            Event::ServerError(error) => Some(error.to_string()),
            Event::ClientError(error) => Some(error.to_string()),
            _ => return,
        };
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_growing() {
        for attempts in [0, 1, 2, 5, 8, 1_000_000] {
            assert!(pause(attempts) >= Duration::from_millis(50) && pause(attempts) <= LONGEST_PAUSE, "{attempts}");
        }
        assert!(pause(1) <= Duration::from_millis(100) && pause(9) >= LONGEST_PAUSE / 2);
    }
}
