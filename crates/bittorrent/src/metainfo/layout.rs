//! Where things are: a torrent's files end to end in one space of bytes, which is cut into pieces
//! (BEP 3), with padding files so that files start at pieces (BEP 47, BEP 52).
//!
//! Lookups are a binary search over the files; what a piece ends with is worked out once.

use super::limits::{FILE_COUNT_MAX, PIECE_COUNT_MAX, PIECE_LENGTH_MAX};
use super::{File, MetainfoError};
use crate::types::{BLOCK_SIZE, BlockRef, PieceIndex};
use std::ops::Range;

/// A file's place in its torrent's list, padding files included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileIndex(pub u32);

/// Part of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileSlice {
    /// Which file. If it is padding, its bytes are zeros and never on disk.
    pub file: FileIndex,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// Length in bytes, never 0.
    pub len: u32,
}

/// Files laid end to end and cut into pieces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    files: Vec<File>,
    piece_length: u32,
    piece_count: u32,
    total_size: u64,
    /// The pieces that end with padding, ascending, and how many bytes they have before it.
    padded: Vec<(PieceIndex, u32)>,
}

impl Layout {
    /// Lays out `files` in their order; sets their offsets.
    ///
    /// # Errors
    /// The piece length is not in `1..=PIECE_LENGTH_MAX`, there are no files, no bytes, or too
    /// many of either.
    pub(super) fn new(piece_length: u32, mut files: Vec<File>) -> Result<Self, MetainfoError> {
        if !(1..=PIECE_LENGTH_MAX).contains(&piece_length) {
            return Err(MetainfoError::PieceLength(Some(i64::from(piece_length))));
        }
        if files.is_empty() {
            return Err(MetainfoError::NoFiles);
        }
        if files.len() > FILE_COUNT_MAX {
            return Err(MetainfoError::TooManyFiles { max: FILE_COUNT_MAX });
        }
        let mut total_size = 0u64;
        for file in &mut files {
            file.offset = total_size;
            total_size = total_size.saturating_add(file.size);
        }
        if total_size == 0 {
            return Err(MetainfoError::Length(Some(0)));
        }
        let count = total_size.div_ceil(u64::from(piece_length));
        let piece_count = u32::try_from(count)
            .ok()
            .filter(|&count| count <= PIECE_COUNT_MAX)
            .ok_or(MetainfoError::TooManyPieces { count, max: PIECE_COUNT_MAX })?;
        files.shrink_to_fit();
        let mut layout =
            Layout { files, piece_length, piece_count, total_size, padded: Vec::new() };
        layout.padded = layout.find_padded();
        Ok(layout)
    }

    /// All files in order, padding included.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// Length of every piece but perhaps the last, in bytes.
    pub fn piece_length(&self) -> u32 {
        self.piece_length
    }

    /// How many pieces there are.
    pub fn piece_count(&self) -> u32 {
        self.piece_count
    }

    /// All files together, padding included, in bytes.
    pub fn total_size(&self) -> u64 {
        self.total_size
    }

    /// Where a piece starts in the torrent's space, in bytes.
    pub fn piece_offset(&self, piece: PieceIndex) -> u64 {
        u64::from(piece.0) * u64::from(self.piece_length)
    }

    /// Length of a piece in bytes, padding included; 0 if there is no such piece. Peers may
    /// request any part of this.
    pub fn piece_size(&self, piece: PieceIndex) -> u32 {
        let left = self.total_size.saturating_sub(self.piece_offset(piece));
        // Not above `piece_length`, so it fits.
        left.min(u64::from(self.piece_length)) as u32
    }

    /// Length of a piece in bytes without the padding it ends with: what is worth requesting and
    /// storing. A piece that is nothing but padding counts whole, so this is 0 only if there is no
    /// such piece.
    pub fn piece_data_size(&self, piece: PieceIndex) -> u32 {
        match self.padded.binary_search_by_key(&piece, |&(piece, _)| piece) {
            Ok(at) => self.padded[at].1,
            Err(_) => self.piece_size(piece),
        }
    }

