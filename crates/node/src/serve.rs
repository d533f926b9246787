//! An HTTP listener: takes connections up to a limit, gives each a service, and ends them cleanly.
//! The API and the tracker both stand on it.

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// What connections may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Connections served at once; further ones wait in the operating system's queue.
    pub(crate) connections: usize,
    /// How long a client may take for the head of a request, and how long a connection may idle
    /// between two; then it is closed. Keeps slow senders from holding all connections.
    pub(crate) header_timeout: Duration,
    /// Bytes of a request's head that are buffered; hyper needs at least 8 KiB.
    pub(crate) head_bytes: usize,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long requests under way may go on after the stop.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Pause after a failed `accept`, which is most often a lack of file descriptors that some other
/// connection will give back.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Serves until `stop` becomes true, each connection with what `service` makes for its address; then
/// ends every connection after its request.
pub(crate) async fn serve<S, B>(
    listener: TcpListener,
    service: impl Fn(SocketAddr) -> S,
    bounds: Bounds,
    mut stop: watch::Receiver<bool>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send>,
    S: Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(bounds.connections));
    let mut connections = JoinSet::new();
    while let Some((stream, addr, place)) = tokio::select! {
        next = accept(&listener, &places) => Some(next),
        () = stopped(&mut stop) => None,
    } {
        let service = service(addr);
        let stop = stop.clone();
        connections.spawn(async move {
            connection(stream, service, bounds, stop).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_GRACE, all_ended).await.is_err() {
        tracing::debug!("some connections did not end in time and are cut");
    }
}

/// Returns once `stop` is true, or once nobody is left who could make it so.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit) {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, addr)) => return (stream, addr, place),
            Err(error) => {
                tracing::warn!(%error, "cannot take an HTTP connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn connection<S, B>(
    stream: TcpStream,
    service: S,
    bounds: Bounds,
    mut stop: watch::Receiver<bool>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>>,
    B: Body<Error: Into<BoxError>> + 'static,
{
    // Answers are small and wait for nothing that Nagle's algorithm could join them with.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY refused");
    }
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header_timeout)
        .max_buf_size(bounds.head_bytes);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "an HTTP connection ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use hyper_util::service::TowerToHyperService;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const BOUNDS: Bounds =
        Bounds { connections: 16, header_timeout: Duration::from_secs(15), head_bytes: 16 * 1024 };

    async fn start() -> (SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let router = Router::new().route("/", get(async || "here"));
        let service = move |_| TowerToHyperService::new(router.clone());
        (addr, stop, tokio::spawn(serve(listener, service, BOUNDS, stopped)))
    }

    async fn answer(addr: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn answers_and_stops() {
        let (addr, stop, task) = start().await;
        let close = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        assert!(answer(addr, close).await.ends_with("here"));

        let mut idle = TcpStream::connect(addr).await.unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut first = [0; 12];
        idle.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        stop.send(true).unwrap();
        task.await.unwrap();
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).await.unwrap();
        assert!(TcpStream::connect(addr).await.is_err());
    }

    #[tokio::test]
    async fn a_head_without_end_is_cut_off() {
        let (addr, _stop, _task) = start().await;
        let endless = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(BOUNDS.head_bytes * 2));
        let mut stream = TcpStream::connect(addr).await.unwrap();
        // The server may close while this is still being written.
        drop(stream.write_all(endless.as_bytes()).await);
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{answer:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_nothing_is_cut_off() {
        let (addr, _stop, _task) = start().await;
        // Neither a head that does not come to its end nor an idle connection is kept.
        for begun in ["GET / HTTP/1.1\r\nHos", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"] {
            let answer = tokio::time::timeout(BOUNDS.header_timeout * 2, answer(addr, begun)).await;
            assert!(answer.is_ok(), "still open after {begun:?}");
        }
    }

    #[tokio::test]
    async fn more_than_the_limit_wait_their_turn() {
        let (addr, _stop, _task) = start().await;
        let mut open = Vec::new();
        for _ in 0..BOUNDS.connections {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let mut first = [0; 12];
            stream.read_exact(&mut first).await.unwrap();
            open.push(stream);
        }
        let waiting =
            tokio::spawn(answer(addr, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        // Everyone with a place was answered; the one without is as long as nobody leaves.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished());
        open.pop();
        assert!(waiting.await.unwrap().ends_with("here"));
    }
}
