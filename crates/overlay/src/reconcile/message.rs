//! The bytes of a reconciliation: ranges in order, each with what one side knows of it (negentropy
//! protocol v1).

use super::ReconcileError;
use super::set::{Fingerprint, Item};

/// The first byte of every message: negentropy protocol, version 1.
pub(super) const VERSION: u8 = 0x61;

/// Where a range ends: before the first item that is not less than it. Names are cut off where they tell
/// items apart, and filled up with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bound {
    item: Item,
    /// Bytes of the name that are written.
    id_bytes: usize,
}

impl Bound {
    /// Before everything.
    pub(super) const START: Bound = Bound { item: Item { time: 0, id: [0; 32] }, id_bytes: 0 };
    /// After everything.
    pub(super) const END: Bound = Bound { item: Item { time: u64::MAX, id: [0; 32] }, id_bytes: 0 };

    /// Just before an item.
    pub(super) fn before(item: &Item) -> Self {
        Bound { item: *item, id_bytes: 32 }
    }

    /// The shortest bound between two items that follow each other.
    pub(super) fn between(before: &Item, after: &Item) -> Self {
        let mut bound = Bound { item: Item { time: after.time, id: [0; 32] }, id_bytes: 0 };
        if before.time == after.time {
            let same = before.id.iter().zip(&after.id).take_while(|(a, b)| a == b).count();
            bound.id_bytes = (same + 1).min(32);
            bound.item.id[..bound.id_bytes].copy_from_slice(&after.id[..bound.id_bytes]);
        }
        bound
    }

    /// Whether an item comes before it.
    pub(super) fn is_after(&self, item: &Item) -> bool {
        *item < self.item
    }

    /// Whether it comes before another. What is written of the names does not matter.
    pub(super) fn precedes(&self, other: &Bound) -> bool {
        self.item < other.item
    }
}

/// What one side says of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing: it is settled.
    Skip,
    /// The fingerprint of what it has there.
    Fingerprint(Fingerprint),
    /// The names of all that it has there.
    Ids(Vec<[u8; 32]>),
}

/// Reads ranges one after the other.
pub(super) struct Ranges<'a> {
    rest: &'a [u8],
    time: u64,
    last: Bound,
}