    /// How many blocks [`block`](Self::block) cuts a piece into.
    pub fn block_count(&self, piece: PieceIndex) -> u32 {
        self.piece_data_size(piece).div_ceil(BLOCK_SIZE)
    }

    /// Block `number` of a piece, of 16 KiB but for the last of the piece; together they cover
    /// [`piece_data_size`](Self::piece_data_size). `None` if there is no such block.
    pub fn block(&self, piece: PieceIndex, number: u32) -> Option<BlockRef> {
        let size = self.piece_data_size(piece);
        let begin = number.checked_mul(BLOCK_SIZE).filter(|&begin| begin < size)?;
        Some(BlockRef { piece, begin, len: BLOCK_SIZE.min(size - begin) })
    }

    /// Whether `block` lies within its piece, padding included, and has a byte at all.
    pub fn contains(&self, block: BlockRef) -> bool {
        block.len > 0
            && block
                .begin
                .checked_add(block.len)
                .is_some_and(|end| end <= self.piece_size(block.piece))
    }

    /// The parts of files that `block` covers, in order. What lies past the end of the torrent is
    /// left out.
    pub fn slices(&self, block: BlockRef) -> Slices<'_> {
        let at = self.piece_offset(block.piece) + u64::from(block.begin);
        let end = at.saturating_add(u64::from(block.len)).min(self.total_size);
        Slices { layout: self, file: self.file_at(at), at, end }
    }

    /// The pieces that a file has bytes in; empty if the file is, or if there is no such file.
    pub fn file_pieces(&self, file: FileIndex) -> Range<u32> {
        let Some(file) = self.files.get(file.0 as usize).filter(|file| file.size > 0) else {
            return 0..0;
        };
        let length = u64::from(self.piece_length);
        // Both are at most `piece_count`, which is a `u32`.
        let first = file.offset / length;
        let end = (file.offset + file.size).div_ceil(length);
        first as u32..end as u32
    }

    /// The index of the file that has the byte at `offset`; of the last file if that is past the
    /// end. Never an empty file in the first case, as it shares its offset with its successor.
    pub(super) fn file_at(&self, offset: u64) -> usize {
        self.files.partition_point(|file| file.offset <= offset).saturating_sub(1)
    }

    fn find_padded(&self) -> Vec<(PieceIndex, u32)> {
        let length = u64::from(self.piece_length);
        let mut padded = Vec::new();
        // Runs of padding (empty files between do not end one), in ascending order. A piece ends
        // with padding if its end lies in a run or at the end of one.
        let mut run: Option<Range<u64>> = None;
        let mut note = |run: Range<u64>| {
            // The piece the run starts in, if the run goes on to the end of that piece. The pieces
            // after it that it covers wholly count as data.
            let piece = run.start / length;
            let begin = piece * length;
            let end = (begin + length).min(self.total_size);
            if run.start > begin && run.end >= end {
                padded.push((PieceIndex(piece as u32), (run.start - begin) as u32));
            }
            // The piece it ends in ends with it only if the torrent or the piece does, and then it
            // is covered wholly.
        };
        for file in self.files.iter().filter(|file| file.size > 0) {
            let end = file.offset + file.size;
            match (&mut run, file.is_pad()) {
                (Some(run), true) => run.end = end,
                (None, true) => run = Some(file.offset..end),
                (_, false) => run.take().into_iter().for_each(&mut note),
            }
        }
        run.into_iter().for_each(&mut note);
        padded.shrink_to_fit();
        padded
    }
}

/// The parts of files in a range of bytes; see [`Layout::slices`].
#[derive(Clone, Debug)]
pub struct Slices<'a> {
    layout: &'a Layout,
    file: usize,
    at: u64,
    end: u64,
}

