//! The API as one thing that starts and stops.

use super::app::App;
use super::guard::{ExposureError, Guard};
use super::limits::{CONNECTIONS_MAX, HEAD_BYTES_MAX, HEADER_TIMEOUT};
use super::token::{self, TokenError};
use super::{live, routes, torznab};
use crate::serve;
use crate::session::Session;
use althing_store::atomic::{self, Access};
use hyper_util::service::TowerToHyperService;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// File within the data folder that says where the API listens, for clients on this machine; it is
/// there while the API is.
pub const ADDR_FILE: &str = "api.addr";

/// What connections may cost.
const BOUNDS: serve::Bounds = serve::Bounds {
    connections: CONNECTIONS_MAX,
    header_timeout: HEADER_TIMEOUT,
    head_bytes: HEAD_BYTES_MAX,
};

/// The running API.
pub struct Server {
    addr: SocketAddr,
    addr_file: PathBuf,
    stop: watch::Sender<bool>,
    shutdown: watch::Receiver<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// The API could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// No token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The settings would let others in.
    #[error(transparent)]
    Exposure(#[from] ExposureError),
    /// The port is taken, or the address is not this machine's.
    #[error("the API cannot listen on {addr}: {error}; {}", advice(error))]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// The system's words.
        error: io::Error,
    },
    /// The file that tells clients where it listens.
    #[error("cannot write {}: {error}; make the data folder writable", path.display())]
    AddrFile {
        /// The file.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program has the port, perhaps an althing with another data folder; choose one \
             with --api-listen 127.0.0.1:0 (the system chooses) or api.listen in config.toml"
        }
        _ => "mend api.listen in config.toml",
    }
}

impl Server {
    /// Starts the API of `session`, whose data folder is `dir`, as the session's settings say.
    ///
    /// # Errors
    /// If there can be no token, if the settings would open it to others without a password, or if
    /// the port cannot be had.
    pub async fn start(session: Session, dir: &Path) -> Result<Self, ServerError> {
        let token = token::load_or_create(dir)?;
        let config = &session.config().api;
        let listen = config.listen;
        let torznab_key = token::load_or_create_in(dir, torznab::KEY_FILE)?;
        let torznab = torznab::Desk::new(torznab_key, token.clone());
        let guard = Arc::new(Guard::new(token, config)?);
        let failed = |error| ServerError::Listen { addr: listen, error };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let addr_file = dir.join(ADDR_FILE);
        atomic::write(&addr_file, format!("{addr}\n").as_bytes(), Access::Default)
            .map_err(|error| ServerError::AddrFile { path: addr_file.clone(), error })?;

        let (stop, stopped) = watch::channel(false);
        let app = App::new(session, dir.to_owned(), torznab, stopped.clone());
        let shutdown = app.shutdown().subscribe();
        let router = routes::router(app.clone(), guard);
        let service = move |_| TowerToHyperService::new(router.clone());
        let tasks = vec![
            tokio::spawn(live::run(app, stopped.clone())),
            tokio::spawn(serve::serve(listener, service, BOUNDS, stopped)),
        ];
        tracing::info!(%addr, "the API listens");
        Ok(Server { addr, addr_file, stop, shutdown, tasks })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns when a client has asked the daemon to stop.
    pub async fn shutdown_requested(&self) {
        serve::stopped(&mut self.shutdown.clone()).await;
    }

    /// Stops: requests under way are answered, event streams end.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = fs::remove_file(&self.addr_file) {
            tracing::debug!(%error, path = %self.addr_file.display(), "left behind");
        }
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the API ended badly");
            }
        }
    }
}

/// Where the API of the data folder `dir` listens, if it is running.
///
/// A daemon that was killed leaves the file behind; nobody answers there then.
pub fn read_addr(dir: &Path) -> Option<SocketAddr> {
    fs::read_to_string(dir.join(ADDR_FILE)).ok()?.trim().parse().ok()
}
