//! A tracker for others: sockets for the [tracker machine](althing_bittorrent::tracker::Server),
//! HTTP over TCP (BEP 3, 23, 48) and the UDP protocol (BEP 15) on the same port.

use crate::entropy::{self, EntropyError};
use crate::serve::{self, stopped};
use crate::{clock, limits};
use althing_bittorrent::tracker::{Server, ServerConfig};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running tracker.
pub struct TrackerServer {
    addr: SocketAddr,
    server: Shared,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

type Shared = Arc<Mutex<Server>>;

/// A tracker could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrackerServerError {
    /// The port cannot be had.
    #[error("the tracker cannot listen on {addr}: {error}; choose another with --listen")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// The system's words.
        error: io::Error,
    },
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// What HTTP connections may cost: a request is a few hundred bytes and comes at once.
const BOUNDS: serve::Bounds = serve::Bounds {
    connections: limits::TRACKER_CONNECTIONS_MAX,
    header_timeout: limits::TRACKER_HEADER_TIMEOUT,
    head_bytes: limits::TRACKER_HEAD_BYTES_MAX,
};

impl TrackerServer {
    /// Starts a tracker that listens on `addr`, TCP and UDP; with port 0 on a port that the system
    /// chooses and that both have.
    ///
    /// # Errors
    /// If the port cannot be had, or the system has no random bytes.
    pub async fn start(addr: SocketAddr, config: ServerConfig) -> Result<Self, TrackerServerError> {
        let seed = entropy::seed()?;
        let (listener, socket) =
            bind(addr).await.map_err(|error| TrackerServerError::Listen { addr, error })?;
        let bound = listener.local_addr();
        let addr = bound.map_err(|error| TrackerServerError::Listen { addr, error })?;
        let server = Arc::new(Mutex::new(Server::new(config, seed)));
        let (stop, stopping) = watch::channel(false);
        let service = {
            let server = Arc::clone(&server);
            move |from| {
                let server = Arc::clone(&server);
                service_fn(move |request| answer(Arc::clone(&server), from, request))
            }
        };
        let tasks = vec![
            tokio::spawn(serve::serve(listener, service, BOUNDS, stopping.clone())),
            tokio::spawn(packets(socket, Arc::clone(&server), stopping.clone())),
            tokio::spawn(forget(Arc::clone(&server), stopping)),
        ];
        Ok(TrackerServer { addr, server, stop, tasks })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many torrents it knows, and how many peers, each once for each of its torrents.
    pub fn counts(&self) -> (usize, usize) {
        let server = lock(&self.server);
        (server.torrent_count(), server.peer_count())
    }

    /// Stops it.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the tracker ended badly");
            }
        }
    }
}

/// Attempts at a port that both protocols can have.
const BIND_ATTEMPTS: u32 = 8;

async fn bind(addr: SocketAddr) -> io::Result<(TcpListener, UdpSocket)> {
    let mut attempt = 1;
    loop {
        let listener = TcpListener::bind(addr).await?;
        match UdpSocket::bind(listener.local_addr()?).await {
            Ok(socket) => return Ok((listener, socket)),
            // The port that the system chose for one may be taken for the other.
            Err(_) if addr.port() == 0 && attempt < BIND_ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

async fn answer(
    server: Shared,
    from: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain"));
    if request.method() != Method::GET {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        return Ok(response);
    }
    let target = request.uri().path_and_query().map(|target| target.as_str()).unwrap_or("/");
    let reply = lock(&server).handle_get(clock::now(), from, target.as_bytes());
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::NOT_FOUND);
    *response.body_mut() = Full::from(reply.body);
    Ok(response)
}

/// Pause after an error of the UDP socket, so that one that stays does not burn a core.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

async fn packets(socket: UdpSocket, server: Shared, mut stop: watch::Receiver<bool>) {
    let mut buffer = vec![0; limits::TRACKER_PACKET_BYTES_MAX];
    loop {
        let (size, from) = tokio::select! {
            received = socket.recv_from(&mut buffer) => match received {
                Ok(received) => received,
                Err(error) => {
                    // An earlier answer that met a closed port comes back as an error here.
                    tracing::trace!(%error, "receiving failed");
                    tokio::time::sleep(ERROR_PAUSE).await;
                    continue;
                }
            },
            () = stopped(&mut stop) => return,
        };
        let packet = buffer.get(..size).unwrap_or_default();
        let answer = lock(&server).handle_packet(clock::now(), from, packet);
        if let Some(answer) = answer
            && let Err(error) = socket.send_to(&answer, from).await
        {
            tracing::trace!(%from, %error, "an answer could not be sent");
        }
    }
}

/// Time between two looks for peers to forget while there are none.
const IDLE_LOOK: Duration = Duration::from_secs(60);

async fn forget(server: Shared, mut stop: watch::Receiver<bool>) {
    loop {
        let next = lock(&server).poll_timeout().map(|(at, _)| at);
        let next = next.unwrap_or_else(|| clock::now() + IDLE_LOOK);
        tokio::select! {
            () = tokio::time::sleep_until(clock::deadline(next)) => {}
            () = stopped(&mut stop) => return,
        }
        lock(&server).handle_timeout(clock::now());
    }
}

fn lock(server: &Shared) -> MutexGuard<'_, Server> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn start() -> TrackerServer {
        let addr = "127.0.0.1:0".parse().unwrap();
        TrackerServer::start(addr, ServerConfig::default()).await.unwrap()
    }

    async fn get(addr: SocketAddr, target: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn announce(peer: char, port: u16) -> String {
        format!(
            "/announce?info_hash={}&peer_id={}&port={port}&uploaded=0&downloaded=0&left=1&compact=0",
            "a".repeat(20),
            peer.to_string().repeat(20),
        )
    }

    #[tokio::test]
    async fn introduces_peers_over_http() {
        let tracker = start().await;
        let first = get(tracker.addr(), &announce('x', 1001)).await;
        assert!(first.starts_with("HTTP/1.1 200") && first.contains("8:interval"), "{first}");
        let second = get(tracker.addr(), &announce('y', 1002)).await;
        assert!(second.contains("9:127.0.0.1") && second.contains("4:porti1001e"), "{second}");
        assert_eq!(tracker.counts(), (1, 2));
        assert!(get(tracker.addr(), "/").await.starts_with("HTTP/1.1 404"));
        tracker.stop().await;
    }

    #[tokio::test]
    async fn answers_packets_on_the_same_port_and_ignores_noise() {
        let tracker = start().await;
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(b"noise", tracker.addr()).await.unwrap();
        // BEP 15: connect.
        let mut connect = 0x417_2710_1980_u64.to_be_bytes().to_vec();
        connect.extend([0, 0, 0, 0, 1, 2, 3, 4]);
        socket.send_to(&connect, tracker.addr()).await.unwrap();
        let mut answer = [0; 64];
        let (size, from) = socket.recv_from(&mut answer).await.unwrap();
        assert_eq!((size, from), (16, tracker.addr()));
        assert_eq!(answer[..8], [0, 0, 0, 0, 1, 2, 3, 4]);
        tracker.stop().await;
    }
}
