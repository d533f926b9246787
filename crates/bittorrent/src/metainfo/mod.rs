//! What a torrent is.
