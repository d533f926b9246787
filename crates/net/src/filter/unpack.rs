//! Lists as they are handed out: packed with gzip (RFC 1952) or in a ZIP archive (PKWARE's APPNOTE),
//! of which the first file that is not empty is the list. What a file is, its first bytes say, not its
//! name. However small it is packed, no more than a list may have is unpacked.

use crate::limits::{ARCHIVE_ENTRIES_MAX, LIST_BYTES_MAX};
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use std::borrow::Cow;
use std::io::{self, Read};

/// A list that cannot be unpacked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// More than [`LIST_BYTES_MAX`] come out.
    #[error("it has more than {} MiB", LIST_BYTES_MAX >> 20)]
    TooLarge,
    /// The packed data is damaged or ends too soon.
    #[error("it is packed and damaged ({0}); fetch it again")]
    Damaged(String),
    /// A ZIP archive of a kind that nobody hands lists out in.
    #[error("it is a ZIP archive {0}; unpack it by hand")]
    Archive(&'static str),
}

/// The list itself, whether or not `file` has it packed.
///
/// # Errors
/// If it is packed, and damaged or too large.
pub fn unpack(file: &[u8]) -> Result<Cow<'_, [u8]>, UnpackError> {
    let list = if file.starts_with(&[0x1f, 0x8b]) {
        Cow::Owned(read(MultiGzDecoder::new(file))?)
    } else if file.starts_with(LOCAL_HEADER) {
        from_archive(file)?
    } else {
        Cow::Borrowed(file)
    };
    if list.len() > LIST_BYTES_MAX { Err(UnpackError::TooLarge) } else { Ok(list) }
}

fn read(from: impl Read) -> Result<Vec<u8>, UnpackError> {
    let mut list = Vec::new();
    let read = from.take(LIST_BYTES_MAX as u64 + 1).read_to_end(&mut list);
    read.map_err(|error: io::Error| UnpackError::Damaged(error.to_string()))?;
    Ok(list)
}

/// What each file of an archive begins with.
const LOCAL_HEADER: &[u8] = b"PK\x03\x04";

/// Bytes of that header, without the name.
const LOCAL_HEADER_LEN: usize = 30;

/// Bits of its flags: encrypted; the lengths stand after the data.
const ENCRYPTED: u16 = 1;
const LENGTHS_AFTER: u16 = 8;

