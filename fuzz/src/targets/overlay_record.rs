//! Records of the overlay: what can be read has one encoding, and no text in it could deceive.

use althing_overlay::NetworkKey;
use althing_overlay::limits::{BLOCK_LIST_ENTRIES_MAX, RECORD_BYTES_MAX, TAGS_MAX};
use althing_overlay::records::{Body, Draft, RawRecord};

/// Reads any bytes as a record.
pub fn run(data: &[u8]) {
    let Ok(raw) = RawRecord::parse(data) else { return };
    assert!(data.len() <= RECORD_BYTES_MAX);
    assert!(raw.expires() > raw.created());
    let text = |text: &str| assert!(!text.chars().any(char::is_control), "{text:?}");
    match raw.body() {
        Body::Withdrawn => assert!(raw.is_withdrawal()),
        Body::Listing(listing) => {
            let tags: Vec<&str> = listing.tags().collect();
            assert!(tags.len() <= TAGS_MAX && tags.is_sorted() && !listing.name().is_empty());
            [listing.name(), listing.about()].into_iter().chain(tags).for_each(text);
        }
        Body::Profile(profile) => [profile.name(), profile.about()].into_iter().for_each(text),
        Body::BlockList(list) => {
            assert!(!list.name().is_empty() && list.entries().len() <= BLOCK_LIST_ENTRIES_MAX);
            assert!(list.entries().is_sorted_by_key(|entry| entry.target));
            text(list.name());
            list.entries().iter().for_each(|entry| text(&entry.reason));
        }
        Body::Foreign(foreign) => assert!(!foreign.bytes().is_empty()),
        _ => {}
    }
    // The signature that was read, over what is written again.
    let end = data.len() - 8;
    let signature = *data[..end].last_chunk().expect("a record has a signature");
    let again = Draft::of(&raw).sign_with(&raw.author(), &NetworkKey::public(), |_| signature);
    let again = again.expect("what was read can be written").with_nonce(raw.nonce());
    assert_eq!(again.bytes(), data);
    assert_eq!((again.id(), again.key(), again.version()), (raw.id(), raw.key(), raw.version()));
}
