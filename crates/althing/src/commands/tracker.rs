//! `tracker`: a meeting place for peers.

use super::up::stdin_closed;
use crate::cli::Tracker;
use crate::exit::Failure;
use crate::screen::progress::Progress;
use crate::screen::{Screen, units};
use crate::signals::Signals;
use althing_bittorrent::tracker::ServerConfig;
use althing_node::tracker_server::TrackerServer;
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Time between two looks at how many peers there are.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What `tracker --json` prints once it is ready.
#[derive(Serialize)]
struct Ready {
    r#type: &'static str,
    pid: u32,
    addr: SocketAddr,
    http: String,
    udp: String,
}

pub(super) async fn tracker(
    args: Tracker,
    screen: &Screen,
    mut signals: Signals,
) -> Result<(), Failure> {
    // A tracker on this machine alone would be of no use to anyone but tests, which say so.
    let everywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let addr = SocketAddr::new(args.listen.ip.unwrap_or(everywhere), args.listen.port);
    let server = TrackerServer::start(addr, ServerConfig::default())
        .await
        .map_err(|error| Failure::sentence(&error))?;
    let addr = server.addr();
    let ready = Ready {
        r#type: "ready",
        pid: std::process::id(),
        addr,
        http: format!("http://{addr}/announce"),
        udp: format!("udp://{addr}/announce"),
    };
    screen.value(&ready, true);
    let shown = match addr.ip().is_unspecified() {
        true => format!("THIS.COMPUTERS.ADDRESS:{}", addr.port()),
        false => addr.to_string(),
    };
    screen.note(&format!(
        "The tracker is up on {addr}, TCP and UDP. Peers name it as one of\n\
         \x20 http://{shown}/announce\n\
         \x20 udp://{shown}/announce\n\
         as in: althing share PATH --tracker http://{shown}/announce\n\
         Ctrl-C stops it."
    ));
    let mut progress = Progress::new(screen, "tracking");
    let mut look = tokio::time::interval(LOOK_INTERVAL);
    let mut told = (0, 0);
    let closed = stdin_closed(args.until_stdin_closes);
    tokio::pin!(closed);
    loop {
        tokio::select! {
            _ = look.tick() => {
                let (torrents, peers) = server.counts();
                if screen.redraws() || told != (torrents, peers) {
                    told = (torrents, peers);
                    let torrents = units::counted(torrents as u64, "torrent");
                    progress.say(&format!("{torrents} of {}", units::counted(peers as u64, "peer")));
                }
            }
            () = signals.interrupted() => break,
            () = &mut closed => break,
        }
    }
    progress.clear();
    server.stop().await;
    Ok(())
}
