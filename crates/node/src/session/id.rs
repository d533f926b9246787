//! What a torrent is called within a session.

use althing_base::Sha1Digest;
use althing_base::hash::ParseHexError;
use althing_bittorrent::InfoHashes;
use std::fmt;
use std::str::FromStr;

/// A torrent's name in lists, on the command line and in the API: [`InfoHashes::primary`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TorrentId(pub Sha1Digest);

/// Hexadecimal digits of a [`TorrentId`] that a user must type at least. Fewer would as easily be
/// part of a name (git asks for four, too).
pub const PREFIX_DIGITS_MIN: usize = 4;

impl TorrentId {
    /// Whether its hexadecimal form starts with `prefix`, in any case of letters.
    pub fn starts_with(&self, prefix: &str) -> bool {
        let text = self.to_string();
        text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    }
}

impl From<InfoHashes> for TorrentId {
    fn from(hashes: InfoHashes) -> Self {
        TorrentId(hashes.primary())
    }
}

impl fmt::Display for TorrentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for TorrentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for TorrentId {
    type Err = ParseHexError;

    fn from_str(text: &str) -> Result<Self, ParseHexError> {
        text.parse().map(TorrentId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_match_in_any_case() {
        let id: TorrentId =
            "a9993e364706816aba3e25717850c26c9cd0d89d".parse().expect("forty digits");
        assert!(id.starts_with("a999") && id.starts_with("A9993E") && id.starts_with(""));
        assert!(!id.starts_with("a998") && !id.starts_with(&"a".repeat(41)));
        assert!(!id.starts_with("ä"));
    }
}
