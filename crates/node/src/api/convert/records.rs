//! Records, as the API has them.

use super::api::{RecordInfo, RecordKind, RecordTorrent, RecordsPage};
use super::find::content;
use crate::session::RecordsPage as Page;
use althing_base::{Sha256Digest, UnixTime};
use althing_overlay::NodeId;
use althing_overlay::records::{Body, Kind, Listing, Record, RecordId, Version};

pub(in crate::api) fn records(page: &Page, me: NodeId) -> RecordsPage {
    RecordsPage {
        records: page.records.iter().map(|one| record(one, me)).collect(),
        matched: page.matched as u64,
        held: page.held as u64,
        next: page.next.as_ref().map(place),
    }
}

/// One record; `me` is our own name.
pub(in crate::api) fn record(record: &Record, me: NodeId) -> RecordInfo {
    let mut info = RecordInfo {
        id: record.id().to_string(),
        kind: match record.kind() {
            Kind::LISTING => RecordKind::Listing,
            Kind::PROFILE => RecordKind::Profile,
            Kind::BLOCK_LIST => RecordKind::BlockList,
            _ => RecordKind::Other,
        },
        author: record.author().to_string(),
        own: record.author() == me,
        created_unix_s: record.created().0,
        expires_unix_s: record.expires().0,
        bytes: u32::try_from(record.bytes().len()).unwrap_or(u32::MAX),
        withdrawn: record.is_withdrawal(),
        name: None,
        about: None,
        torrent: None,
        entries: None,
    };
    match record.body() {
        Body::Listing(listing) => {
            info.name = Some(listing.name().to_owned());
            info.about = Some(listing.about().to_owned());
            info.torrent = Some(torrent(&listing));
        }
        Body::Profile(profile) => {
            info.name = Some(profile.name().to_owned());
            info.about = Some(profile.about().to_owned());
        }
        Body::BlockList(list) => {
            info.name = Some(list.name().to_owned());
            info.entries = u32::try_from(list.entries().len()).ok();
        }
        // It may be of a kind that is known, in a version that is not.
        Body::Foreign(_) => info.kind = RecordKind::Other,
        _ => {}
    }
    info
}

fn torrent(listing: &Listing) -> RecordTorrent {
    let hash = listing.info_hash();
    RecordTorrent {
        info_hash: hash.v1().map(|hash| hash.to_string()),
        info_hash_v2: hash.v2().map(|hash| hash.to_string()),
        size_bytes: listing.size(),
        files: listing.files(),
        content: content(listing.content()).to_owned(),
        tags: listing.tags().map(str::to_owned).collect(),
    }
}

/// Where a page ends, in words of the API: time, number and name of its last record.
fn place(Version { created, seq, id }: &Version) -> String {
    format!("{}.{seq}.{id}", created.0)
}

/// The same read back.
pub(in crate::api) fn read_place(text: &str) -> Option<Version> {
    let mut parts = text.splitn(3, '.');
    let (created, seq, id) = (parts.next()?, parts.next()?, parts.next()?);
    let id = RecordId(id.parse::<Sha256Digest>().ok()?.0);
    Some(Version { created: UnixTime(created.parse().ok()?), seq: seq.parse().ok()?, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_back_and_nothing_else_is_one() {
        let version =
            Version { created: UnixTime(1_790_000_000), seq: u64::MAX, id: RecordId([7; 32]) };
        assert_eq!(read_place(&place(&version)), Some(version));
        for wrong in ["", "1", "1.2", "1.2.3", "x.2.07", &format!("{}.", place(&version))] {
            assert_eq!(read_place(wrong), None, "{wrong}");
        }
    }
}