impl Iterator for Slices<'_> {
    type Item = FileSlice;

    fn next(&mut self) -> Option<FileSlice> {
        if self.at >= self.end {
            return None;
        }
        let mut file = self.layout.files.get(self.file)?;
        if file.offset + file.size <= self.at {
            // The next one, unless it is empty: then the search skips all of its kind at once.
            self.file += 1;
            file = self.layout.files.get(self.file)?;
            if file.size == 0 {
                self.file = self.layout.file_at(self.at);
                file = self.layout.files.get(self.file)?;
            }
        }
        let offset = self.at - file.offset;
        let len = (self.end - self.at).min(file.size - offset);
        self.at += len;
        // A `u32` because the whole range is one block's.
        Some(FileSlice { file: FileIndex(self.file as u32), offset, len: len as u32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Files of these sizes; negative ones are padding.
    fn layout(piece_length: u32, sizes: &[i64]) -> Layout {
        let files = sizes.iter().enumerate().map(|(at, size)| {
            let mut file = File::for_test(&format!("t/{at}"));
            file.size = size.unsigned_abs();
            file.attributes.pad = *size < 0;
            file
        });
        Layout::new(piece_length, files.collect()).expect("a layout")
    }

    fn check_data_sizes(piece_length: u32, sizes: &[i64], expected: &[u32]) {
        let layout = layout(piece_length, sizes);
        let pieces = (0..layout.piece_count()).map(PieceIndex);
        let found: Vec<_> = pieces.map(|piece| layout.piece_data_size(piece)).collect();
        assert_eq!(found, expected, "{sizes:?}");
    }

    #[test]
    fn padding_at_the_end_of_a_piece_is_no_data() {
        check_data_sizes(10, &[25], &[10, 10, 5]);
        check_data_sizes(10, &[5, -5, 10], &[5, 10]);
        check_data_sizes(10, &[15, -5, 5, -5], &[10, 5, 5]);
        // In several files, with empty ones between.
        check_data_sizes(10, &[5, -2, 0, -3, 0, 10], &[5, 10]);
        // Padding that more data follows in the piece is fetched.
        check_data_sizes(10, &[5, -3, 2, 10], &[10, 10]);
        // So is a piece that is nothing else.
        check_data_sizes(10, &[5, -25, 10], &[5, 10, 10, 10]);
        check_data_sizes(10, &[5, -20, 5], &[5, 10, 10]);
        check_data_sizes(10, &[-10, 10], &[10, 10]);
        // At the end of the torrent, whether the piece is full or not.
        check_data_sizes(10, &[5, -3], &[5]);
        check_data_sizes(10, &[5, -5, 0], &[5]);
        check_data_sizes(10, &[5, -7], &[5, 2]);
    }

    #[test]
    fn files_and_blocks_have_their_places() {
        let layout = layout(BLOCK_SIZE * 2, &[0, 20_000, 0, 50_000, 0]);
        assert_eq!(layout.piece_count(), 3);
        let pieces: Vec<_> = (0..6).map(|file| layout.file_pieces(FileIndex(file))).collect();
        assert_eq!(pieces, [0..0, 0..1, 0..0, 0..3, 0..0, 0..0]);
        let last = PieceIndex(2);
        assert_eq!(layout.piece_size(last), 4464);
        assert_eq!(layout.block(last, 0), Some(BlockRef { piece: last, begin: 0, len: 4464 }));
        assert_eq!((layout.block(last, 1), layout.block(PieceIndex(3), 0)), (None, None));
        let second = layout.block(PieceIndex(0), 1).expect("a block");
        let slices: Vec<_> = layout.slices(second).collect();
        assert_eq!(
            slices,
            [
                FileSlice { file: FileIndex(1), offset: 16_384, len: 3616 },
                FileSlice { file: FileIndex(3), offset: 0, len: 12_768 },
            ]
        );
        // What is not there has no parts.
        assert_eq!(layout.slices(BlockRef { piece: PieceIndex(9), ..second }).next(), None);
        assert_eq!(layout.slices(BlockRef { piece: last, begin: 4464, len: 1 }).next(), None);
        assert!(!layout.contains(BlockRef { piece: last, begin: 4464, len: 1 }));
        assert!(!layout.contains(BlockRef { piece: last, begin: 0, len: 0 }));
        assert!(!layout.contains(BlockRef { piece: last, begin: u32::MAX, len: 2 }));
    }

    #[test]
    fn what_is_absurd_is_refused() {
        let refuse = |piece_length, sizes: &[u64]| {
            let files = sizes.iter().map(|size| File { size: *size, ..File::for_test("t/a") });
            Layout::new(piece_length, files.collect()).expect_err("refused")
        };
        assert_eq!(refuse(0, &[1]), MetainfoError::PieceLength(Some(0)));
        assert_eq!(refuse(16_384, &[]), MetainfoError::NoFiles);
        assert_eq!(refuse(16_384, &[0, 0]), MetainfoError::Length(Some(0)));
        let size = u64::from(PIECE_COUNT_MAX) * 16_384 + 1;
        let count = u64::from(PIECE_COUNT_MAX) + 1;
        let too_many = MetainfoError::TooManyPieces { count, max: PIECE_COUNT_MAX };
        assert_eq!(refuse(16_384, &[size]), too_many);
        assert!(matches!(refuse(16_384, &[u64::MAX, 2]), MetainfoError::TooManyPieces { .. }));
    }

    proptest! {
        #[test]
        fn slices_cover_what_is_asked_for(
            piece_length in 1..40u32,
            sizes in prop::collection::vec(prop_oneof![2 => -30..30i64, 1 => Just(0)], 1..20),
            piece in 0..20u32, begin in 0..60u32, len in 0..90u32,
        ) {
            prop_assume!(sizes.iter().any(|size| *size != 0));
            let layout = layout(piece_length, &sizes);
            // Every byte's file and place in it, the long way.
            let bytes: Vec<(u32, u64)> = (0..)
                .zip(&sizes)
                .flat_map(|(file, size)| (0..size.unsigned_abs()).map(move |at| (file, at)))
                .collect();
            prop_assert_eq!(layout.total_size(), bytes.len() as u64);
            let at = (piece * piece_length + begin) as usize;
            let expected = bytes.get(at..).unwrap_or_default();
            let expected = &expected[..expected.len().min(len as usize)];
            let slices = layout.slices(BlockRef { piece: PieceIndex(piece), begin, len });
            let found: Vec<_> = slices
                .flat_map(|slice| {
                    (slice.offset..).take(slice.len as usize).map(move |at| (slice.file.0, at))
                })
                .collect();
            prop_assert_eq!(&found[..], expected);
            // A piece's data ends where nothing but padding follows, unless it is nothing else.
            for piece in (0..layout.piece_count()).map(PieceIndex) {
                let start = layout.piece_offset(piece) as usize;
                let size = layout.piece_size(piece);
                let is_data = |(file, _): &(u32, u64)| sizes[*file as usize] > 0;
                let last = bytes[start..start + size as usize].iter().rposition(is_data);
                let expected = last.map_or(size, |last| last as u32 + 1);
                prop_assert_eq!(layout.piece_data_size(piece), expected);
                let blocks = (0..layout.block_count(piece)).map(|n| layout.block(piece, n));
                let covered: u32 = blocks.map(|block| block.map_or(0, |block| block.len)).sum();
                prop_assert_eq!(covered, expected);
            }
            for file in 0..sizes.len() as u32 {
                let pieces: Vec<_> = (0..layout.piece_count())
                    .filter(|piece| {
                        let start = layout.piece_offset(PieceIndex(*piece)) as usize;
                        let end = start + layout.piece_size(PieceIndex(*piece)) as usize;
                        bytes[start..end].iter().any(|(at, _)| *at == file)
                    })
                    .collect();
                prop_assert_eq!(layout.file_pieces(FileIndex(file)).collect::<Vec<_>>(), pieces);
            }
        }
    }
}
