//! Getting what HTTP trackers say (BEP 3): a client that is bounded in time, size and redirects,
//! never goes through a proxy it was not told of, and looks at every address before it connects.

use super::resolve::{Filter, choose, resolve};
use crate::limits::{
    HTTP_CONNECT_TIMEOUT, HTTP_IDLE_PER_HOST_MAX, HTTP_REDIRECTS_MAX, HTTP_TIMEOUT,
};
use crate::net::Way;
use crate::net::device::Local;
use althing_bittorrent::tracker::limits::HTTP_RESPONSE_BYTES_MAX;
use althing_bittorrent::tracker::{Family, TrackerError};
use bytes::BytesMut;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, ClientBuilder, Response, Url, header, redirect};
use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

/// Gets from HTTP trackers. Connections are kept for a while: many torrents have the same tracker.
pub(crate) struct HttpClient {
    way: Way,
    /// By family, whether this machine may be asked, and whether its own network.
    clients: [[[Mutex<Option<BoundClient>>; 2]; 2]; 3],
}

/// A client, and what it is bound to.
type BoundClient = (Local, Client);

impl HttpClient {
    pub(crate) fn new(way: Way) -> Self {
        HttpClient { way, clients: Default::default() }
    }

    /// Gets `url`, from an address of the given family if one is named; the body of the answer, and
    /// who gave it, unless a proxy is between.
    ///
    /// # Errors
    /// Says why there is none, as a user should read it.
    pub(crate) async fn get(
        &self,
        url: &str,
        family: Option<Family>,
    ) -> Result<(Vec<u8>, Option<IpAddr>), TrackerError> {
        let malformed = |error| TrackerError::Unreachable(format!("its URL is no URL: {error}"));
        let mut url = Url::parse(url).map_err(malformed)?;
        let getting = async {
            for _ in 0..=HTTP_REDIRECTS_MAX {
                let response = self.request(&url, family).await?;
                match redirection(&response) {
                    None => {
                        let proxied = self.way.proxy().is_some();
                        let by = response.remote_addr().filter(|_| !proxied);
                        return Ok((body(response).await?, by.map(|addr| addr.ip())));
                    }
                    Some(location) => url = url.join(location).map_err(malformed)?,
                }
            }
            Err(TrackerError::Unreachable("it redirects again and again".to_owned()))
        };
        tokio::time::timeout(HTTP_TIMEOUT, getting).await.map_err(|_| TrackerError::TimedOut)?
    }

    async fn request(&self, url: &Url, family: Option<Family>) -> Result<Response, TrackerError> {
        let this_machine = url.path().starts_with("/announce") || url.path().starts_with("/scrape");
        let own_network = true;
        let filter = Filter { reach: self.way.reach(), family, this_machine, own_network };
        self.send(url, filter, header::HeaderMap::new()).await
    }

    /// Sends one request to where `filter` lets it, and comes back with the head of the answer.
    pub(crate) async fn send(
        &self,
        url: &Url,
        filter: Filter,
        headers: header::HeaderMap,
    ) -> Result<Response, TrackerError> {
        // The client looks names up through the filter, but takes addresses as they are.
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let ip = host.parse::<IpAddr>().ok();
        if let Some(ip) = ip {
            choose(vec![SocketAddr::new(ip, 0)], filter)?;
        } else if self.way.proxy().is_some() {
            // The proxy looks it up, to an address that nobody here sees.
            super::resolve::may_be_named(host, filter)?;
        }
        let client = self.client(ip.map(Family::of), filter)?;
        client.get(url.clone()).headers(headers).send().await.map_err(|error| words(&error))
    }

