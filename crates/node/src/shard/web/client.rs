//! Asking a web seed for part of a file: the request, its redirects, and where they may lead.
//!
//! A torrent is a stranger's word, and so is a redirect. A torrent may name a server in one's own
//! network, since people do share files there, but not with a query, which is how one machine has
//! another do something. From the world a redirect leads into the world only, and from one's own
//! network not to this very machine. See docs/decisions/0014.

use crate::limits::{WEB_SEED_ANSWER_TIMEOUT, WEB_SEED_REDIRECTS_MAX};
use crate::net::Way;
use crate::trackers::http::{HttpClient, redirection};
use crate::trackers::resolve::{Filter, is_local};
use althing_bittorrent::tracker::TrackerError;
use althing_bittorrent::webseed::Head;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, Url};
use std::ops::Range;

/// How web seeds are asked.
pub(in crate::shard) struct WebClient {
    way: Way,
    http: HttpClient,
}

/// What was asked for last and where it was found in the end: a mirror need not be asked for it each
/// time.
pub(super) type Moved = Option<(String, Url, Reached)>;

/// How far away a server is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Reached {
    /// On this machine.
    Here,
    /// In a network of this machine's own.
    Near,
    /// Anywhere.
    World,
}

impl WebClient {
    pub(in crate::shard) fn new(way: Way) -> Self {
        WebClient { http: HttpClient::new(way.clone()), way }
    }

    /// The answer to a request for `range` of the file at `url`, with its head.
    ///
    /// # Errors
    /// Says why there is none, as a user should read it.
    pub(super) async fn get(
        &self,
        url: &str,
        range: &Range<u64>,
        moved: &mut Moved,
    ) -> Result<(Response, Head), String> {
        let getting = self.follow(url, range, moved);
        let answer = tokio::time::timeout(WEB_SEED_ANSWER_TIMEOUT, getting).await;
        let answer = answer.unwrap_or(Err(TrackerError::TimedOut));
        answer.map_err(|error| {
            *moved = None;
            error.to_string()
        })
    }

    async fn follow(
        &self,
        named: &str,
        range: &Range<u64>,
        moved: &mut Moved,
    ) -> Result<(Response, Head), TrackerError> {
        let malformed = |error| TrackerError::Unreachable(format!("its URL is no URL: {error}"));
        let (mut url, mut from) = match moved {
            Some((last, url, from)) if last == named => (url.clone(), *from),
            _ => (Url::parse(named).map_err(malformed)?, Reached::Here),
        };
        for _ in 0..=WEB_SEED_REDIRECTS_MAX {
            let response = self.request(&url, from, range).await?;
            match redirection(&response) {
                None => {
                    *moved = Some((named.to_owned(), url, from));
                    let head = head(&response);
                    return Ok((response, head));
                }
                Some(location) => {
                    // What a proxy talks to nobody here sees.
                    let addr = response.remote_addr().filter(|_| self.way.proxy().is_none());
                    from = from.max(addr.map_or(Reached::World, |addr| reached(addr.ip())));
                    url = url.join(location).map_err(malformed)?;
                }
            }
        }
        Err(TrackerError::Unreachable("it redirects again and again".to_owned()))
    }

    async fn request(
        &self,
        url: &Url,
        from: Reached,
        range: &Range<u64>,
    ) -> Result<Response, TrackerError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(TrackerError::Unreachable("it is not on the web".to_owned()));
        }
        let from = if url.query().is_some() { Reached::World } else { from };
        let filter = Filter {
            reach: self.way.reach(),
            family: None,
            this_machine: from == Reached::Here,
            own_network: from != Reached::World,
        };
        let mut headers = HeaderMap::new();
        let bytes = format!("bytes={}-{}", range.start, range.end - 1);
        let bytes = HeaderValue::from_str(&bytes).expect("digits stand for themselves");
        headers.insert(header::RANGE, bytes);
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        self.http.send(url, filter, headers).await
    }
}

fn reached(ip: std::net::IpAddr) -> Reached {
    let ip = ip.to_canonical();
    if ip.is_loopback() || ip.is_unspecified() {
        Reached::Here
    } else if is_local(ip) {
        Reached::Near
    } else {
        Reached::World
    }
}

fn head(response: &Response) -> Head {
    let text = |name: HeaderName| {
        let value = response.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let encoded = response.headers().get_all(header::CONTENT_ENCODING).iter().next().is_some();
    Head {
        status: response.status().as_u16(),
        content_range: text(header::CONTENT_RANGE),
        content_length: text(header::CONTENT_LENGTH).and_then(|length| length.trim().parse().ok()),
        content_encoding: text(header::CONTENT_ENCODING)
            .or_else(|| encoded.then(|| "unknown".to_owned())),
        retry_after: text(header::RETRY_AFTER),
        date: text(header::DATE),
    }
}