/// The first file in an archive that is not empty.
fn from_archive(mut rest: &[u8]) -> Result<Cow<'_, [u8]>, UnpackError> {
    let cut = || UnpackError::Damaged("it ends too soon".to_owned());
    for _ in 0..ARCHIVE_ENTRIES_MAX {
        if !rest.starts_with(LOCAL_HEADER) {
            return Err(UnpackError::Archive("without a file"));
        }
        let (header, after) = rest.split_at_checked(LOCAL_HEADER_LEN).ok_or_else(cut)?;
        let short =
            |at: usize| header.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]));
        let (flags, method) = (short(6), short(8));
        let packed = usize::from(short(18)) | usize::from(short(20)) << 16;
        let names = usize::from(short(26)) + usize::from(short(28));
        let data = after.get(names..).ok_or_else(cut)?;
        if flags & ENCRYPTED != 0 {
            return Err(UnpackError::Archive("with a password"));
        }
        let open_ended = flags & LENGTHS_AFTER != 0;
        if packed == 0 && !open_ended {
            rest = data;
            continue;
        }
        return match method {
            0 if !open_ended => data.get(..packed).map(Cow::Borrowed).ok_or_else(cut),
            // A deflated file says itself where it ends.
            8 => read(DeflateDecoder::new(data)).map(Cow::Owned),
            _ => Err(UnpackError::Archive("packed in an unusual way")),
        };
    }
    Err(UnpackError::Archive("of many folders"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder};
    use proptest::prelude::*;
    use std::io::Write as _;

    const LIST: &[u8] = b"Somebody:1.2.3.0-1.2.3.255\n";

    fn gzip(list: &[u8]) -> Vec<u8> {
        let mut to = GzEncoder::new(Vec::new(), Compression::default());
        to.write_all(list).and_then(|()| to.finish()).expect("memory")
    }

    fn deflate(list: &[u8]) -> Vec<u8> {
        let mut to = DeflateEncoder::new(Vec::new(), Compression::default());
        to.write_all(list).and_then(|()| to.finish()).expect("memory")
    }

    /// A file of an archive.
    fn entry(name: &str, flags: u16, method: u16, data: &[u8]) -> Vec<u8> {
        let len = if flags & LENGTHS_AFTER == 0 { data.len() as u32 } else { 0 };
        let mut out = LOCAL_HEADER.to_vec();
        for short in [20, flags, method, 0, 0, 0, 0] {
            out.extend(short.to_le_bytes());
        }
        out.extend(len.to_le_bytes());
        out.extend(0u32.to_le_bytes());
        out.extend((name.len() as u16).to_le_bytes());
        out.extend(0u16.to_le_bytes());
        out.extend(name.as_bytes());
        out.extend(data);
        out
    }

    #[test]
    fn packed_or_not_it_is_the_same_list() {
        let twice = [gzip(LIST), gzip(b"1.1.1.1\n")].concat();
        let both = [LIST, b"1.1.1.1\n"].concat();
        let folder = entry("lists/", 0, 0, b"");
        for (file, list) in [
            (LIST.to_vec(), LIST),
            (gzip(LIST), LIST),
            (twice, &both[..]),
            (entry("guarding.p2p", 0, 8, &deflate(LIST)), LIST),
            (entry("ipfilter.dat", LENGTHS_AFTER, 8, &deflate(LIST)), LIST),
            (entry("ipfilter.dat", 0, 0, LIST), LIST),
            ([folder, entry("lists/a.p2p", 0, 8, &deflate(LIST))].concat(), LIST),
            (Vec::new(), b""),
        ] {
            assert_eq!(unpack(&file).as_deref(), Ok(list));
        }
    }

    #[test]
    fn what_gzip_wrote() {
        // `printf 'a:1.2.3.4-1.2.3.4\n' | gzip -9n`
        let file = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x4b\xb4\x32\xd4\x33\xd2\x33\xd6\x33\
            \xd1\x85\xd2\x5c\x00\xd9\xf7\x55\x92\x12\x00\x00\x00";
        assert_eq!(unpack(file).as_deref(), Ok(&b"a:1.2.3.4-1.2.3.4\n"[..]));
    }

    #[test]
    fn a_bomb_does_not_go_off() {
        let bomb = gzip(&vec![0; LIST_BYTES_MAX + 1]);
        assert!(bomb.len() < LIST_BYTES_MAX / 500, "{} bytes", bomb.len());
        assert_eq!(unpack(&bomb), Err(UnpackError::TooLarge));
    }

    #[test]
    fn what_is_damaged_says_so() {
        let mut packed = gzip(LIST);
        packed.truncate(packed.len() - 9);
        assert!(matches!(unpack(&packed), Err(UnpackError::Damaged(_))));
        for file in [
            entry("a", ENCRYPTED, 8, b"x"),
            entry("a", 0, 14, b"x"),
            entry("a", LENGTHS_AFTER, 0, LIST),
            entry("a/", 0, 0, b""),
            entry("a/", 0, 0, b"").repeat(ARCHIVE_ENTRIES_MAX),
        ] {
            assert!(matches!(unpack(&file), Err(UnpackError::Archive(_))), "{file:?}");
        }
    }

    proptest! {
        #[test]
        fn it_never_panics(head in 0..3usize, mut file in proptest::collection::vec(any::<u8>(), 0..200)) {
            let heads: [&[u8]; 3] = [b"", b"\x1f\x8b\x08", LOCAL_HEADER];
            file.splice(0..0, heads[head].iter().copied());
            let _ = unpack(&file);
        }
    }
}