    /// The client for such requests, bound to what there is now.
    fn client(&self, of: Option<Family>, filter: Filter) -> Result<Client, TrackerError> {
        let unreachable = |why: String| TrackerError::Unreachable(why);
        let look = self.way.look();
        if let Some(blocked) = look.blocked {
            return Err(unreachable(blocked));
        }
        let either = || look.v4.clone().or(look.v6.clone());
        let local = match (filter.family.or(of), self.way.proxy()) {
            (Some(family), None) => look.of(family).cloned(),
            _ => either(),
        };
        let family = filter.family.or(of).unwrap_or(Family::V4);
        let local = local.ok_or(TrackerError::NoAddress(family))?;
        // Where nothing is bound one client does for both families.
        let is_free = local.device.is_none() && local.ip.is_unspecified();
        let local = if is_free { Local::any(false) } else { local };
        let of_family = match filter.family {
            None => &self.clients[0],
            Some(Family::V4) => &self.clients[1],
            Some(Family::V6) => &self.clients[2],
        };
        let slot = &of_family[usize::from(filter.this_machine)][usize::from(filter.own_network)];
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        match &*slot {
            // What connections there are belong to an interface that is gone, or to another address.
            Some((bound, client)) if *bound == local => Ok(client.clone()),
            _ => {
                let made = client(&self.way, &local, filter)?;
                *slot = Some((local, made.clone()));
                Ok(made)
            }
        }
    }
}

/// Where an answer sends us instead, if it does.
pub(crate) fn redirection(response: &Response) -> Option<&str> {
    if !response.status().is_redirection() {
        return None;
    }
    response.headers().get(header::LOCATION)?.to_str().ok()
}

/// The whole body, if it is of a reasonable size. Trackers say why they refuse in the body, some
/// with an error's status, so the status counts only where the body says nothing.
async fn body(mut response: Response) -> Result<Vec<u8>, TrackerError> {
    let status = response.status();
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| words(&error))? {
        if body.len() + chunk.len() > HTTP_RESPONSE_BYTES_MAX {
            return Err(TrackerError::BadResponse(format!(
                "it has more than {HTTP_RESPONSE_BYTES_MAX} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() || body.starts_with(b"d") {
        Ok(body.into())
    } else {
        Err(TrackerError::HttpStatus(status.as_u16()))
    }
}

/// What went wrong, in the words of its innermost cause: the outer ones only repeat the URL.
fn words(error: &reqwest::Error) -> TrackerError {
    if error.is_timeout() {
        return TrackerError::TimedOut;
    }
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(known) = inner.downcast_ref::<TrackerError>() {
            return known.clone();
        }
        match inner.source() {
            Some(deeper) => cause = Some(deeper),
            None => return TrackerError::Unreachable(inner.to_string()),
        }
    }
    TrackerError::Unreachable("the request failed".to_owned())
}

/// A client that goes out by `way` alone.
fn client(way: &Way, local: &Local, filter: Filter) -> Result<Client, TrackerError> {
    // A proxy that the client cannot use must not be gone past.
    let unusable = |error| TrackerError::Unreachable(format!("the proxy cannot be used: {error}"));
    let proxy = way.proxy().map(crate::net::proxy::for_http).transpose().map_err(unusable)?;
    let builder = || {
        let mut builder = Client::builder()
            .user_agent(concat!("Althing/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            .redirect(redirect::Policy::none())
            .connect_timeout(HTTP_CONNECT_TIMEOUT)
            .pool_max_idle_per_host(HTTP_IDLE_PER_HOST_MAX)
            .dns_resolver(Arc::new(Resolver(way.clone(), filter)));
        builder = match &proxy {
            // It is given names, so that nothing is looked up here but its own.
            Some(proxy) => builder.proxy(proxy.clone()),
            None => builder.no_proxy(),
        };
        let over_loopback = way.proxy_is_here();
        if !local.ip.is_unspecified() && !over_loopback {
            builder = builder.local_address(local.ip);
        }
        bind(builder, local, over_loopback)
    };
    // An error means that some other part of the process chose one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(builder().build().unwrap_or_else(|error| {
        // A system without certificates: no HTTPS tracker can be trusted, all others work.
        tracing::warn!(%error, "no certificates on this system, so no https trackers; install \
            ca-certificates");
        builder().tls_certs_only([]).build().expect("only certificates can be missing")
    }))
}

/// Holds the client to its interface, where there are means to.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "macos", target_os = "ios"))]
fn bind(builder: ClientBuilder, local: &Local, over_loopback: bool) -> ClientBuilder {
    match local.device.as_ref().and_then(|device| device.binding()) {
        Some(name) if !over_loopback => builder.interface(name),
        _ => builder,
    }
}

/// Here the address alone has to do.
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "ios"
)))]
fn bind(builder: ClientBuilder, _local: &Local, _over_loopback: bool) -> ClientBuilder {
    builder
}

