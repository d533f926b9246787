//! Fetching a torrent file by its address, within bounds of size, time and redirects, and only from
//! where the settings let this node go.

use super::error::ApiError;
use super::limits::{FETCH_REDIRECTS_MAX, FETCH_TIMEOUT, TORRENT_BYTES_MAX};
use super::types::ErrorCode;
use crate::config::Reach;
use crate::net::Way;
use crate::trackers::http::{HttpClient, redirection};
use crate::trackers::resolve::Filter;
use althing_bittorrent::tracker::TrackerError;
use reqwest::header::HeaderMap;
use reqwest::{Response, Url};
use std::net::IpAddr;

/// The bytes that lie at `url`, asked for by `way` alone.
///
/// # Errors
/// If the settings forbid going there, nobody answers in time, or the answer is no file or too
/// large.
pub(super) async fn fetch(way: &Way, url: &str) -> Result<Vec<u8>, ApiError> {
    let reach = way.reach();
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
    let getting = async {
        let mut response =
            answer(way, parsed.clone()).await.map_err(|why| failed(why.to_string()))?;
        if !response.status().is_success() {
            return Err(failed(format!("{parsed} answers {}", response.status())));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(told(&error)))? {
            if bytes.len().saturating_add(chunk.len()) > TORRENT_BYTES_MAX {
                return Err(failed(format!(
                    "what lies at {parsed} is larger than any torrent file \
                     ({TORRENT_BYTES_MAX} bytes)"
                )));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    let late = || failed(format!("{parsed} takes longer than {} s", FETCH_TIMEOUT.as_secs()));
    tokio::time::timeout(FETCH_TIMEOUT, getting).await.map_err(|_| late())?
}

/// The answer at the end of all redirects that may be followed.
async fn answer(way: &Way, mut url: Url) -> Result<Response, TrackerError> {
    let http = HttpClient::new(way.clone());
    // Whoever has the API's token may name any place.
    let filter = Filter { reach: way.reach(), family: None, this_machine: true, own_network: true };
    let mut followed = 0;
    loop {
        let response = http.send(&url, filter, HeaderMap::new()).await?;
        let next = redirection(&response).and_then(|location| url.join(location).ok());
        match next {
            Some(next) if followed < FETCH_REDIRECTS_MAX && allows(way.reach(), &next) => {
                followed += 1;
                url = next;
            }
            _ => return Ok(response),
        }
    }
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
        let network = crate::config::Network { reach: Reach::Loopback, ..Default::default() };
        let way = Way::new(&network);
        let get = async |path: &str| {
            fetch(&way, &format!("{base}{path}")).await.map_err(|error| error.0.message)
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
