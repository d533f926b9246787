//! What can be believed of a torrent's claims at the start, without reading its data: each file
//! is only looked at from outside.

use super::record::Resume;
use crate::files::{Files, Root, Stamp};
use crate::limits::ASSESS_NOTES_MAX;
use althing_bittorrent::metainfo::{File, FileIndex, Metainfo};
use althing_bittorrent::{Bitfield, PieceIndex};
use std::ops::Range;

/// What is to be believed and what to be checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assessment {
    /// Pieces that are on disk.
    pub trusted: Bitfield,
    /// Pieces that may be: to be read and hashed. None of them is trusted.
    pub to_verify: Bitfield,
    /// Sentences for the user: which files are missing or have changed.
    pub notes: Vec<String>,
}

/// Compares what was claimed with what the files look like now.
///
/// * Nothing was ever claimed: whatever is there already is checked.
/// * A file is missing: its pieces are not there.
/// * A file has another size, modification time or inode than when its pieces were claimed: all of
///   them are checked. Except that a file which was still being written when the process died has
///   naturally changed; then only its unclaimed pieces are checked, unless it has shrunk or is
///   another file.
/// * A check did not come to its end: what it had not looked at is checked.
/// * The process died: unclaimed pieces of files that are there may have been written; they are
///   checked.
pub fn assess(
    resume: Option<&Resume>,
    metainfo: &Metainfo,
    root: &Root,
    files: &dyn Files,
) -> Assessment {
    let count = metainfo.piece_count();
    let mut assessor = Assessor {
        metainfo,
        root,
        claimed: Bitfield::new(count),
        clean: false,
        missing: Bitfield::new(count),
        doubted: Bitfield::new(count),
        open: Bitfield::new(count),
        notes: Notes::default(),
    };
    let unchecked = resume.and_then(|resume| resume.unchecked.as_ref());
    let mut resume = resume;
    if let Some(known) = resume {
        if known.pieces.len() == count {
            assessor.claimed = known.pieces.clone();
            assessor.clean = known.clean;
        } else {
            resume = None;
        }
    }
    let real = (0..).map(FileIndex).zip(metainfo.files());
    if let Some(unchecked) = unchecked.filter(|unchecked| unchecked.len() == count) {
        assessor.doubted = unchecked.clone();
    }
    for (index, file) in real.filter(|(_, file)| !file.is_pad() && file.size() > 0) {
        let now = files.stamp(root, &root.relative(file)).ok();
        let then = resume.and_then(|resume| resume.stamps.get(&index).copied());
        assessor.look(index, file, then, now);
    }
    assessor.finish()
}

struct Assessor<'a> {
    metainfo: &'a Metainfo,
    root: &'a Root,
    claimed: Bitfield,
    clean: bool,
    /// Pieces of which a file is not there.
    missing: Bitfield,
    /// Pieces to be checked, claimed or not.
    doubted: Bitfield,
    /// Pieces to be checked if they are not claimed.
    open: Bitfield,
    notes: Notes,
}

impl Assessor<'_> {
    fn look(&mut self, index: FileIndex, file: &File, then: Option<Stamp>, now: Option<Stamp>) {
        let pieces = self.metainfo.file_pieces(index);
        let mut claimed = pieces.clone().filter(|&piece| self.claimed.get(PieceIndex(piece)));
        let any_claimed = claimed.next().is_some();
        let all_claimed = any_claimed && claimed.count() + 1 == pieces.len();
        let path = || self.root.path(file).display().to_string();
        let Some(now) = now else {
            if any_claimed {
                self.notes.add(|| format!("{} is missing; it will be fetched again", path()));
            }
            return set(&mut self.missing, pieces);
        };
        match then {
            Some(then) if then == now => {
                if !self.clean {
                    set(&mut self.open, pieces);
                }
            }
            // It was being written when the process died.
            Some(then)
                if !self.clean
                    && !all_claimed
                    && then.inode == now.inode
                    && then.size <= now.size =>
            {
                set(&mut self.open, pieces);
            }
            Some(_) => {
                self.notes.add(|| {
                    format!("{} has changed since it was checked; it is checked again", path())
                });
                set(&mut self.doubted, pieces);
            }
            None => set(&mut self.doubted, pieces),
        }
    }

    fn finish(self) -> Assessment {
        let count = self.claimed.len();
        let mut trusted = Bitfield::new(count);
        let mut to_verify = Bitfield::new(count);
        for piece in (0..count).map(PieceIndex) {
            if self.missing.get(piece) {
                continue;
            }
            let claimed = self.claimed.get(piece);
            if self.doubted.get(piece) || (self.open.get(piece) && !claimed) {
                to_verify.set(piece, true);
            } else if claimed {
                trusted.set(piece, true);
            }
        }
        Assessment { trusted, to_verify, notes: self.notes.finish() }
    }
}

fn set(bits: &mut Bitfield, pieces: Range<u32>) {
    for piece in pieces {
        bits.set(PieceIndex(piece), true);
    }
}

/// The first few sentences, and how many more there would be.
#[derive(Default)]
struct Notes {
    notes: Vec<String>,
    more: usize,
}

impl Notes {
    fn add(&mut self, note: impl FnOnce() -> String) {
        if self.notes.len() < ASSESS_NOTES_MAX {
            self.notes.push(note());
        } else {
            self.more += 1;
        }
    }

    fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.notes.push(format!("{} more files are missing or have changed", self.more));
        }
        self.notes
    }
}
