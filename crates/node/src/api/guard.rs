//! Who gets past the door: checks that every request passes before any handler sees it.
//!
//! The API can read and write whatever its user can, and any page the user's browser shows can send
//! requests to this machine. So a request needs the token, which a page cannot read; and it is
//! turned away unless its `Host` is one of ours (a page that lets its own name resolve to
//! 127.0.0.1, "DNS rebinding", would be of the API's origin otherwise) and its `Origin`, if it has
//! one, is the same. No CORS header is ever sent.

use super::error::ApiError;
use super::limits::{PASSWORD_CHARS_MIN, REQUEST_TIMEOUT};
use super::routes::STREAM_PREFIX;
use super::token::Secret;
use super::torznab;
use crate::config;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, header};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::types::ErrorCode;

/// What requests are held against.
#[derive(Debug)]
pub(super) struct Guard {
    token: Secret,
    password: Option<Secret>,
    /// Names beside `localhost` by which the API may be asked, lower case.
    hosts: Vec<String>,
    /// Whether it listens beyond this machine, so that any literal address may be its own.
    beyond_loopback: bool,
}

/// Settings under which the API must not listen.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExposureError {
    /// The address is reachable from elsewhere, and nobody said that this is meant.
    #[error(
        "api.listen = {listen} would let other machines reach the API, which can read and delete \
         files here; use 127.0.0.1, or, if this is meant, set api.beyond_loopback = true and a \
         password"
    )]
    NotAllowed {
        /// The address.
        listen: SocketAddr,
    },
    /// It is meant, but anybody could guess the way in.
    #[error(
        "api.listen = {listen} lets other machines reach the API, so that api.password must have \
         at least {PASSWORD_CHARS_MIN} characters; it has {chars}"
    )]
    WeakPassword {
        /// The address.
        listen: SocketAddr,
        /// How long the password is, in characters.
        chars: usize,
    },
}

impl Guard {
    /// A guard for an API with these settings that listens at `config.listen`.
    pub(super) fn new(token: Secret, config: &config::Api) -> Result<Self, ExposureError> {
        let listen = config.listen;
        let beyond_loopback = !listen.ip().to_canonical().is_loopback();
        let chars = config.password.chars().count();
        if beyond_loopback && !config.beyond_loopback {
            return Err(ExposureError::NotAllowed { listen });
        }
        if beyond_loopback && chars < PASSWORD_CHARS_MIN {
            return Err(ExposureError::WeakPassword { listen, chars });
        }
        Ok(Guard {
            token,
            password: (chars >= PASSWORD_CHARS_MIN).then(|| Secret::new(&config.password)),
            hosts: config.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            beyond_loopback,
        })
    }

    fn check(&self, request: &Request) -> Result<(), ApiError> {
        let headers = request.headers();
        if request.uri().authority().is_some() {
            return Err(ApiError::new(
                ErrorCode::BadRequest,
                "the request names a whole URL, as if this were a proxy",
                "ask for the path alone, as in `GET /api/v1/torrents`",
            ));
        }
        let host = self.check_host(headers)?;
        check_origin(headers, &host)?;
        // A player cannot send the token; its address is a key of its own, to this one file. Programs that
        // ask an indexer have a key in their question, at which its handler looks.
        let path = request.uri().path();
        if path.starts_with(STREAM_PREFIX) || path == torznab::PATH {
            return Ok(());
        }
        self.check_credentials(headers)
    }

    fn check_host(&self, headers: &HeaderMap) -> Result<Authority, ApiError> {
        let refuse = |host: &str| {
            ApiError::new(
                ErrorCode::HostNotAllowed,
                format!("{host:?} is not a name of this API"),
                "ask it as 127.0.0.1 or localhost, or add the name to api.hosts in config.toml",
            )
        };
        let text = single(headers, &header::HOST).ok_or_else(|| refuse(""))?;
        let authority: Authority = text.parse().map_err(|_| refuse(text))?;
        let name = authority.host().to_ascii_lowercase();
        let literal = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        // A name can be made to resolve to any address, a literal address cannot.
        let allowed = match literal {
            Ok(ip) => self.beyond_loopback || ip.to_canonical().is_loopback(),
            Err(_) => name == "localhost" || self.hosts.contains(&name),
        };
        if allowed && !text.contains('@') { Ok(authority) } else { Err(refuse(text)) }
    }

