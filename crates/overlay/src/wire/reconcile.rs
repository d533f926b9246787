//! How two peers find out what one has that the other lacks. What a step says, `reconcile` knows.

use super::limits::{RECORD_BYTES_MAX, RECORDS_MAX};
use super::reader::Reader;
use super::{ParseError, broadcast};
use crate::records::RecordId;
use bytes::Bytes;

pub(super) fn step(from: &mut Reader<'_>) -> Result<Bytes, ParseError> {
    let step = from.all();
    if step.is_empty() { Err(from.invalid("an empty step")) } else { Ok(step.to_vec().into()) }
}

pub(super) fn needed(from: &mut Reader<'_>) -> Result<Vec<RecordId>, ParseError> {
    let ids = broadcast::ids(from)?;
    if ids.is_empty() { Err(from.invalid("no id")) } else { Ok(ids) }
}

pub(super) fn records(from: &mut Reader<'_>) -> Result<Vec<Bytes>, ParseError> {
    let mut records = Vec::new();
    while !from.is_empty() {
        if records.len() == RECORDS_MAX {
            return Err(from.invalid("too many records"));
        }
        let len = usize::from(from.u16()?);
        if len == 0 || len > RECORD_BYTES_MAX {
            return Err(from.invalid("a record that is empty or too long"));
        }
        records.push(Bytes::copy_from_slice(from.bytes(len)?));
    }
    if records.is_empty() { Err(from.invalid("no record")) } else { Ok(records) }
}

pub(super) fn put_records(records: &[Bytes], out: &mut Vec<u8>) {
    for record in records {
        // Longer ones are not handed in; a length that is cut would only end the link.
        out.extend((record.len() as u16).to_be_bytes());
        out.extend_from_slice(record);
    }
}

pub(super) fn records_len(records: &[Bytes]) -> usize {
    records.iter().map(|record| 2 + record.len()).sum()
}
