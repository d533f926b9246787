//! `status`: the daemon's totals, and how it is connected to the world.

use crate::cli::Global;
use crate::daemon::running;
use crate::exit::Failure;
use crate::screen::{Screen, text, units};
use althing_node::api::types::{PortMappingInfo, PortMappingState, SessionInfo};
use std::time::Duration;

pub(super) async fn status(global: &Global, screen: &Screen) -> Result<(), Failure> {
    let info: SessionInfo = running(global).await?.get("/session").await?;
    screen.value(&info, false);
    let SessionInfo { torrents, downloading, seeding, .. } = info;
    let mut lines = vec![
        ("version", format!("{}, process {}", info.version, info.pid)),
        ("running for", units::duration(Duration::from_secs(info.uptime_s))),
        ("torrents", format!("{torrents} ({downloading} downloading, {seeding} seeding)")),
        ("peers", info.peers.to_string()),
        ("down", amount(info.download_bytes_per_s, info.downloaded_bytes)),
        ("up", amount(info.upload_bytes_per_s, info.uploaded_bytes)),
    ];
    let listening = match &info.peer_addrs[..] {
        [] => "no".to_owned(),
        addrs => addrs.join(", "),
    };
    lines.push(("listening", listening));
    lines.extend(info.port_mapping.as_ref().map(|mapping| ("router", router(mapping))));
    lines.extend(info.proxy.map(|proxy| ("proxy", proxy)));
    lines.extend(info.ip_filter.map(|list| {
        let ranges = units::counted(list.ranges, "range");
        ("IP filter", format!("{ranges}, {} peers refused", list.refused))
    }));
    lines.extend(info.blocked.map(|why| ("blocked", why)));
    for (name, value) in lines {
        screen.result(&format!("{name:<12} {}", text::escape(&value)));
    }
    Ok(())
}

fn amount(per_second: u64, total: u64) -> String {
    format!("{}/s, {} since the start", units::bytes(per_second), units::bytes(total))
}

pub(super) fn router(mapping: &PortMappingInfo) -> String {
    match (mapping.state, &mapping.error) {
        (PortMappingState::Asking, _) => "asked for the port, no answer yet".to_owned(),
        (PortMappingState::Failed, why) => {
            format!("gives no port: {}", why.as_deref().unwrap_or("no reason"))
        }
        (PortMappingState::Mapped, _) => {
            let ip = mapping.external_ip.as_deref().unwrap_or("an unknown address");
            let port = mapping.external_port.unwrap_or_default();
            let method = mapping.method.as_deref().unwrap_or("?");
            format!("peers can connect to {ip} port {port} ({method})")
        }
    }
}
