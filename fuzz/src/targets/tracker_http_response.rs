//! Answers of HTTP trackers: what is read is within bounds and harmless to show.

use althing_bittorrent::tracker::limits::{
    MESSAGE_CHARS_MAX, RESPONSE_PEERS_MAX, SCRAPE_MAX, TRACKER_ID_BYTES_MAX,
};
use althing_bittorrent::tracker::{TrackerError, http};

/// Reads any bytes as the body of an answer to an announce and to a scrape.
pub fn run(data: &[u8]) {
    match http::parse_announce(data) {
        Ok(response) => {
            assert!(response.peers.len() <= RESPONSE_PEERS_MAX);
            assert!(response.peers.iter().all(|peer| peer.port() != 0));
            assert!(response.peers.iter().all(|peer| !peer.ip().is_unspecified()));
            assert!(response.tracker_id.is_none_or(|id| id.len() <= TRACKER_ID_BYTES_MAX));
            assert!(response.interval.is_none_or(|interval| !interval.is_zero()));
            response.warning.iter().for_each(|text| harmless(text));
        }
        Err(error) => refused(&error),
    }
    match http::parse_scrape(data) {
        Ok(swarms) => assert!(swarms.len() <= SCRAPE_MAX),
        Err(error) => refused(&error),
    }
}

fn refused(error: &TrackerError) {
    match error {
        TrackerError::Refused { reason, .. } => harmless(reason),
        error => assert!(!error.to_string().contains(char::is_control), "{error}"),
    }
}

fn harmless(text: &str) {
    assert!(text.chars().count() <= MESSAGE_CHARS_MAX);
    assert!(!text.contains(char::is_control), "{text:?}");
}
