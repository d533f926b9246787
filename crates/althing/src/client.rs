//! The daemon as the command line sees it: its HTTP API.

use crate::exit::{Exit, Failure};
use althing_node::api::types::{ErrorCode, ErrorReply, Event};
use althing_node::api::{self, token};
use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::env;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long connecting may take: the daemon is on this machine or near it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer may take; longer than the API's own limit.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(45);

/// Bytes of an answer: a list of a hundred thousand torrents is shorter.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// Bytes of one event: a snapshot has every torrent.
const EVENT_BYTES_MAX: usize = ANSWER_BYTES_MAX;

/// Name of the environment's variable that holds a token for [`crate::cli::Global::api`].
pub(crate) const TOKEN_VARIABLE: &str = "ALTHING_TOKEN";

/// Where a daemon is, and the key to it.
#[derive(Clone)]
pub(crate) struct Client {
    addr: SocketAddr,
    authorization: HeaderValue,
}

impl Client {
    /// The daemon at `addr`, or else that of the data folder `dir`; `None` if none is running there.
    pub(crate) async fn find(
        dir: &Path,
        addr: Option<SocketAddr>,
    ) -> Result<Option<Client>, Failure> {
        let named = addr.is_some();
        let Some(addr) = addr.or_else(|| api::read_addr(dir)) else {
            return Ok(None);
        };
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(addr)).await;
        if !matches!(connected, Ok(Ok(_))) && !named {
            // A daemon that was killed leaves its address behind.
            return Ok(None);
        }
        let token = match env::var(TOKEN_VARIABLE) {
            Ok(token) if named => token,
            _ => token::read(dir).map_err(|error| {
                let path = dir.join(token::TOKEN_FILE);
                Failure::new(
                    format!("a daemon runs at {addr}, but its token cannot be read: {error}"),
                    format!(
                        "{} must be readable: run this as the daemon's user, or name the daemon's \
                         data folder with --dir",
                        path.display()
                    ),
                )
                .with_exit(Exit::NoDaemon)
            })?,
        };
        Client::new(addr, &token).map(Some)
    }

    /// The daemon at `addr` that `token` opens.
    pub(crate) fn new(addr: SocketAddr, token: &str) -> Result<Client, Failure> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
            .map_err(|_| {
                Failure::new(
                    "the token holds characters that no token has",
                    format!("check ${TOKEN_VARIABLE}"),
                )
                .with_exit(Exit::NoDaemon)
            })?;
        authorization.set_sensitive(true);
        Ok(Client { addr, authorization })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Asks for a value.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.parsed(Method::GET, path, None).await
    }

    /// Sends a value (or nothing, if it is `()`) and gets one.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.parsed(Method::POST, path, Some(to_json(body))).await
    }

    /// Changes something, and gets how it is then.
    pub(crate) async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.parsed(Method::PATCH, path, Some(to_json(body))).await
    }

    /// Puts a value in its place and gets what is there then.
    pub(crate) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.parsed(Method::PUT, path, Some(to_json(body))).await
    }

    /// Asks for something to be done, of which there is nothing to tell.
    pub(crate) async fn act(&self, method: Method, path: &str) -> Result<(), Failure> {
        self.answer(method, path, None).await.map(drop)
    }

    async fn parsed<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<T, Failure> {
        let bytes = self.answer(method, path, body).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.garbled(&format!("{path}: {error}")))
    }

    async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Bytes, Failure> {
        let exchange = async {
            let response = self.send(method, path, body).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            let bytes = body.map_err(|error| self.garbled(&error.to_string()))?.to_bytes();
            if status.is_success() { Ok(bytes) } else { Err(self.refused(status, &bytes)) }
        };
        match tokio::time::timeout(ANSWER_TIMEOUT, exchange).await {
            Ok(result) => result,
            Err(_) => Err(Failure::new(
                format!("the daemon at {} takes longer than it should to answer", self.addr),
                "try again; if it goes on, stop and start it",
            )
            .with_exit(Exit::NoDaemon)),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Response<Incoming>, Failure> {
        let stream =
            match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(self.addr)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return Err(self.unreachable(&error.to_string())),
                Err(_) => return Err(self.unreachable("no answer")),
            };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.unreachable(&error.to_string()))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the daemon ended");
            }
        });
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", api::PREFIX))
            .header(header::HOST, self.addr.to_string())
            .header(header::AUTHORIZATION, self.authorization.clone());
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|error| self.garbled(&error.to_string()))?;
        sender.send_request(request).await.map_err(|error| self.unreachable(&error.to_string()))
    }

    /// Listens to what happens, from now on.
    pub(crate) async fn events(&self) -> Result<Events, Failure> {
        self.listen("/events").await
    }

    /// Listens to a stream of events.
    pub(crate) async fn listen<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Events<T>, Failure> {
        let response = self.send(Method::GET, path, None).await?;
        let status = response.status();
        if !status.is_success() {
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            let bytes = body.map(|body| body.to_bytes()).unwrap_or_default();
            return Err(self.refused(status, &bytes));
        }
        Ok(Events {
            client: self.clone(),
            body: response.into_body(),
            blocks: Blocks::default(),
            kind: PhantomData,
        })
    }

    fn refused(&self, status: http::StatusCode, body: &[u8]) -> Failure {
        match serde_json::from_slice::<ErrorReply>(body) {
            Ok(reply) => {
                let mut failure = Failure::from(reply.error);
                if failure.error.code == ErrorCode::Unauthorized {
                    failure.error.hint = format!(
                        "the daemon at {} has another data folder; name it with --dir, or its token \
                         in ${TOKEN_VARIABLE}",
                        self.addr
                    );
                }
                failure
            }
            Err(_) => self.garbled(&format!("it answered {status}")),
        }
    }

    fn unreachable(&self, why: &str) -> Failure {
        Failure::new(
            format!("no daemon answers at {}: {why}", self.addr),
            "start one with `althing up`",
        )
        .with_exit(Exit::NoDaemon)
    }

    fn garbled(&self, why: &str) -> Failure {
        Failure::new(
            format!("what answers at {} does not speak as an althing daemon does: {why}", self.addr),
            "another program may have the port, or the daemon another version; stop it and start it \
             again",
        )
        .with_exit(Exit::NoDaemon)
    }
}

