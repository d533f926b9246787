//! Magnet links: what is read is written, and read the same again.

use althing_bittorrent::metainfo::{FileIndex, FollowLink, Magnet};

/// Reads any text as a link and as a bare info-hash.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(magnet) = text.parse::<Magnet>() {
        let written = magnet.to_string();
        assert_eq!(written.parse().as_ref(), Ok(&magnet), "{written}");
        assert!(written.is_ascii());
        for range in &magnet.select {
            assert!(magnet.selects(FileIndex(*range.start())));
            assert!(magnet.selects(FileIndex(*range.end())));
        }
    }
    if let Ok(follow) = text.parse::<FollowLink>() {
        let written = follow.to_string();
        assert_eq!(written.parse().as_ref(), Ok(&follow), "{written}");
        assert!(written.is_ascii());
    }
    if let Ok(magnet) = Magnet::from_info_hash(text) {
        assert_eq!(magnet.to_string().parse(), Ok(magnet));
    }
}