/// Looks names up through a [`Filter`]; behind a proxy only the proxy's own.
struct Resolver(Way, Filter);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Resolver(way, filter) = self;
        let (way, filter) = (way.clone(), *filter);
        Box::pin(async move {
            let found = match way.proxy() {
                Some(proxy) if proxy.host() == name.as_str() => {
                    way.lookup(name.as_str(), 0).await?
                }
                Some(_) => return Err("the proxy looks names up".into()),
                None => resolve(&way, name.as_str(), 0, filter).await?,
            };
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Network;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A server that gives each connection the next of `answers`.
    async fn serve(answers: Vec<String>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
        let addr = listener.local_addr().expect("it listens");
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.expect("someone connects");
                let mut request = vec![0; 4096];
                let len = stream.read(&mut request).await.expect("a request");
                assert!(request[..len].starts_with(b"GET /"), "{}", request.escape_ascii());
                // A client that has seen enough hangs up.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        addr
    }

    fn answer(status: &str, headers: &str, body: &str) -> String {
        let len = body.len();
        format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Length: {len}\r\nConnection: close\r\n\r\n{body}"
        )
    }

    async fn get(path: &str, answers: Vec<String>) -> Result<String, String> {
        let addr = serve(answers).await;
        let client = HttpClient::new(Way::new(&Network::default()));
        let body = client.get(&format!("http://{addr}{path}"), Some(Family::V4)).await;
        let (body, by) = body.map_err(|error| error.to_string())?;
        assert_eq!(by, Some(addr.ip()));
        Ok(String::from_utf8(body).expect("text"))
    }

    #[tokio::test]
    async fn bodies_and_refusals() {
        let ok = get("/announce?a=b", vec![answer("200 OK", "", "d5:peers0:e")]).await;
        assert_eq!(ok.as_deref(), Ok("d5:peers0:e"));
        let refusal = get("/announce", vec![answer("403 Forbidden", "", "d1:a1:be")]).await;
        assert_eq!(refusal.as_deref(), Ok("d1:a1:be"));
        let missing = get("/announce", vec![answer("404 Not Found", "", "<html>")]).await;
        assert!(missing.expect_err("404").contains("404"));
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut_off() {
        let endless = "x".repeat(HTTP_RESPONSE_BYTES_MAX + 1);
        let error = get("/announce", vec![answer("200 OK", "", &endless)]).await;
        assert!(error.expect_err("too long").contains("bytes"));
    }

    #[tokio::test]
    async fn redirects_are_followed_so_often_and_not_to_what_runs_here() {
        let to = |path: &str| answer("302 Found", &format!("Location: {path}\r\n"), "");
        let there = vec![to("/announce/2?x"), answer("200 OK", "", "de")];
        assert_eq!(get("/announce", there).await.as_deref(), Ok("de"));
        let around = vec![to("/announce"); HTTP_REDIRECTS_MAX + 1];
        assert!(get("/announce", around).await.expect_err("a circle").contains("redirects"));
        let error =
            get("/announce", vec![to("/shutdown")]).await.expect_err("not a tracker's path");
        assert!(error.contains("this machine"), "{error}");
    }

    #[tokio::test]
    async fn only_the_family_that_was_asked_for() {
        let client = HttpClient::new(Way::new(&Network::default()));
        let error = client.get("http://127.0.0.1:1/announce", Some(Family::V6)).await;
        assert_eq!(error, Err(TrackerError::NoAddress(Family::V6)));
    }
}
