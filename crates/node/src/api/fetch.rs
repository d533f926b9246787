//! Fetching a torrent file by its address, within bounds of size, time and redirects, and only from
//! where the settings let this node go.

use super::error::ApiError;
use super::limits::{FETCH_REDIRECTS_MAX, FETCH_TIMEOUT, TORRENT_BYTES_MAX};
use super::types::ErrorCode;
use crate::config::{Config, Reach};
use reqwest::{Client, Url, redirect};
use std::net::IpAddr;

/// The bytes that lie at `url`.
///
/// # Errors
/// If the settings forbid going there, nobody answers in time, or the answer is no file or too
/// large.
pub(super) async fn fetch(config: &Config, url: &str) -> Result<Vec<u8>, ApiError> {
    let reach = config.network.reach;
    let failed = |message: String| {
        ApiError::new(
            ErrorCode::FetchFailed,
            message,
            "check the address, or fetch the file with a browser and add it from disk",
        )
    };
    let parsed = Url::parse(url).map_err(|error| failed(format!("{url:?}: {error}")))?;
    if !allows(reach, &parsed) {
        return Err(failed(format!(
            "network.reach = \"loopback\" in config.toml keeps this peer from asking {parsed}"
        )));
    }
    let client = client(config).map_err(|error| failed(told(&error)))?;
    let mut response =
        client.get(parsed.clone()).send().await.map_err(|error| failed(told(&error)))?;
    if !response.status().is_success() {
        return Err(failed(format!("{parsed} answers {}", response.status())));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(told(&error)))? {
        if bytes.len().saturating_add(chunk.len()) > TORRENT_BYTES_MAX {
            return Err(failed(format!(
                "what lies at {parsed} is larger than any torrent file ({TORRENT_BYTES_MAX} bytes)"
            )));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn client(config: &Config) -> reqwest::Result<Client> {
    // Fails if a provider is set already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let reach = config.network.reach;
    let follow = move |attempt: redirect::Attempt<'_>| {
        if attempt.previous().len() > FETCH_REDIRECTS_MAX || !allows(reach, attempt.url()) {
            attempt.stop()
        } else {
            attempt.follow()
        }
    };
    let mut builder = Client::builder()
        .user_agent(concat!("Althing/", env!("CARGO_PKG_VERSION")))
        .timeout(FETCH_TIMEOUT)
        .redirect(redirect::Policy::custom(follow));
    if let [addr] = config.network.bind[..] {
        builder = builder.local_address(addr);
    }
    if reach == Reach::Loopback {
        builder = builder.no_proxy();
    }
    builder.build()
}

/// Whether a request to `url` stays within `reach`.
fn allows(reach: Reach, url: &Url) -> bool {
    if !matches!(url.scheme(), "http" | "https") {
        return false;
    }
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match (reach, literal) {
        (Reach::Any, _) => true,
        (Reach::Loopback, Ok(ip)) => reach.allows(ip),
        // Any other name could resolve to anything.
        (Reach::Loopback, Err(_)) => host == "localhost",
    }
}

/// The error with its causes, which reqwest leaves to the reader.
fn told(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::response::Redirect;
    use axum::routing::get;

    async fn server() -> String {
        let router = Router::new()
            .route("/file", get(async || "d4:infod4:name1:aee"))
            .route("/moved", get(async || Redirect::temporary("/file")))
            .route("/loop", get(async || Redirect::temporary("/loop")))
            .route("/out", get(async || Redirect::temporary("http://192.0.2.1/file")))
            .route("/large", get(async || vec![0_u8; TORRENT_BYTES_MAX + 1]));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{addr}")
    }

    #[tokio::test]
    async fn fetches_what_is_there_and_says_what_is_not() {
        let base = server().await;
        let mut config = Config::default();
        config.network.reach = Reach::Loopback;
        let get = async |path: &str| {
            fetch(&config, &format!("{base}{path}")).await.map_err(|error| error.0.message)
        };
        assert_eq!(get("/file").await.unwrap(), b"d4:infod4:name1:aee");
        assert_eq!(get("/moved").await.unwrap(), b"d4:infod4:name1:aee");
        for (path, word) in
            [("/none", "404"), ("/large", "larger"), ("/loop", "307"), ("/out", "307")]
        {
            let error = get(path).await.map(|bytes| bytes.len()).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn loopback_reaches_no_further() {
        let allows = |reach, url| allows(reach, &Url::parse(url).unwrap());
        assert!(allows(Reach::Any, "https://example.org/a.torrent"));
        assert!(!allows(Reach::Any, "file:///etc/passwd"));
        assert!(!allows(Reach::Any, "ftp://example.org/a.torrent"));
        for url in ["http://127.0.0.1:1/", "http://[::1]/", "http://localhost/"] {
            assert!(allows(Reach::Loopback, url), "{url}");
        }
        for url in ["http://example.org/", "http://192.168.1.1/", "http://localhost.example/"] {
            assert!(!allows(Reach::Loopback, url), "{url}");
        }
    }
}
