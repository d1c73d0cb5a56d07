//! Who may ask, and what browsers are told of every answer.

use std::{fmt, net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;

use super::credentials::Credentials;

/// A secret that a request must bring. It is never shown.
#[derive(Clone)]
pub(super) struct Token(Arc<[u8]>);

impl Token {
    pub(super) fn new(text: &str) -> Self {
        Self(text.as_bytes().into())
    }

    /// Takes as long for a wrong one as for the right one.
    fn is(&self, brought: &[u8]) -> bool {
        self.0.ct_eq(brought).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What a request is asked for before anything else looks at it.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) credentials: watch::Receiver<Credentials>,
    pub(super) names: Arc<[String]>,
}

/// What browsers are told: nothing from elsewhere, nothing in a frame, nothing kept, no text taken for a script.
const HEADERS: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Lets a request through if it may, and adds the headers to every answer.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut response = match guard.refusal(request.headers(), request.uri().path()) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

impl Guard {
    /// Why a request is not let through.
    fn refusal(&self, headers: &HeaderMap, path: &str) -> Option<Response> {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        if !text(header::HOST).is_some_and(|host| self.is_own(host)) {
            let message = "this listener is not known under that name: `--listen-name` gives it one\n";
            return Some((StatusCode::MISDIRECTED_REQUEST, message).into_response());
        }
        // A page from elsewhere may lead here, and nothing more.
        let site = text(HeaderName::from_static("sec-fetch-site"));
        if matches!(site, Some("cross-site" | "same-site")) && path != "/" {
            return Some((StatusCode::FORBIDDEN, "not for other sites\n").into_response());
        }
        let token = self.credentials.borrow().token.clone()?;
        if text(header::AUTHORIZATION).and_then(brought).is_some_and(|brought| token.is(&brought)) {
            return None;
        }
        let challenge =
            [(header::WWW_AUTHENTICATE, "Basic realm=\"sipwall: the token as password\", charset=\"UTF-8\"")];
        Some((StatusCode::UNAUTHORIZED, challenge, "a token is needed\n").into_response())
    }

    /// Whether a `Host` names this listener. A name that someone else's DNS leads here is not ours; an address is
    /// nobody's to lead.
    fn is_own(&self, host: &str) -> bool {
        let name = without_port(host).to_lowercase();
        let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&name);
        address.parse::<IpAddr>().is_ok() || name == "localhost" || self.names.contains(&name)
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

/// The token of an `Authorization`: a bearer's, or the password that a browser asks for.
fn brought(authorization: &str) -> Option<Vec<u8>> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(credentials.trim().as_bytes().to_vec()),
        "basic" => {
            let pair = STANDARD.decode(credentials.trim()).ok()?;
            let colon = pair.iter().position(|octet| *octet == b':')?;
            Some(pair[colon + 1..].to_vec())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(token: Option<&str>) -> Guard {
        let credentials = Credentials { token: token.map(Token::new), tls: None };
        // What was sent last stays when its sender is gone.
        Guard { credentials: watch::channel(credentials).1, names: [String::from("sbc.example")].into() }
    }

    fn refused(guard: &Guard, headers: &[(&'static str, &'static str)]) -> Option<u16> {
        let pairs =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        guard.refusal(&pairs.collect(), "/metrics").map(|response| response.status().as_u16())
    }

    #[test]
    fn only_own_names_and_addresses_are_answered() {
        let guard = guard(None);
        for host in ["127.0.0.1:9464", "127.0.0.1", "[::1]:9464", "[2001:db8::1]", "localhost:1", "SBC.example:9464"] {
            assert!(guard.is_own(host), "{host}");
        }
        for host in
            ["", "evil.example", "evil.example:9464", "localhost.evil.example", "127.0.0.1.evil.example", ":9464"]
        {
            assert!(!guard.is_own(host), "{host}");
        }
        assert_eq!(refused(&guard, &[("host", "evil.example")]), Some(421));
        assert_eq!(refused(&guard, &[]), Some(421));
        assert_eq!(refused(&guard, &[("host", "localhost")]), None);
    }

    #[test]
    fn the_token_is_asked_for_in_either_way() {
        let guard = guard(Some("abc:defghijklmnop"));
        let with = |authorization| refused(&guard, &[("host", "localhost"), ("authorization", authorization)]);
        assert_eq!(refused(&guard, &[("host", "localhost")]), Some(401));
        assert_eq!(with("Bearer abc:defghijklmnop"), None);
        // `any:abc:defghijklmnop`: the name does not matter.
        assert_eq!(with("Basic YW55OmFiYzpkZWZnaGlqa2xtbm9w"), None);
        for wrong in ["Bearer abc:defghijklmno", "Bearer ", "Basic !", "Basic YWJj", "abc:defghijklmnop", "Digest x"] {
            assert_eq!(with(wrong), Some(401), "{wrong}");
        }
    }

    #[test]
    fn pages_from_elsewhere_get_nothing() {
        let guard = guard(None);
        for (site, refusal) in
            [("cross-site", Some(403)), ("same-site", Some(403)), ("same-origin", None), ("none", None)]
        {
            assert_eq!(refused(&guard, &[("host", "localhost"), ("sec-fetch-site", site)]), refusal, "{site}");
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        assert!(!format!("{:?}", guard(Some("abcdefghijklmnop"))).contains("abc"));
    }
}
