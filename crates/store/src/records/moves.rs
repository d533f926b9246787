//! Moves of torrents' files that are under way: what a process that dies leaves to the next one.

use super::codec::{decode_location, encode_location};
use super::error::RecordError;
use super::record::{Record, Resume};
use super::table::Records;
use crate::files::{Location, Stamp};
use althing_base::Sha1Digest;
use althing_bittorrent::metainfo::FileIndex;
use std::collections::BTreeMap;

/// A move that has not come to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unmoved {
    /// The files are in the place that the record names, or on their way to this one.
    To(Location),
    /// The files are in the place that the record names; what is left of them here is to go.
    From(Location),
}

impl Records {
    /// A torrent's files are about to be moved. Flushed at once.
    ///
    /// # Errors
    /// The disk fails.
    pub fn begin_move(&self, id: Sha1Digest, to: &Location) -> Result<(), RecordError> {
        let value = encode(&Unmoved::To(to.clone()));
        self.with(|engine| engine.moves.insert(id.0, value.as_slice()))?;
        self.flush()
    }

    /// A torrent's files are in the place that `record` names, and look like this. If something is
    /// left in the old place, it is to be deleted. Written as one and flushed at once.
    ///
    /// # Errors
    /// What was claimed is damaged, or the disk fails.
    pub fn moved(
        &self,
        id: Sha1Digest,
        record: &Record,
        stamps: &[(FileIndex, Stamp)],
        leftovers: Option<&Location>,
    ) -> Result<(), RecordError> {
        let _changing = self.change();
        let stored = super::codec::encode_record(record);
        let resume = self.resume_of(id)?.map(|resume| {
            let stamps = stamps.iter().copied().collect();
            super::codec::encode_resume(&Resume { stamps, ..resume })
        });
        let leftovers = leftovers.map(|location| encode(&Unmoved::From(location.clone())));
        self.with(|engine| {
            let mut batch = engine.database.batch();
            batch.insert(&engine.records, id.0, stored.as_slice());
            if let Some(resume) = &resume {
                batch.insert(&engine.resume, id.0, resume.as_slice());
            }
            match &leftovers {
                Some(value) => batch.insert(&engine.moves, id.0, value.as_slice()),
                None => batch.remove(&engine.moves, id.0),
            }
            batch.commit()
        })?;
        self.flush()
    }

    /// A move has come to its end, whichever.
    ///
    /// # Errors
    /// The disk fails.
    pub fn end_move(&self, id: Sha1Digest) -> Result<(), RecordError> {
        self.with(|engine| engine.moves.remove(id.0))?;
        self.flush()
    }

    /// All moves that have not come to their end. One that can't be read is left out: the record
    /// tells where the files are, and what is missing there is said.
    ///
    /// # Errors
    /// The disk fails.
    pub fn moves(&self) -> Result<BTreeMap<Sha1Digest, Unmoved>, RecordError> {
        self.with(|engine| {
            let mut moves = BTreeMap::new();
            for guard in engine.moves.iter() {
                let (key, value) = guard.into_inner()?;
                if let (Some(id), Some(unmoved)) = (Sha1Digest::from_slice(&key), decode(&value)) {
                    moves.insert(id, unmoved);
                }
            }
            Ok(moves)
        })
    }
}

/// One letter, and the place.
fn encode(unmoved: &Unmoved) -> Vec<u8> {
    let (letter, location) = match unmoved {
        Unmoved::To(location) => (b't', location),
        Unmoved::From(location) => (b'f', location),
    };
    let mut value = vec![letter];
    value.extend(encode_location(location));
    value
}

fn decode(value: &[u8]) -> Option<Unmoved> {
    let (letter, location) = value.split_first()?;
    let location = decode_location(location).ok()?;
    match letter {
        b't' => Some(Unmoved::To(location)),
        b'f' => Some(Unmoved::From(location)),
        _ => None,
    }
}