    fn check_credentials(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let given = single(headers, &header::AUTHORIZATION).and_then(|value| value.split_once(' '));
        let granted = match given {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                self.token.matches(token.trim_ascii().as_bytes())
            }
            Some((scheme, encoded)) if scheme.eq_ignore_ascii_case("basic") => {
                self.password.as_ref().is_some_and(|password| {
                    basic_password(encoded).is_some_and(|given| password.matches(&given))
                })
            }
            _ => false,
        };
        if granted {
            return Ok(());
        }
        Err(ApiError::new(
            ErrorCode::Unauthorized,
            match given {
                Some(_) => "the token or password is wrong",
                None => "the request carries no token",
            },
            "send `Authorization: Bearer TOKEN`, with the token from api.token in the data folder",
        ))
    }
}

/// The password of a `Basic` credential (RFC 7617); whatever stands as the user's name.
fn basic_password(encoded: &str) -> Option<Vec<u8>> {
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim_ascii()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    decoded.get(colon + 1..).map(<[u8]>::to_vec)
}

fn check_origin(headers: &HeaderMap, host: &Authority) -> Result<(), ApiError> {
    if !headers.contains_key(header::ORIGIN) {
        return Ok(());
    }
    let same = single(headers, &header::ORIGIN)
        .and_then(|origin| origin.split_once("://"))
        .is_some_and(|(scheme, authority)| {
            matches!(scheme, "http" | "https") && authority.eq_ignore_ascii_case(host.as_str())
        });
    if same {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::OriginNotAllowed,
        "a web page of another origin sent this request",
        "use the API from a program, or from a page that the API itself serves",
    ))
}

/// The header's value if it is there exactly once and readable: of two, one check might look at the
/// first and another at the second.
fn single<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() {
        return None;
    }
    first.to_str().ok()
}

/// The middleware: checks, then hands on.
pub(super) async fn guard(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match guard.check(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => {
            let path = request.uri().path();
            let path = if path.starts_with(STREAM_PREFIX) { STREAM_PREFIX } else { path };
            tracing::debug!(path, %error, "request refused");
            error.into_response()
        }
    };
    let headers = response.headers_mut();
    // What comes out is for programs: nothing of it is to be kept, framed or taken for a page.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    response
}