fn to_json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("the API's types have only string keys").into()
}

/// A path of the API with a torrent's id in it, whatever the user typed as that.
pub(crate) fn torrent_path(id: &str, rest: &str) -> String {
    path("/torrents/", id) + rest
}

/// The path of something by its name.
pub(crate) fn path(before: &str, name: &str) -> String {
    let mut path = String::from(before);
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

/// What happens in a daemon, event by event.
pub(crate) struct Events<T = Event> {
    client: Client,
    body: Incoming,
    blocks: Blocks,
    kind: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Events<T> {
    /// The next event; `None` when the daemon has stopped. Nothing is lost if this is dropped while
    /// it waits.
    pub(crate) async fn next(&mut self) -> Result<Option<T>, Failure> {
        loop {
            while let Some(block) = self.blocks.take() {
                // Kinds of events that this version does not know are none of its business.
                if let Some(event) = parse_block(&block) {
                    return Ok(Some(event));
                }
            }
            if self.blocks.buffer.len() > EVENT_BYTES_MAX {
                return Err(self.client.garbled("an event without end"));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.blocks.buffer.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "the event stream broke off");
                    return Ok(None);
                }
                None => return Ok(None),
            }
        }
    }
}

/// Cuts a stream into the blocks between empty lines.
#[derive(Default)]
struct Blocks {
    buffer: BytesMut,
    /// How much of the buffer is known to hold no end of a block.
    searched: usize,
}

impl Blocks {
    /// The first block, once it is there to its end.
    fn take(&mut self) -> Option<BytesMut> {
        let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
        let Some(at) = unsearched.windows(2).position(|pair| pair == b"\n\n") else {
            // The last byte may be the first of two line ends.
            self.searched = self.buffer.len().saturating_sub(1);
            return None;
        };
        let block = self.buffer.split_to(self.searched + at);
        self.buffer.advance(2);
        self.searched = 0;
        Some(block)
    }
}

/// The event that is in the `data` lines of a block.
fn parse_block<T: DeserializeOwned>(block: &[u8]) -> Option<T> {
    let mut data = Vec::new();
    for line in block.split(|byte| *byte == b'\n') {
        if let Some(text) = line.strip_prefix(b"data:") {
            data.extend_from_slice(text.strip_prefix(b" ").unwrap_or(text));
        }
    }
    serde_json::from_slice(&data).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_blocks() {
        let stream =
            b": still here\n\nevent: removed\ndata: {\"type\":\"removed\",\"id\":\"ab\"}\n\nev";
        let mut blocks = Blocks::default();
        let mut seen = Vec::new();
        // However it is cut up on the way.
        for byte in stream {
            blocks.buffer.extend_from_slice(&[*byte]);
            seen.extend(blocks.take().map(|block| parse_block(&block)));
        }
        assert_eq!(seen, [None, Some(Event::Removed { id: "ab".into() })]);
        assert_eq!(parse_block::<Event>(b"data: {\"type\":\"unheard of\"}"), None);
    }

    #[test]
    fn ids_cannot_leave_their_place_in_the_path() {
        assert_eq!(torrent_path("ab12", "/pause"), "/torrents/ab12/pause");
        assert_eq!(torrent_path("../a b?", ""), "/torrents/..%2Fa%20b%3F");
    }
}
