//! Shorter lists of slices, for sockets that may not take or give all that there is room for.

use std::io::{IoSlice, IoSliceMut};

/// The first `limit` bytes of what is to be written.
pub(super) fn to_write<'a>(slices: &'a [IoSlice<'_>], mut limit: usize) -> Vec<IoSlice<'a>> {
    let mut cut = Vec::with_capacity(slices.len());
    for slice in slices {
        let len = slice.len().min(limit);
        cut.push(IoSlice::new(&slice[..len]));
        limit -= len;
        if limit == 0 {
            break;
        }
    }
    cut
}

/// The first `limit` bytes of the room for what is read.
pub(super) fn to_read<'a>(
    slices: &'a mut [IoSliceMut<'_>],
    mut limit: usize,
) -> Vec<IoSliceMut<'a>> {
    let mut cut = Vec::with_capacity(slices.len());
    for slice in slices {
        let len = slice.len().min(limit);
        cut.push(IoSliceMut::new(&mut slice[..len]));
        limit -= len;
        if limit == 0 {
            break;
        }
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_too_many_and_none_left_out() {
        for (limit, expected) in [(1, "a"), (3, "abc"), (4, "abcd"), (6, "abcdef"), (99, "abcdef")]
        {
            let slices = [&b"abc"[..], b"", b"def"].map(IoSlice::new);
            let cut = to_write(&slices, limit);
            let text: Vec<u8> = cut.iter().flat_map(|slice| slice.iter().copied()).collect();
            assert_eq!(text, expected.as_bytes(), "{limit}");
            let (mut first, mut last) = (*b"abc", *b"def");
            let mut slices = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut last)];
            let cut = to_read(&mut slices, limit);
            let text: Vec<u8> = cut.iter().flat_map(|slice| slice.iter().copied()).collect();
            assert_eq!(text, expected.as_bytes(), "{limit}");
        }
    }
}