/// The middleware that ends requests which take too long. The head of an event stream comes at once,
/// and its body is not bounded by this.
pub(super) async fn timeout(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::new(
            ErrorCode::TimedOut,
            format!("the request took longer than {} s", REQUEST_TIMEOUT.as_secs()),
            "try again; if it goes on, the disk or the machine is overloaded",
        )
        .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use http::StatusCode;
    use tower::ServiceExt as _;

    const PASSWORD: &str = "correct horse battery staple";

    fn settings(listen: &str, beyond_loopback: bool, password: &str) -> config::Api {
        config::Api {
            listen: listen.parse().unwrap(),
            beyond_loopback,
            password: password.into(),
            hosts: vec!["Peer.Example".into()],
            ..config::Api::default()
        }
    }

    async fn ask(config: &config::Api, headers: &[(&str, &str)]) -> StatusCode {
        let guard_state = Arc::new(Guard::new(Secret::new("t0ken"), config).unwrap());
        let router = Router::new()
            .route("/", get(async || "inside"))
            .layer(axum::middleware::from_fn_with_state(guard_state, guard));
        let mut request = http::Request::get("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert!(response.headers().get("access-control-allow-origin").is_none());
        assert_eq!(response.headers()["cache-control"], "no-store");
        response.status()
    }

    const TOKEN: (&str, &str) = ("authorization", "Bearer t0ken");
    const LOCAL: (&str, &str) = ("host", "127.0.0.1:7717");

    async fn check(headers: &[(&str, &str)], expected: u16) {
        let status = ask(&settings("127.0.0.1:7717", false, ""), headers).await;
        assert_eq!(status.as_u16(), expected, "{headers:?}");
    }

    #[tokio::test]
    async fn the_token_opens_and_nothing_else_does() {
        check(&[LOCAL, TOKEN], 200).await;
        check(&[LOCAL, ("authorization", "bearer t0ken")], 200).await;
        check(&[LOCAL], 401).await;
        check(&[LOCAL, ("authorization", "Bearer")], 401).await;
        check(&[LOCAL, ("authorization", "Bearer ")], 401).await;
        check(&[LOCAL, ("authorization", "Bearer t0keN")], 401).await;
        check(&[LOCAL, ("authorization", "Bearer t0ken2")], 401).await;
        check(&[LOCAL, ("authorization", "Token t0ken")], 401).await;
        check(&[LOCAL, ("cookie", "token=t0ken")], 401).await;
        // Two of them: which one counts is nobody's guess.
        check(&[LOCAL, TOKEN, ("authorization", "Bearer wrong")], 401).await;
    }

    #[tokio::test]
    async fn only_loopback_names_against_dns_rebinding() {
        for host in ["localhost", "localhost:7717", "LOCALHOST:80", "127.0.0.1", "[::1]:7717"] {
            check(&[("host", host), TOKEN], 200).await;
        }
        check(&[("host", "peer.example:7717"), TOKEN], 200).await;
        for host in [
            "attacker.example",
            "attacker.example:7717",
            "localhost.attacker.example",
            "127.0.0.1.attacker.example",
            "192.168.1.5:7717",
            "127.0.0.1@attacker.example",
            "attacker.example@127.0.0.1",
            "0.0.0.0:7717",
            "",
        ] {
            check(&[("host", host), TOKEN], 403).await;
        }
        check(&[TOKEN], 403).await;
        check(&[LOCAL, ("host", "attacker.example"), TOKEN], 403).await;
    }

    #[tokio::test]
    async fn pages_of_other_origins_stay_out() {
        check(&[LOCAL, TOKEN, ("origin", "http://127.0.0.1:7717")], 200).await;
        for origin in [
            "http://attacker.example",
            "http://localhost:7717",
            "http://127.0.0.1:8080",
            "https://127.0.0.1",
            "null",
            "file://",
            "",
        ] {
            check(&[LOCAL, TOKEN, ("origin", origin)], 403).await;
        }
    }

    #[test]
    fn listens_beyond_this_machine_only_with_permission_and_password() {
        let guard = |listen, beyond, password| {
            Guard::new(Secret::new("t"), &settings(listen, beyond, password)).map(drop)
        };
        assert_eq!(guard("127.0.0.1:0", false, ""), Ok(()));
        assert_eq!(guard("[::1]:0", false, ""), Ok(()));
        let open = "0.0.0.0:7717";
        let listen = open.parse().unwrap();
        assert_eq!(guard(open, false, PASSWORD), Err(ExposureError::NotAllowed { listen }));
        assert_eq!(
            guard(open, true, "0123456789abcde"),
            Err(ExposureError::WeakPassword { listen, chars: 15 })
        );
        assert_eq!(guard(open, true, PASSWORD), Ok(()));
        assert!(guard("192.168.1.5:7717", false, PASSWORD).is_err());
    }

    #[tokio::test]
    async fn the_password_works_where_one_is_set() {
        let basic = |user_and_password: &str| {
            let encoded = base64::engine::general_purpose::STANDARD.encode(user_and_password);
            format!("Basic {encoded}")
        };
        let open = settings("0.0.0.0:7717", true, PASSWORD);
        let host = ("host", "192.168.1.5:7717");
        let right = basic(&format!("anna:{PASSWORD}"));
        assert_eq!(ask(&open, &[host, ("authorization", &right)]).await, StatusCode::OK);
        assert_eq!(ask(&open, &[host, TOKEN]).await, StatusCode::OK);
        for wrong in [basic("anna:guess"), basic("anna:"), basic(PASSWORD), "Basic %".into()] {
            let status = ask(&open, &[host, ("authorization", &wrong)]).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{wrong}");
        }
        // No password set: an empty one does not open.
        let closed = settings("127.0.0.1:7717", false, "");
        let empty = basic("anna:");
        let status = ask(&closed, &[LOCAL, ("authorization", &empty)]).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_ended() {
        let router = Router::new()
            .route("/", get(async || std::future::pending::<String>().await))
            .layer(axum::middleware::from_fn(timeout));
        let request = http::Request::get("/").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
