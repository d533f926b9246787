//! `net status`: whether others can reach this computer, how that is known, and what to do about it.

use super::status::router;
use crate::cli::Global;
use crate::daemon::running;
use crate::exit::Failure;
use crate::screen::{Screen, text, units};
use althing_node::api::types::{NetAddress, NetInfo, Translation};

pub(super) async fn status(global: &Global, screen: &Screen) -> Result<(), Failure> {
    let client = running(global).await?;
    let info: NetInfo = client.get("/net").await?;
    screen.value(&info, false);
    screen.result(&text::escape(&info.summary));
    screen.result(&format!("How that is known: {}.", text::escape(&info.because)));
    if let Some(advice) = &info.advice {
        screen.result(&format!("What to do: {}.", text::escape(advice)));
    }
    if !screen.json() {
        super::dht::in_words(&client.get("/dht").await?, screen);
    }
    screen.result("");
    for (name, value) in lines(&info) {
        screen.result(&format!("{name:<12} {}", text::escape(&value)));
    }
    Ok(())
}

fn lines(info: &NetInfo) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let seen = match &info.addresses[..] {
        [] => vec!["not known yet: too few have said what they see".to_owned()],
        addresses => addresses.iter().map(address).collect(),
    };
    lines.extend(seen.into_iter().map(|address| ("address", address)));
    let listening = match &info.listening[..] {
        [] => "no".to_owned(),
        addrs => addrs.join(", "),
    };
    lines.push(("listening", listening));
    lines.extend(info.port.map(|port| ("port", format!("{port}, as others are told"))));
    lines.extend(info.port_mapping.as_ref().map(|mapping| ("router", router(mapping))));
    let udp = info.port_mapping_udp.as_ref();
    lines.extend(udp.map(|mapping| ("router, UDP", router(mapping))));
    let translation = match info.translation {
        Translation::Unknown => None,
        Translation::None => Some("none: this computer has the address that others see"),
        Translation::Steady => Some("the same port for everybody"),
        Translation::Varying => Some("another port for everybody (symmetric)"),
    };
    lines.extend(translation.map(|words| ("translation", words.to_owned())));
    lines.extend(info.holes.clone().map(|words| ("holes", words)));
    lines.extend(info.interface.as_ref().map(|name| ("interface", format!("{name} alone"))));
    if !info.bind.is_empty() {
        lines.push(("bound to", info.bind.join(", ")));
    }
    lines.extend(info.proxy.as_ref().map(|proxy| ("proxy", proxy.clone())));
    let (incoming, outgoing) = (info.connections_in, info.connections_out);
    lines.push(("peers", format!("{incoming} came in, {outgoing} were called")));
    lines
}

fn address(address: &NetAddress) -> String {
    let mut said = units::counted(address.networks_agree.into(), "network");
    said.push_str(if address.networks_agree == 1 { " says so" } else { " say so" });
    if address.networks_differ > 0 {
        said = format!("{said}, {} something else", address.networks_differ);
    }
    let own = if address.own { "; this computer's own" } else { "" };
    format!("{} ({said}{own})", address.ip)
}
