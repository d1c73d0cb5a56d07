//! What is served under which path.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde::Deserialize;
use tokio::{
    sync::{Semaphore, watch},
    task::spawn_blocking,
};

use super::{
    events::{self, Audience},
    explain::{Answer, Explain},
    guard::{self, Guard},
    metrics::{self, Format},
    snapshot::Snapshot,
};
use crate::policy::{Probe, ProbeError};

/// What the page is made of.
const FILES: [(&str, &str, &str); 6] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/style.css", "text/css; charset=utf-8", include_str!("page/style.css")),
    ("/page.js", "text/javascript; charset=utf-8", include_str!("page/page.js")),
    ("/chart.js", "text/javascript; charset=utf-8", include_str!("page/chart.js")),
    ("/elements.js", "text/javascript; charset=utf-8", include_str!("page/elements.js")),
    ("/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];

/// What there is to show.
#[derive(Clone)]
pub(super) struct Shown {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    audience: Audience,
    explain: Option<Arc<dyn Explain>>,
    /// One explanation at a time: it can take a large policy a second.
    explaining: Arc<Semaphore>,
}

impl Shown {
    /// To be called where there is a runtime.
    pub(super) fn new(snapshots: watch::Receiver<Arc<Snapshot>>, explain: Option<Arc<dyn Explain>>) -> Self {
        let audience = Audience::new(snapshots.clone());
        Self { snapshots, audience, explain, explaining: Arc::new(Semaphore::new(1)) }
    }

    /// Whether this interface has a filter that can be read.
    fn has_filter(&self, name: &str) -> bool {
        self.snapshots.borrow().interfaces.iter().any(|interface| interface.status.interface == name)
    }
}

/// Everything that is served. Only GET and HEAD are.
pub(super) fn router(shown: Shown, guard: Guard) -> Router {
    let dynamic = Router::new()
        .route("/metrics", get(metrics))
        .route("/events", get(events))
        .route("/explain", get(explain))
        .with_state(shown);
    let file = |kind, text| get(move || async move { ([(header::CONTENT_TYPE, kind)], text) });
    let routes = FILES.iter().fold(dynamic, |router, (path, kind, text)| router.route(path, file(*kind, *text)));
    routes.layer(middleware::from_fn_with_state(guard, guard::guard))
}

async fn metrics(State(shown): State<Shown>, headers: HeaderMap) -> Response {
    let format = Format::accepted(headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()));
    let snapshot = Arc::clone(&shown.snapshots.borrow());
    match metrics::encode(snapshot, format) {
        Ok(page) => ([(header::CONTENT_TYPE, format.content_type())], page).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn events(State(shown): State<Shown>) -> Response {
    match shown.audience.join() {
        Some(body) => ([(header::CONTENT_TYPE, events::CONTENT_TYPE)], body).into_response(),
        None => {
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "10")], "too many dashboards\n").into_response()
        }
    }
}

/// The packet that is asked about.
#[derive(Deserialize)]
struct Question {
    /// The interface that it comes in by; none where no filter is attached.
    interface: Option<String>,
    protocol: String,
    source: String,
    destination: String,
    #[serde(default)]
    tcp_flags: String,
}

impl Question {
    fn probe(&self) -> Result<Probe, ProbeError> {
        let tcp_flags = match self.tcp_flags.as_str() {
            "" => None,
            flags => Some(flags.parse()?),
        };
        let Self { interface: _, protocol, source, destination, tcp_flags: _ } = self;
        Ok(Probe { protocol: protocol.parse()?, source: source.parse()?, destination: destination.parse()?, tcp_flags })
    }
}

async fn explain(State(shown): State<Shown>, Query(question): Query<Question>) -> Response {
    let refuse = |code: StatusCode, why: String| (code, why).into_response();
    let probe = match question.probe() {
        Ok(probe) => probe,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let interface = question.interface;
    // Nothing else that a request says becomes a path.
    if interface.as_ref().is_some_and(|interface| !shown.has_filter(interface)) {
        return refuse(StatusCode::NOT_FOUND, "no filter is attached to that interface".to_owned());
    }
    let Some(explain) = shown.explain else {
        return refuse(StatusCode::NOT_FOUND, "no policy file is known to explain by".to_owned());
    };
    let Ok(_turn) = shown.explaining.acquire().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    match spawn_blocking(move || explain.explain(interface.as_deref(), &probe)).await {
        Ok(Ok(answer)) => json(&answer),
        Ok(Err(why)) => refuse(StatusCode::UNPROCESSABLE_ENTITY, why),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn json(answer: &Answer) -> Response {
    match serde_json::to_vec(answer) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
