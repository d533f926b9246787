//! The bytes of a torrent's settings: a dictionary within its record. What is at its default is not
//! written, and of what cannot be read the default holds: a torrent must not be lost with a setting.

use super::settings::{Followed, Goal, Label, Ratio, TorrentSettings};
use crate::limits::TAGS_MAX;
use althing_base::bencode::{Dict, Encoder, Value};
use althing_bittorrent::Priority;
use althing_bittorrent::metainfo::limits::FEED_SALT_SIZE_MAX;
use althing_bittorrent::metainfo::{Feed, FileIndex};
use althing_bittorrent::swarm::PieceWishes;
use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// Bytes of a file's entry among the priorities: index, priority.
const PRIORITY_LEN: usize = 4 + 1;

/// Bytes of a range's entry among the pieces: first, last, priority.
const PIECES_LEN: usize = 4 + 4 + 1;

/// Stands for [`Goal::Never`].
const NEVER: i64 = -1;

pub(super) fn encode(settings: &TorrentSettings, out: &mut Encoder) {
    let TorrentSettings {
        category,
        tags,
        upload_limit,
        download_limit,
        ratio_limit,
        seed_time_limit,
        forced,
        queue,
        priorities,
        pieces,
        connections,
        upload_slots,
        sequential,
        super_seeding,
        followed,
    } = settings;
    out.dict(|out| {
        if let Some(category) = category {
            out.key(b"category").bytes(category.as_str().as_bytes());
        }
        count(out, b"conns", *connections);
        limit(out, b"down", *download_limit);
        if let Some(Followed { feed: Feed { key, salt }, seq }) = followed.as_deref() {
            out.key(b"followed").dict(|out| {
                out.key(b"key").bytes(key);
                if !salt.is_empty() {
                    out.key(b"salt").bytes(salt);
                }
                out.key(b"seq").int(*seq);
            });
        }
        flag(out, b"forced", *forced);
        if !pieces.is_empty() {
            let mut bytes = Vec::new();
            for (range, priority) in pieces.iter() {
                bytes.extend(range.start().to_be_bytes());
                bytes.extend(range.end().to_be_bytes());
                bytes.push(priority.as_u8());
            }
            out.key(b"pieces").bytes(&bytes);
        }
        if !priorities.is_empty() {
            let mut bytes = Vec::with_capacity(priorities.len() * PRIORITY_LEN);
            for (file, priority) in priorities {
                bytes.extend(file.0.to_be_bytes());
                bytes.push(priority.as_u8());
            }
            out.key(b"priorities").bytes(&bytes);
        }
        if *queue != 0 {
            out.key(b"queue").int(*queue);
        }
        goal(out, b"ratio", *ratio_limit, |ratio| ratio.thousandths.into());
        goal(out, b"seed_s", *seed_time_limit, |time| {
            i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
        });
        flag(out, b"sequential", *sequential);
        count(out, b"slots", *upload_slots);
        flag(out, b"super", *super_seeding);
        if !tags.is_empty() {
            out.key(b"tags")
                .list(|out| tags.iter().for_each(|tag| out.bytes(tag.as_str().as_bytes())));
        }
        limit(out, b"up", *upload_limit);
    });
}

fn flag(out: &mut Encoder, key: &[u8], set: bool) {
    if set {
        out.key(key).int(1);
    }
}

fn limit(out: &mut Encoder, key: &[u8], limit: Option<NonZeroU64>) {
    if let Some(limit) = limit {
        out.key(key).int(i64::try_from(limit.get()).unwrap_or(i64::MAX));
    }
}

fn count(out: &mut Encoder, key: &[u8], count: Option<NonZeroU32>) {
    limit(out, key, count.map(NonZeroU64::from));
}

fn goal<T>(out: &mut Encoder, key: &[u8], goal: Goal<T>, number: impl Fn(T) -> i64) {
    match goal {
        Goal::Inherited => {}
        Goal::Never => out.key(key).int(NEVER),
        Goal::At(at) => out.key(key).int(number(at)),
    }
}

pub(super) fn decode(dict: Dict<'_>) -> TorrentSettings {
    let flag = |key| dict.int(key).unwrap_or(0) != 0;
    let limit = |key| dict.int(key).and_then(|limit| u64::try_from(limit).ok()?.try_into().ok());
    let count = |key| dict.int(key).and_then(|count| u32::try_from(count).ok()?.try_into().ok());
    let label = |text: &str| text.parse::<Label>().ok();
    let tags = dict.list(b"tags").into_iter().flatten();
    TorrentSettings {
        category: dict.str(b"category").and_then(label),
        tags: tags.filter_map(Value::as_str).filter_map(label).take(TAGS_MAX).collect(),
        upload_limit: limit(b"up"),
        download_limit: limit(b"down"),
        ratio_limit: goal_of(dict.int(b"ratio"), |number| {
            Some(Ratio { thousandths: u32::try_from(number).ok()? })
        }),
        seed_time_limit: goal_of(dict.int(b"seed_s"), |number| {
            Some(Duration::from_secs(u64::try_from(number).ok()?))
        }),
        forced: flag(b"forced"),
        queue: dict.int(b"queue").unwrap_or(0),
        priorities: priorities(dict.bytes(b"priorities").unwrap_or_default()),
        pieces: pieces(dict.bytes(b"pieces").unwrap_or_default()),
        connections: count(b"conns"),
        upload_slots: count(b"slots"),
        sequential: flag(b"sequential"),
        super_seeding: flag(b"super"),
        followed: dict.dict(b"followed").and_then(followed).map(Box::new),
    }
}

