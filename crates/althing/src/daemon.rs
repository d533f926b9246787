//! The daemon within this process: what `up` runs, and what `share` and `get` run when no other does.
//! The commands speak to it as to any other, over its API, so that there is one way of doing things.

use crate::cli::{Global, Listen, ListenAddr};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use althing_node::api::{Server, token};
use althing_node::config::ConfigError;
use althing_node::paths::{self, Paths};
use althing_node::session::read_documents_with;
use althing_node::{Config, Session};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A session and its API, running in this process.
pub(crate) struct Daemon {
    dir: PathBuf,
    session: Session,
    server: Server,
}

/// A daemon to talk to, and whether it is our own.
pub(crate) struct Reached {
    pub(crate) client: Client,
    pub(crate) own: Option<Daemon>,
}

/// This program, to be started again. On Linux it is what runs, also when its file has been replaced.
fn own_program() -> Option<PathBuf> {
    match cfg!(target_os = "linux") {
        true => Some(PathBuf::from("/proc/self/exe")),
        false => std::env::current_exe().ok(),
    }
}

/// The data folder that the options name.
pub(crate) fn data_dir(global: &Global) -> Result<PathBuf, Failure> {
    let dir = match &global.dir {
        Some(dir) => dir.clone(),
        None => paths::default_root().map_err(|error| Failure::sentence(&error))?,
    };
    std::path::absolute(&dir).map_err(|error| {
        Failure::new(
            format!("{} cannot be a data folder: {error}", dir.display()),
            "name another with --dir",
        )
        .with_exit(Exit::Usage)
    })
}

/// The settings in force in `dir`, as far as they are in its file.
pub(crate) fn config(dir: &Path) -> Result<Config, Failure> {
    Config::load(&Paths::new(dir).config()).map_err(|error| match error {
        ConfigError::Syntax { path, error } => Failure::new(
            format!("{} has a mistake\n{error}", path.display()).trim_end(),
            "`althing config reference` lists every setting",
        ),
        other => Failure::sentence(&other),
    })
}

/// The running daemon; an error if there is none.
pub(crate) async fn running(global: &Global) -> Result<Client, Failure> {
    let dir = data_dir(global)?;
    match Client::find(&dir, global.api).await? {
        Some(client) => Ok(client),
        None => Err(Failure::new(
            format!("no daemon is running with the data folder {}", dir.display()),
            "start one with `althing up`, or name another folder with --dir",
        )
        .with_exit(Exit::NoDaemon)),
    }
}

/// The running daemon, or else one that is started here and lasts as long as the command.
pub(crate) async fn running_or_own(global: &Global, listen: &Listen) -> Result<Reached, Failure> {
    let dir = data_dir(global)?;
    if let Some(client) = Client::find(&dir, global.api).await? {
        if listen.listen.is_some() {
            return Err(Failure::new(
                "a daemon is running already, and has its own peer port",
                "leave --listen out, or stop the daemon first with `althing down`",
            )
            .with_exit(Exit::Usage));
        }
        return Ok(Reached { client, own: None });
    }
    let daemon = Daemon::start(&dir, listen, ApiListen::OrAnyPort).await?;
    Ok(Reached { client: daemon.client()?, own: Some(daemon) })
}

/// Where the API of an own daemon listens.
pub(crate) enum ApiListen {
    /// As the settings say.
    Configured,
    /// As the settings say; on a port of the system's choice if that one is taken.
    OrAnyPort,
    /// Here.
    At(ListenAddr),
}

impl Daemon {
    /// Starts a session in `dir` with its settings and the options of the command line, and its API.
    pub(crate) async fn start(
        dir: &Path,
        listen: &Listen,
        api_listen: ApiListen,
    ) -> Result<Self, Failure> {
        Self::start_with(dir, listen, api_listen, |_| {}).await
    }

    /// The same, with settings changed for this run.
    pub(crate) async fn start_with(
        dir: &Path,
        listen: &Listen,
        api_listen: ApiListen,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self, Failure> {
        let mut config = config(dir)?;
        change(&mut config);
        if let Some(ListenAddr { ip, port }) = listen.listen {
            config.network.port = port;
            if let Some(ip) = ip {
                config.network.bind = if ip.is_unspecified() { Vec::new() } else { vec![ip] };
            }
        }
        match api_listen {
            ApiListen::Configured => {}
            ApiListen::OrAnyPort => {
                let taken = std::net::TcpListener::bind(config.api.listen).is_err();
                if taken && config.api.listen.ip().is_loopback() {
                    config.api.listen.set_port(0);
                }
            }
            ApiListen::At(listen) => config.api.listen = listen.or_loopback(),
        }
        if let Some(program) = own_program() {
            read_documents_with(program);
        }
        let session =
            Session::start(config, dir).await.map_err(|error| Failure::sentence(&error))?;
        match Server::start(session.clone(), dir).await {
            Ok(server) => Ok(Daemon { dir: dir.to_owned(), session, server }),
            Err(error) => {
                session.shutdown().await;
                Err(Failure::sentence(&error))
            }
        }
    }

    /// A client of its API.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let token = token::read(&self.dir).map_err(|error| {
            Failure::new(
                format!("the token that was just written cannot be read: {error}"),
                "check that nothing else changes the data folder",
            )
        })?;
        Client::new(self.api_addr(), &token)
    }

    /// Where its API listens.
    pub(crate) fn api_addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// Where it listens for peers.
    pub(crate) fn peer_addrs(&self) -> Vec<SocketAddr> {
        self.session.peer_addrs()
    }

    /// Why nothing can go out, if that is so.
    pub(crate) fn blocked(&self) -> Option<String> {
        self.session.blocked()
    }

    /// How many torrents it has.
    pub(crate) fn torrents(&self) -> usize {
        self.session.count()
    }

    /// Returns when a client asks it to stop.
    pub(crate) async fn shutdown_requested(&self) {
        self.server.shutdown_requested().await;
    }

    /// Stops it: trackers are told, progress is saved.
    pub(crate) async fn stop(self) {
        self.session.shutdown().await;
        self.server.stop().await;
    }
}
