//! Which parts of which files a range of a torrent is.

use althing_bittorrent::metainfo::{File, FileIndex, Layout};
use althing_bittorrent::{BlockRef, PieceIndex};

/// A part of a file, or of padding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Segment {
    /// `None` is padding.
    pub(crate) file: Option<FileIndex>,
    pub(crate) offset: u64,
    pub(crate) len: usize,
}

/// The data of a piece as one range.
pub(crate) fn whole(layout: &Layout, piece: PieceIndex) -> BlockRef {
    BlockRef { piece, begin: 0, len: layout.piece_data_size(piece) }
}

/// The parts of files that ranges cover one after the other; what is adjacent in a file is one
/// segment.
pub(crate) fn segments(
    layout: &Layout,
    ranges: impl IntoIterator<Item = BlockRef>,
) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for slice in ranges.into_iter().flat_map(|range| layout.slices(range)) {
        let pad = layout.files().get(slice.file.0 as usize).is_none_or(File::is_pad);
        let file = (!pad).then_some(slice.file);
        let len = slice.len as usize;
        match segments.last_mut() {
            Some(last)
                if last.file == file && (pad || last.offset + last.len as u64 == slice.offset) =>
            {
                last.len += len;
            }
            _ => segments.push(Segment { file, offset: slice.offset, len }),
        }
    }
    segments
}