impl<'a> Ranges<'a> {
    /// What comes after the version.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Ranges { rest: bytes, time: 0, last: Bound::START }
    }

    /// The next range: where it ends, and what is known of it.
    pub(super) fn next(&mut self) -> Result<Option<(Bound, Known)>, ReconcileError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let time = match self.number()? {
            0 => u64::MAX,
            later => self.time.saturating_add(later - 1),
        };
        self.time = time;
        let length = self.number()?;
        let id_bytes = usize::try_from(length).ok().filter(|bytes| *bytes <= 32);
        let id_bytes = id_bytes.ok_or(ReconcileError::LongName { bytes: length })?;
        let mut bound = Bound { item: Item { time, id: [0; 32] }, id_bytes };
        bound.item.id[..id_bytes].copy_from_slice(self.bytes(id_bytes)?);
        if bound.precedes(&self.last) {
            return Err(ReconcileError::Order);
        }
        self.last = bound;
        let known = match self.number()? {
            0 => Known::Skip,
            1 => {
                Known::Fingerprint(*self.bytes(16)?.first_chunk().ok_or(ReconcileError::Truncated)?)
            }
            2 => {
                let count = self.number()?;
                // What is not there is not reserved room for.
                if count > self.rest.len() as u64 / 32 {
                    return Err(ReconcileError::Truncated);
                }
                let (ids, _) = self.bytes(count as usize * 32)?.as_chunks();
                Known::Ids(ids.to_vec())
            }
            mode => return Err(ReconcileError::Mode { mode }),
        };
        Ok(Some((bound, known)))
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], ReconcileError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(ReconcileError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// A number in groups of seven bits, the highest first; all bytes but the last have the top bit set.
    fn number(&mut self) -> Result<u64, ReconcileError> {
        let mut number = 0u64;
        loop {
            let (&byte, rest) = self.rest.split_first().ok_or(ReconcileError::Truncated)?;
            self.rest = rest;
            if number > u64::MAX >> 7 {
                return Err(ReconcileError::LongNumber);
            }
            number = number << 7 | u64::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
    }
}

/// Writes a number as [`Ranges`] reads it, without leading zeros.
pub(super) fn write_number(bytes: &mut Vec<u8>, number: u64) {
    let groups = (64 - number.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let more = if group > 0 { 0x80 } else { 0 };
        bytes.push((number >> (7 * group)) as u8 & 0x7f | more);
    }
}

/// Writes ranges, up to a number of bytes.
pub(super) struct Writer {
    bytes: Vec<u8>,
    max: usize,
    /// The time of the last bound that was written.
    time: u64,
    /// Where ranges that are settled end, unless something follows them.
    settled: Option<Bound>,
}

/// Bytes that are kept for a last range: one that is settled, and the fingerprint of all that is left.
const LAST_RANGE_BYTES_MAX: usize = (10 + 1 + 32 + 1) + (1 + 1 + 1 + 16);

impl Writer {
    /// A message of at most `max` bytes.
    pub(super) fn new(max: usize) -> Self {
        Writer { bytes: vec![VERSION], max, time: 0, settled: None }
    }

    /// Says that all up to `bound` is settled.
    pub(super) fn settle(&mut self, bound: Bound) {
        self.settled = Some(bound);
    }

    /// Adds ranges if all of them fit, and says whether they did.
    pub(super) fn push<'a>(
        &mut self,
        ranges: impl IntoIterator<Item = &'a (Bound, Known)>,
    ) -> bool {
        let (bytes, time, settled) = (self.bytes.len(), self.time, self.settled);
        for (bound, known) in ranges {
            self.write(bound, known);
            if self.bytes.len() + LAST_RANGE_BYTES_MAX > self.max {
                self.bytes.truncate(bytes);
                (self.time, self.settled) = (time, settled);
                return false;
            }
        }
        true
    }

    /// How many names fit a range of names.
    pub(super) fn room_for_ids(&self) -> usize {
        // What is settled, a bound, a mode and a number come first.
        let around = self.bytes.len() + 2 * (10 + 1 + 32 + 1) + 10 + LAST_RANGE_BYTES_MAX;
        self.max.saturating_sub(around) / 32
    }

    /// Adds the fingerprint of all that is left. It always fits.
    pub(super) fn push_rest(&mut self, fingerprint: Fingerprint) {
        self.write(&Bound::END, &Known::Fingerprint(fingerprint));
    }

    fn write(&mut self, bound: &Bound, known: &Known) {
        if let Some(settled) = self.settled.take() {
            self.write_bound(&settled);
            write_number(&mut self.bytes, 0);
        }
        self.write_bound(bound);
        match known {
            Known::Skip => write_number(&mut self.bytes, 0),
            Known::Fingerprint(fingerprint) => {
                write_number(&mut self.bytes, 1);
                self.bytes.extend(fingerprint);
            }
            Known::Ids(ids) => {
                write_number(&mut self.bytes, 2);
                write_number(&mut self.bytes, ids.len() as u64);
                self.bytes.extend(ids.iter().flatten());
            }
        }
    }

    fn write_bound(&mut self, bound: &Bound) {
        if bound.item.time == u64::MAX {
            write_number(&mut self.bytes, 0);
        } else {
            write_number(&mut self.bytes, bound.item.time.saturating_sub(self.time) + 1);
        }
        self.time = bound.item.time;
        write_number(&mut self.bytes, bound.id_bytes as u64);
        self.bytes.extend(&bound.item.id[..bound.id_bytes]);
    }

    /// The message. What is settled at its end is not written.
    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_shortest_and_read_again() {
        for (number, bytes) in [
            (0, &[0][..]),
            (127, &[0x7f]),
            (128, &[0x81, 0]),
            (300, &[0x82, 0x2c]),
            (u64::MAX, &[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        ] {
            let mut written = Vec::new();
            write_number(&mut written, number);
            assert_eq!(written, bytes);
            assert_eq!(Ranges::new(bytes).number(), Ok(number));
        }
        let cut = Ranges::new(&[0x81]).number();
        assert_eq!(cut, Err(ReconcileError::Truncated));
        let long = Ranges::new(&[0xff; 11]).number();
        assert_eq!(long, Err(ReconcileError::LongNumber));
    }

    #[test]
    fn a_bound_is_as_short_as_it_can_be() {
        let item = |time, byte| Item { time, id: [byte; 32] };
        let mut almost = item(5, 7);
        almost.id[31] = 8;
        for (before, after, bytes) in
            [(item(4, 9), item(5, 7), 0), (item(5, 6), item(5, 7), 1), (item(5, 7), almost, 32)]
        {
            let bound = Bound::between(&before, &after);
            assert_eq!(bound.id_bytes, bytes);
            assert!(bound.is_after(&before) && !bound.is_after(&after));
        }
    }
}
