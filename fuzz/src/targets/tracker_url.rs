//! Trackers' URLs: the parts make up the whole, and what is added stays in its place.

use althing_base::Sha1Digest;
use althing_bittorrent::PeerId;
use althing_bittorrent::tracker::{AnnounceRequest, TrackerUrl, http};

/// Reads any text as a tracker's URL.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(url) = TrackerUrl::parse(text) else { return };
    assert!(url.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(url.as_str().ends_with(url.target()) && url.as_str().contains(url.host()));
    assert!(!url.host().is_empty() && url.port() != 0);
    assert_eq!(TrackerUrl::parse(url.as_str()).as_ref(), Ok(&url));
    let request =
        AnnounceRequest::new(Sha1Digest([0xff; 20]), PeerId(*b"?&=#%+ /:@-_.~\r\n\0abc"), 1);
    let announce = http::announce_url(&url, &request);
    let announce = TrackerUrl::parse(&announce);
    if let Ok(announce) = &announce {
        assert_eq!((announce.host(), announce.port()), (url.host(), url.port()));
        assert!(
            announce.target().contains("peer_id=%3F%26%3D%23%25%2B%20%2F%3A%40-_.~%0D%0A%00abc")
        );
    }
    if let Some(scrape) = http::scrape_url(&url, &[Sha1Digest([0xff; 20])])
        && let Ok(scrape) = TrackerUrl::parse(&scrape)
    {
        assert_eq!((scrape.host(), scrape.port()), (url.host(), url.port()));
        assert!(scrape.target().contains("/scrape"));
    }
}
