//! `torznab`: where programs ask that look for films, series, books or music.

use crate::cli::Global;
use crate::daemon::running;
use crate::exit::Failure;
use crate::screen::Screen;
use althing_node::api::types::TorznabInfo;

pub(super) async fn torznab(global: &Global, screen: &Screen) -> Result<(), Failure> {
    let client = running(global).await?;
    let info: TorznabInfo = client.get("/torznab").await?;
    screen.value(&info, false);
    let base = info.path.strip_suffix("/api").unwrap_or(&info.path);
    screen.result(&format!("URL       http://{}{base}", client.addr()));
    screen.result("API path  /api");
    screen.result(&format!("API key   {}", info.key));
    if !info.enabled {
        screen.note("it is off; set torznab.enabled = true in config.toml and restart the daemon");
    } else if client.addr().ip().is_loopback() {
        screen.note("programs on this machine reach it; for others, see docs/guide.md");
    }
    Ok(())
}
