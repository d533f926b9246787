//! `up` and `down`: the daemon's life.

use crate::cli::{Global, Up};
use crate::daemon::{ApiListen, Daemon, data_dir, running};
use crate::exit::Failure;
use crate::screen::{Screen, text, units};
use crate::signals::Signals;
use althing_node::Config;
use althing_node::api::token::TOKEN_FILE;
use http::Method;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

/// How long a daemon may take to stop: twice what its settings give it by default.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// What `up --json` prints once it is ready.
#[derive(Serialize)]
struct Ready {
    r#type: &'static str,
    version: &'static str,
    pid: u32,
    dir: String,
    api: SocketAddr,
    peer_addrs: Vec<SocketAddr>,
}

pub(super) async fn up(
    global: &Global,
    args: Up,
    screen: &Screen,
    mut signals: Signals,
) -> Result<(), Failure> {
    let dir = data_dir(global)?;
    let api_listen = args.api_listen.map_or(ApiListen::Configured, ApiListen::At);
    let change = |config: &mut Config| {
        if args.super_peer {
            (config.overlay.enabled, config.overlay.super_peer) = (true, true);
        }
    };
    let daemon = Daemon::start_with(&dir, &args.listen, api_listen, change).await?;
    let version = env!("CARGO_PKG_VERSION");
    let ready = Ready {
        r#type: "ready",
        version,
        pid: std::process::id(),
        dir: dir.to_string_lossy().into_owned(),
        api: daemon.api_addr(),
        peer_addrs: daemon.peer_addrs(),
    };
    screen.value(&ready, true);
    let peers = match &ready.peer_addrs[..] {
        [] if daemon.blocked().is_some() => "nowhere, see below".to_owned(),
        [] => "nowhere (network.incoming is off, or there is a proxy)".to_owned(),
        addrs => addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let blocked = daemon.blocked().map(|why| format!("Note: {why}.\n")).unwrap_or_default();
    screen.note(&format!(
        "Althing {version} is up with {}.\n\
         \x20 data folder  {}\n\
         \x20 peers        {peers}\n\
         \x20 API          http://{}{} (token in {TOKEN_FILE})\n\
         {blocked}Ctrl-C stops it.",
        units::counted(daemon.torrents() as u64, "torrent"),
        text::escape(&ready.dir),
        ready.api,
        althing_node::api::PREFIX,
    ));
    tokio::select! {
        () = signals.interrupted() => {}
        () = daemon.shutdown_requested() => {}
        () = stdin_closed(args.until_stdin_closes) => {}
    }
    screen.note("Stopping: telling trackers, saving progress. Ctrl-C again ends it at once.");
    daemon.stop().await;
    Ok(())
}

/// Returns when standard input ends, if `wanted`; else never.
pub(super) async fn stdin_closed(wanted: bool) {
    if !wanted {
        return std::future::pending().await;
    }
    let mut stdin = tokio::io::stdin();
    let mut buffer = [0; 64];
    while stdin.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}

pub(super) async fn down(global: &Global, screen: &Screen) -> Result<(), Failure> {
    let client = running(global).await?;
    // The stream ends when the daemon has stopped.
    let mut events = client.events().await?;
    client.act(Method::POST, "/shutdown").await?;
    let stopped = async {
        while events.next().await?.is_some() {}
        Ok::<(), Failure>(())
    };
    match tokio::time::timeout(STOP_TIMEOUT, stopped).await {
        Ok(result) => result?,
        Err(_) => {
            return Err(Failure::new(
                "the daemon was asked to stop and is still running",
                "it may be waiting for a slow disk; look again in a minute",
            ));
        }
    }
    screen.note("Stopped.");
    Ok(())
}
