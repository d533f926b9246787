//! Records on their way along the tree, and their ids beside it.

use super::ParseError;
use super::limits::{ANNOUNCED_MAX, ASKED_MAX, RECORD_BYTES_MAX};
use super::reader::Reader;
use crate::records::RecordId;
use bytes::Bytes;

/// A record that somebody has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Announced {
    /// Which.
    pub id: RecordId,
    /// Links that it has crossed until it came there.
    pub hops: u8,
}

/// A record that is the rest of the message.
pub(super) fn record(from: &mut Reader<'_>) -> Result<Bytes, ParseError> {
    let record = from.all();
    if record.is_empty() || record.len() > RECORD_BYTES_MAX {
        return Err(from.invalid("a record that is empty or too long"));
    }
    Ok(Bytes::copy_from_slice(record))
}

pub(super) fn announced(from: &mut Reader<'_>) -> Result<Vec<Announced>, ParseError> {
    let mut announced = Vec::new();
    while !from.is_empty() {
        if announced.len() == ANNOUNCED_MAX {
            return Err(from.invalid("too many ids"));
        }
        announced.push(Announced { id: RecordId(from.array()?), hops: from.u8()? });
    }
    if announced.is_empty() { Err(from.invalid("no id")) } else { Ok(announced) }
}

pub(super) fn put_announced(announced: &[Announced], out: &mut Vec<u8>) {
    for Announced { id, hops } in announced {
        out.extend_from_slice(&id.0);
        out.push(*hops);
    }
}

/// Ids up to the end of the message; maybe none.
pub(super) fn ids(from: &mut Reader<'_>) -> Result<Vec<RecordId>, ParseError> {
    let mut ids = Vec::new();
    while !from.is_empty() {
        if ids.len() == ASKED_MAX {
            return Err(from.invalid("too many ids"));
        }
        ids.push(RecordId(from.array()?));
    }
    Ok(ids)
}

pub(super) fn put_ids(ids: &[RecordId], out: &mut Vec<u8>) {
    ids.iter().for_each(|id| out.extend_from_slice(&id.0));
}
