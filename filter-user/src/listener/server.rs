//! The listener's thread: it takes connections, so many and no more, and none that stands still.

use std::{
    fmt,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
    sync::{Semaphore, oneshot, watch},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;

use super::{
    credentials::{Credentials, Keeper, Renewal},
    explain::Explain,
    guard::Guard,
    pages::{self, Shown},
    settings::{ListenError, Ready},
    snapshot::Snapshot,
};

/// How many connections are open at once; those beyond are closed.
const CONNECTIONS: usize = 64;
/// How long a client may take for a request, for the TLS handshake, or to read a part of an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest head of a request.
const LARGEST_HEAD: usize = 16 * 1024;
/// How long to wait where the system can take no more connections.
const REST: Duration = Duration::from_millis(100);

/// A listener that runs until this is dropped.
pub struct Running {
    address: SocketAddr,
    tls: bool,
    keeper: Keeper,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url())
    }
}

impl Running {
    /// Where it listens: with the port that it got, where it asked for any.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a browser finds it.
    pub fn url(&self) -> String {
        format!("{}://{}/", if self.tls { "https" } else { "http" }, self.address)
    }

    /// Looks at the files of the certificate and the token, and takes up what they hold where they are others, once
    /// nobody writes them any more or somebody insists. Connections that are open go on.
    ///
    /// # Errors
    /// Which file is not what it should be: what was read before holds.
    pub fn renew(&mut self, insists: bool) -> Result<Renewal, ListenError> {
        self.keeper.renew(insists)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nobody left to tell.
            let _ = thread.join();
        }
    }
}

/// Starts to answer, on a thread of its own.
///
/// # Errors
/// If the thread cannot be started.
pub fn start(
    ready: Ready,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    explain: Option<Arc<dyn Explain>>,
) -> Result<Running> {
    let runtime = runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build()?;
    let Ready { listener, keeper, guard } = ready;
    let (address, credentials) = (listener.local_addr()?, keeper.credentials());
    let tls = credentials.borrow().tls.is_some();
    let (stop, stopped) = oneshot::channel();
    let run = move || {
        runtime.block_on(async {
            let served = serve(listener, &credentials, guard, Shown::new(snapshots, explain));
            // It fails where the thread has no room for one more file: there is nobody to tell.
            tokio::select! { _ = served => {}, _ = stopped => {} }
        });
        // An explanation under way is of no use any more.
        runtime.shutdown_background();
    };
    let thread = thread::Builder::new().name("listener".to_owned()).spawn(run).context("cannot start the listener")?;
    Ok(Running { address, tls, keeper, stop: Some(stop), thread: Some(thread) })
}

async fn serve(
    listener: std::net::TcpListener,
    credentials: &watch::Receiver<Credentials>,
    guard: Guard,
    shown: Shown,
) -> Result<()> {
    let (listener, router) = (TcpListener::from_std(listener)?, pages::router(shown, guard));
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(REST).await;
            continue;
        };
        // Without room the connection is closed at once.
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
        let (router, tls) = (router.clone(), credentials.borrow().tls.clone().map(TlsAcceptor::from));
        tokio::spawn(async move {
            // What goes wrong with a connection is its client's business.
            let _ = connection(stream, tls, router).await;
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, router: Router) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(PATIENCE));
    let stream = Box::pin(stream);
    match tls {
        None => http(stream, router).await,
        Some(tls) => http(timeout(PATIENCE, tls.accept(stream)).await??, router).await,
    }
}

async fn http<S>(stream: S, router: Router) -> Result<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(LARGEST_HEAD);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    Ok(pin!(connection).await?)
}
