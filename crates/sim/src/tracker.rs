//! The tracker among the hosts: the real server's machine, asked over HTTP's text form.

use althing_base::time::Duration;
use althing_base::{Instant, Seed};
use althing_bittorrent::tracker::{
    AnnounceRequest, AnnounceResponse, Server, ServerConfig, TrackerError, TrackerUrl, http,
};
use std::net::SocketAddr;

/// Where it is found. Its address is looked up by nobody: there is but one.
pub(crate) const URL: &str = "http://tracker.example/announce";

/// How often hosts are to announce: as public trackers have it.
const INTERVAL: Duration = Duration::from_secs(30 * 60);

/// See the [module](self).
pub(crate) struct Tracker {
    server: Server,
}

impl Tracker {
    pub(crate) fn new(seed: Seed) -> Self {
        let config = ServerConfig { interval: INTERVAL, ..ServerConfig::default() };
        Tracker { server: Server::new(config, seed) }
    }

    /// What it answers to an announce, there and back through the text that crosses the network.
    pub(crate) fn announce(
        &mut self,
        now: Instant,
        from: SocketAddr,
        url: &TrackerUrl,
        request: &AnnounceRequest,
    ) -> Result<AnnounceResponse, TrackerError> {
        if self.server.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.server.handle_timeout(now);
        }
        let text = http::announce_url(url, request);
        let origin = url.as_str().len() - url.target().len();
        let reply = self.server.handle_get(now, from, &text.as_bytes()[origin..]);
        http::parse_announce(&reply.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::Sha1Digest;
    use althing_bittorrent::PeerId;

    #[test]
    fn it_introduces_hosts_to_each_other() {
        let mut tracker = Tracker::new(Seed::from_u64(1));
        let url = TrackerUrl::parse(URL).expect("a URL");
        let mut announce = |host: u8| {
            let from = SocketAddr::from(([10, 0, 0, host], 40_000));
            let request = AnnounceRequest::new(Sha1Digest([1; 20]), PeerId([host; 20]), 7716);
            tracker.announce(Instant::ORIGIN, from, &url, &request).expect("an answer").peers
        };
        assert_eq!(announce(1), []);
        assert_eq!(announce(2), [SocketAddr::from(([10, 0, 0, 1], 7716))]);
    }
}