fn followed(dict: Dict<'_>) -> Option<Followed> {
    let key = dict.bytes(b"key")?.try_into().ok()?;
    let salt = dict.bytes(b"salt").unwrap_or_default().to_vec();
    let fits = salt.len() <= FEED_SALT_SIZE_MAX;
    fits.then_some(Followed { feed: Feed { key, salt }, seq: dict.int(b"seq")? })
}

fn goal_of<T>(number: Option<i64>, at: impl Fn(i64) -> Option<T>) -> Goal<T> {
    match number {
        Some(NEVER) => Goal::Never,
        Some(number) => at(number).map_or(Goal::Inherited, Goal::At),
        None => Goal::Inherited,
    }
}

fn priorities(bytes: &[u8]) -> BTreeMap<FileIndex, Priority> {
    let entry = |bytes: &[u8]| {
        let (file, rest) = bytes.split_first_chunk()?;
        let priority = Priority::from_u8(*rest.first()?)?;
        Some((FileIndex(u32::from_be_bytes(*file)), priority))
    };
    bytes.chunks_exact(PRIORITY_LEN).filter_map(entry).collect()
}

fn pieces(bytes: &[u8]) -> PieceWishes {
    let mut wishes = PieceWishes::default();
    for entry in bytes.chunks_exact(PIECES_LEN) {
        let range = entry.split_first_chunk().and_then(|(first, rest)| {
            let (last, rest) = rest.split_first_chunk()?;
            let priority = Priority::from_u8(*rest.first()?)?;
            Some((u32::from_be_bytes(*first)..=u32::from_be_bytes(*last), priority))
        });
        if let Some((range, priority)) = range {
            // What makes no sense, or is one too many, is left out.
            wishes.set(range, Some(priority));
        }
    }
    wishes
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use althing_base::bencode::{Document, Limits};
    use proptest::prelude::*;

    fn goals<T: Clone + std::fmt::Debug>(
        at: impl Strategy<Value = T>,
    ) -> impl Strategy<Value = Goal<T>> {
        prop::option::of(prop::option::of(at)).prop_map(|goal| match goal {
            None => Goal::Inherited,
            Some(None) => Goal::Never,
            Some(Some(at)) => Goal::At(at),
        })
    }

    fn limits() -> impl Strategy<Value = Option<NonZeroU64>> {
        (0..=i64::MAX as u64).prop_map(NonZeroU64::new)
    }

    /// Any settings there can be.
    pub(in crate::records) fn settings() -> impl Strategy<Value = TorrentSettings> {
        let label = "[a-zé ]{0,9}[a-z]".prop_map(|text| text.parse::<Label>().expect("a label"));
        let priority = (0..4u8).prop_map(|number| Priority::from_u8(number).expect("below four"));
        let priorities =
            prop::collection::btree_map(any::<u32>().prop_map(FileIndex), priority, 0..9);
        let words =
            (prop::option::of(label.clone()), prop::collection::btree_set(label, 0..TAGS_MAX));
        let ratio = any::<u32>().prop_map(|thousandths| Ratio { thousandths });
        let time = (0..=i64::MAX as u64).prop_map(Duration::from_secs);
        let numbers = (limits(), limits(), goals(ratio), goals(time), any::<i64>());
        let range = (any::<u32>(), any::<u32>(), 0..4u8);
        let pieces = prop::collection::vec(range, 0..9).prop_map(|ranges| {
            let mut pieces = PieceWishes::default();
            for (one, other, priority) in ranges {
                pieces.set(one.min(other)..=one.max(other), Priority::from_u8(priority));
            }
            pieces
        });
        let counts = any::<(u32, u32)>();
        let flags = any::<(bool, bool, bool)>();
        let salt = prop::collection::vec(any::<u8>(), 0..=FEED_SALT_SIZE_MAX);
        let followed = (any::<[u8; 32]>(), salt, any::<i64>())
            .prop_map(|(key, salt, seq)| Box::new(Followed { feed: Feed { key, salt }, seq }));
        let files = (priorities, pieces, prop::option::of(followed));
        (words, numbers, files, counts, flags).prop_map(
            |((category, tags), numbers, (priorities, pieces, followed), counts, flags)| {
                let (forced, sequential, super_seeding) = flags;
                let (connections, upload_slots) = counts;
                let (upload_limit, download_limit, ratio_limit, seed_time_limit, queue) = numbers;
                TorrentSettings {
                    category,
                    tags,
                    upload_limit,
                    download_limit,
                    ratio_limit,
                    seed_time_limit,
                    forced,
                    queue,
                    priorities,
                    pieces,
                    connections: NonZeroU32::new(connections),
                    upload_slots: NonZeroU32::new(upload_slots),
                    sequential,
                    super_seeding,
                    followed,
                }
            },
        )
    }

    #[test]
    fn what_cannot_be_read_is_at_its_default() {
        let text = b"d8:category3:a,b4:downi-5e10:priorities7:\0\0\0\x01\x09xx5:ratioi-7e\
            6:seed_s1:x4:tagsl0:1:aee";
        let document = Document::parse(text, &Limits::default()).expect("bencode");
        let settings = decode(document.root().as_dict().expect("a dictionary"));
        let tags = ["a".parse().expect("a label")].into();
        assert_eq!(settings, TorrentSettings { tags, ..TorrentSettings::default() });
    }
}
