//! Records of the overlay as listings of the index.

use althing_index::{Held, Listing, Source};
use althing_overlay::NodeId;
use althing_overlay::records::{Body, Record};

/// The listing of a record, if it is one.
pub(super) fn listing_of(record: &Record, me: Option<NodeId>) -> Option<Listing> {
    let Body::Listing(listing) = record.body() else { return None };
    let author = record.author();
    let source = if Some(author) == me { Source::Own } else { Source::Shelf };
    Some(Listing {
        name: listing.name().to_owned(),
        tags: listing.tags().map(str::to_owned).collect(),
        about: listing.about().to_owned(),
        author: Some(author),
        content: listing.content(),
        size: listing.size(),
        files: listing.files(),
        version: version_of(record),
        seen: u64::try_from(record.created().0).unwrap_or_default(),
        ..Listing::new(listing.info_hash(), "", source)
    })
}

/// What tells whether it is the same record as before.
fn version_of(record: &Record) -> u64 {
    let id = record.id().0;
    u64::from_be_bytes(std::array::from_fn(|at| id[at]))
}

/// What the index would hold if it held the listing.
pub(super) fn held(listing: &Listing) -> Held {
    Held { hash: listing.hash, author: listing.author, version: listing.version }
}
