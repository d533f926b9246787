//! `crawler`: which torrents were met in the DHT.

use crate::cli::Global;
use crate::daemon::running;
use crate::exit::Failure;
use crate::screen::{Screen, text, units};
use althing_node::api::types::CrawlerInfo;

pub(super) async fn crawler(global: &Global, screen: &Screen) -> Result<(), Failure> {
    let info: CrawlerInfo = running(global).await?.get("/crawler").await?;
    screen.value(&info, false);
    if !info.enabled {
        screen.result("it is off");
        screen.note("set crawler.enabled = true in config.toml and restart the daemon");
        return Ok(());
    }
    let count = units::count;
    let slower = match info.slower {
        1 => String::new(),
        times => format!("; {times} times slower than it may be, for many do not answer"),
    };
    for (name, value) in [
        (
            "asked",
            format!("{} nodes, {} answered{slower}", count(info.asked), count(info.answered)),
        ),
        ("heard of", format!("{} info-hashes", count(info.heard_of))),
        ("looked for", format!("{}, {} wait", count(info.looked_for), count(info.waiting))),
        (
            "names",
            format!(
                "{} found, {} nobody tells, {} left out",
                count(info.named),
                count(info.nameless),
                count(info.left_out)
            ),
        ),
    ] {
        screen.result(&format!("{name:<11} {value}"));
    }
    for torrent in &info.latest {
        let line = format!("  {}  {}", torrent.info_hash, torrent.name);
        screen.result(&text::escape(&line));
    }
    Ok(())
}
