//! Messages are filled up to few sizes, so that who sees frames go by learns little of what is in them.
//!
//! The length in two bytes, the message, zeros. Sizes are multiples of 32 up to 256 bytes, and then eight
//! for each doubling, so that padding is an eighth of a message at most.

use crate::limits::{FRAME_BYTES_MAX, MESSAGE_BYTES_MAX};

/// Bytes of the length before a message.
const LENGTH_BYTES: usize = 2;

/// The size to which something of `bytes` bytes is filled up.
const fn size(bytes: usize) -> usize {
    let step = match bytes.checked_ilog2() {
        Some(log) if log > 8 => 1 << (log - 3),
        _ => 32,
    };
    bytes.next_multiple_of(step)
}

// The longest message fits a frame.
const _: () = assert!(size(LENGTH_BYTES + MESSAGE_BYTES_MAX) + 1 + 16 <= FRAME_BYTES_MAX);
const _: () = assert!(MESSAGE_BYTES_MAX <= u16::MAX as usize);

/// Fills a message up; nothing if it is too long.
pub(super) fn pad(message: &[u8]) -> Option<Vec<u8>> {
    if message.len() > MESSAGE_BYTES_MAX {
        return None;
    }
    let length = LENGTH_BYTES + message.len();
    let mut padded = Vec::with_capacity(size(length));
    padded.extend((message.len() as u16).to_be_bytes());
    padded.extend(message);
    padded.resize(size(length), 0);
    Some(padded)
}

/// The message in what [`pad`] has made; nothing if it has not.
pub(super) fn unpad(padded: &[u8]) -> Option<&[u8]> {
    let (length, rest) = padded.split_first_chunk()?;
    let (message, zeros) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    let is_right = message.len() <= MESSAGE_BYTES_MAX
        && size(LENGTH_BYTES + message.len()) == padded.len()
        && zeros.iter().all(|byte| *byte == 0);
    is_right.then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_few_sizes_and_little_is_added() {
        let mut sizes = std::collections::BTreeSet::new();
        for length in 0..=MESSAGE_BYTES_MAX {
            let message = vec![7; length];
            let padded = pad(&message).unwrap();
            assert_eq!(unpad(&padded), Some(&message[..]));
            let added = padded.len() - length;
            assert!(added <= 33.max(2 + length / 8), "{added} for {length}");
            sizes.insert(padded.len());
        }
        assert_eq!(sizes.first(), Some(&32));
        assert_eq!(sizes.len(), 57);
        assert_eq!(pad(&vec![0; MESSAGE_BYTES_MAX + 1]), None);
    }

    #[test]
    fn nothing_hides_in_the_padding() {
        let mut padded = pad(b"four").unwrap();
        padded[6] = 1;
        assert_eq!(unpad(&padded), None);
        padded[6] = 0;
        padded.push(0);
        assert_eq!(unpad(&padded), None);
        assert_eq!(unpad(&padded[..31]), None);
        for short in [&[][..], &[0], &[0xff, 0xff], &[0, 1]] {
            assert_eq!(unpad(short), None);
        }
    }
}
