//! Checking what is on disk. Every worker has a share in each check and takes the next unit when
//! its turn comes, so that all threads work on one stretch of the files and the disk streams.

use super::event::{Checked, Event, VerifyProgress};
use super::io::Disk;
use super::torrent::Shared;
use crate::files::Descriptors;
use crate::hash::{Kinds, PieceHasher};
use crate::limits::{PROGRESS_BYTES, SCAN_READ_BYTES, SCAN_UNIT_BYTES, VERIFY_FAULTS_MAX};
use crate::mutex::guard;
use crate::segments::{Segment, segments, whole};
use althing_bittorrent::metainfo::{Metainfo, merkle};
use althing_bittorrent::swarm::StorageFault;
use althing_bittorrent::types::BLOCK_SIZE;
use althing_bittorrent::{Bitfield, BlockRef, PieceHash, PieceIndex, V2PieceHash};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// A check of some of a torrent's pieces.
pub(super) struct Verify {
    torrent: Arc<Shared>,
    /// The torrent with all hashes known when the check began.
    hashes: Arc<Metainfo>,
    wanted: Bitfield,
    /// The next piece to hand out.
    next: Mutex<u32>,
    findings: Mutex<Findings>,
    cancelled: AtomicBool,
    /// Shares that have not ended.
    running: AtomicUsize,
    /// Length of each file on disk, in bytes; 0 if it is missing.
    sizes: OnceLock<Vec<u64>>,
    /// What a piece of zeros hashes to.
    zeros: OnceLock<PieceHash>,
}

struct Findings {
    have: Bitfield,
    checked: Bitfield,
    /// Those of `have` that the next flush makes durable.
    noted: Bitfield,
    faults: Vec<StorageFault>,
    /// Bytes looked at since progress was told.
    untold: u64,
}

/// One worker's share in a check.
pub(super) struct Share {
    verify: Arc<Verify>,
    /// A piece longer than a unit that is half hashed.
    current: Option<Scan>,
}

/// A piece that is read in several parts.
struct Scan {
    piece: PieceIndex,
    begin: u32,
    hasher: PieceHasher,
}

impl Verify {
    pub(super) fn new(
        torrent: Arc<Shared>,
        hashes: Arc<Metainfo>,
        wanted: Bitfield,
        shares: usize,
    ) -> Self {
        let count = torrent.metainfo.piece_count();
        let findings = Findings {
            have: Bitfield::new(count),
            checked: Bitfield::new(count),
            noted: Bitfield::new(count),
            faults: Vec::new(),
            untold: 0,
        };
        Verify {
            torrent,
            hashes,
            wanted,
            next: Mutex::new(0),
            findings: Mutex::new(findings),
            cancelled: AtomicBool::new(false),
            running: AtomicUsize::new(shares),
            sizes: OnceLock::new(),
            zeros: OnceLock::new(),
        }
    }

    pub(super) fn shares(verify: &Arc<Verify>, count: usize) -> impl Iterator<Item = Share> {
        (0..count).map(|_| Share { verify: Arc::clone(verify), current: None })
    }

    /// What has been looked at so far; what is right of it becomes durable with the flush that
    /// follows.
    pub(super) fn so_far(&self) -> Checked {
        let mut findings = guard(&self.findings);
        findings.note(&self.torrent);
        Checked { checked: findings.checked.clone(), right: findings.have.clone() }
    }

    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// The next pieces to look at: neighbours that make a unit together, or one.
    fn next_unit(&self) -> Option<Range<u32>> {
        let mut next = guard(&self.next);
        let layout = self.torrent.metainfo.layout();
        let end = self.wanted.len().min(layout.piece_count());
        let first = (*next..end).find(|&piece| self.wanted.get(PieceIndex(piece)))?;
        let mut last = first;
        let mut bytes = u64::from(layout.piece_size(PieceIndex(first)));
        while last + 1 < end && self.wanted.get(PieceIndex(last + 1)) {
            bytes += u64::from(layout.piece_size(PieceIndex(last + 1)));
            if bytes > SCAN_UNIT_BYTES {
                break;
            }
            last += 1;
        }
        *next = last + 1;
        Some(first..last + 1)
    }

    /// The files' lengths on disk, looked up once.
    fn sizes(&self, descriptors: &Descriptors) -> &[u64] {
        self.sizes.get_or_init(|| {
            let Shared { metainfo, root, .. } = &*self.torrent;
            let files = metainfo.files().iter();
            let size = |file| {
                let stamp = descriptors.files().stamp(root, &root.relative(file));
                stamp.map_or(0, |stamp| stamp.size)
            };
            files
                .map(|file| if file.is_pad() || file.size() == 0 { 0 } else { size(file) })
                .collect()
        })
    }

    /// Whether all of the files are there, and long enough for these parts.
    fn is_there(&self, segments: &[Segment], descriptors: &Descriptors) -> bool {
        let sizes = self.sizes(descriptors);
        segments.iter().all(|segment| match segment.file {
            None => true,
            Some(file) => sizes
                .get(file.0 as usize)
                .is_some_and(|&size| segment.offset + segment.len as u64 <= size),
        })
    }

    fn is_right(&self, piece: PieceIndex, hash: impl FnOnce(&mut PieceHasher)) -> bool {
        let Some(expected) = self.hashes.piece_hash(piece) else { return false };
        let mut hasher = PieceHasher::new(Kinds::of(&expected));
        hash(&mut hasher);
        hasher.pad(self.padding(piece));
        hasher.matches(&expected)
    }

    /// Whether a piece that consists of zeros is right.
    fn is_zeros(&self, piece: PieceIndex) -> bool {
        let layout = self.torrent.metainfo.layout();
        let data = layout.piece_data_size(piece);
        if data == layout.piece_length() {
            let Some(expected) = self.hashes.piece_hash(piece) else { return false };
            let zeros = self.zeros.get_or_init(|| zero_piece(data, self.torrent.kinds));
            return expected.v1.is_none_or(|_| expected.v1 == zeros.v1)
                && expected.v2.is_none_or(|_| expected.v2 == zeros.v2);
        }
        self.is_right(piece, |hasher| update_zeros(hasher, data))
    }

    /// Bytes of padding that a piece ends with.
    fn padding(&self, piece: PieceIndex) -> u32 {
        let layout = self.torrent.metainfo.layout();
        layout.piece_size(piece) - layout.piece_data_size(piece)
    }

    /// Notes what became of a piece.
    fn note(&self, piece: PieceIndex, right: bool) {
        let mut findings = guard(&self.findings);
        findings.checked.set(piece, true);
        findings.have.set(piece, right);
        findings.untold += u64::from(self.torrent.metainfo.piece_size(piece));
        if findings.untold >= PROGRESS_BYTES {
            findings.untold = 0;
            self.tell(&findings);
        }
    }

    /// Notes a piece that could not be read. That a file is missing or too short is a finding, not
    /// a fault.
    fn note_fault(&self, piece: PieceIndex, fault: StorageFault) {
        if !matches!(fault, StorageFault::FileChanged { .. }) {
            let mut findings = guard(&self.findings);
            if findings.faults.len() < VERIFY_FAULTS_MAX && !findings.faults.contains(&fault) {
                findings.faults.push(fault);
            }
        }
        self.note(piece, false);
    }

    fn tell(&self, findings: &Findings) {
        self.torrent.emit(Event::VerifyProgress(VerifyProgress {
            checked: findings.checked.count_ones(),
            total: self.wanted.count_ones(),
            have: findings.have.count_ones(),
        }));
    }
}

impl Findings {
    /// Counts what has been found right as written.
    fn note(&mut self, torrent: &Shared) {
        let mut unsynced = guard(&torrent.unsynced);
        for piece in self.have.ones() {
            if self.noted.set(piece, true) {
                unsynced.add(torrent.metainfo.layout(), piece);
            }
        }
    }
}

impl Share {
    /// Does the next unit; says how many bytes it looked at, or `None` if there is no more to do.
    pub(super) fn step(&mut self, descriptors: &Descriptors, buffer: &mut Vec<u8>) -> Option<u64> {
        let verify = Arc::clone(&self.verify);
        if verify.cancelled.load(Ordering::Acquire) || verify.torrent.is_closing() {
            return None;
        }
        buffer.resize(SCAN_READ_BYTES, 0);
        let disk = Disk { torrent: &verify.torrent, descriptors };
        if let Some(scan) = self.current.take() {
            return Some(self.go_on(scan, disk, buffer));
        }
        let unit = verify.next_unit()?;
        let layout = verify.torrent.metainfo.layout();
        let first = PieceIndex(unit.start);
        if layout.piece_data_size(first) as usize > buffer.len() {
            return Some(self.begin(first, disk, buffer));
        }
        let bytes = unit.clone().map(|piece| u64::from(layout.piece_size(PieceIndex(piece)))).sum();
        verify.check_unit(unit, disk, buffer);
        Some(bytes)
    }

    /// Begins a piece that is longer than the buffer.
    fn begin(&mut self, piece: PieceIndex, disk: Disk<'_>, buffer: &mut [u8]) -> u64 {
        let verify = &self.verify;
        let layout = verify.torrent.metainfo.layout();
        let segments = segments(layout, [whole(layout, piece)]);
        let expected = verify.hashes.piece_hash(piece);
        let Some(expected) = expected.filter(|_| verify.is_there(&segments, disk.descriptors))
        else {
            verify.note(piece, false);
            return 0;
        };
        if disk.is_hole(&segments) {
            verify.note(piece, verify.is_zeros(piece));
            return 0;
        }
        let hasher = PieceHasher::new(Kinds::of(&expected));
        self.go_on(Scan { piece, begin: 0, hasher }, disk, buffer)
    }

    /// Reads and hashes the next part of a piece.
    fn go_on(&mut self, mut scan: Scan, disk: Disk<'_>, buffer: &mut [u8]) -> u64 {
        let verify = &self.verify;
        let piece = scan.piece;
        let left = verify.torrent.metainfo.piece_data_size(piece).saturating_sub(scan.begin);
        // Not above the buffer's length, so it fits.
        let len = left.min(buffer.len() as u32);
        let part = &mut buffer[..len as usize];
        if let Err(fault) = disk.read_range(BlockRef { piece, begin: scan.begin, len }, part) {
            verify.note_fault(piece, fault);
            return u64::from(len);
        }
        scan.hasher.update(part);
        scan.begin += len;
        if len < left {
            self.current = Some(scan);
        } else {
            scan.hasher.pad(verify.padding(piece));
            let expected = verify.hashes.piece_hash(piece);
            verify.note(piece, expected.is_some_and(|expected| scan.hasher.matches(&expected)));
        }
        u64::from(len)
    }

    /// To be called when there is no more to do. The last share to end tells the result.
    pub(super) fn end(self) {
        let verify = &self.verify;
        if verify.running.fetch_sub(1, Ordering::AcqRel) != 1 || verify.torrent.is_closing() {
            return;
        }
        let mut findings = guard(&verify.findings);
        verify.tell(&findings);
        findings.note(&verify.torrent);
        verify.torrent.forget_verify(verify);
        verify.torrent.emit(Event::Verified {
            have: findings.have.clone(),
            checked: findings.checked.clone(),
            faults: std::mem::take(&mut findings.faults),
        });
    }
}

impl Verify {
    /// Looks at neighbouring pieces that fit the buffer together.
    fn check_unit(&self, unit: Range<u32>, disk: Disk<'_>, buffer: &mut [u8]) {
        let layout = self.torrent.metainfo.layout();
        let mut run = unit.start..unit.start;
        for piece in unit.clone() {
            let there = self.hashes.piece_hash(PieceIndex(piece)).is_some()
                && self.is_there(
                    &segments(layout, [whole(layout, PieceIndex(piece))]),
                    disk.descriptors,
                );
            if there {
                run.end = piece + 1;
                continue;
            }
            self.check_run(run, disk, buffer);
            self.note(PieceIndex(piece), false);
            run = piece + 1..piece + 1;
        }
        self.check_run(run, disk, buffer);
    }

    /// Looks at neighbouring pieces that seem to be on disk.
    fn check_run(&self, run: Range<u32>, disk: Disk<'_>, buffer: &mut [u8]) {
        let layout = self.torrent.metainfo.layout();
        let pieces = || run.clone().map(PieceIndex);
        let segments = segments(layout, pieces().map(|piece| whole(layout, piece)));
        if disk.is_hole(&segments) {
            pieces().for_each(|piece| self.note(piece, self.is_zeros(piece)));
            return;
        }
        let len = segments.iter().map(|segment| segment.len).sum();
        let Some(data) = buffer.get_mut(..len) else { return };
        match disk.read(&segments, data) {
            Ok(()) => {
                let mut rest = &*data;
                for piece in pieces() {
                    let (now, after) = rest.split_at(layout.piece_data_size(piece) as usize);
                    rest = after;
                    self.note(piece, self.is_right(piece, |hasher| hasher.update(now)));
                }
            }
            Err(fault) if run.len() == 1 => self.note_fault(PieceIndex(run.start), fault),
            // One bad sector must not cost its neighbours.
            Err(_) => {
                for piece in run.clone() {
                    self.check_run(piece..piece + 1, disk, buffer);
                }
            }
        }
    }
}

impl Disk<'_> {
    /// Whether all these parts are holes in their files, or padding: nothing but zeros.
    fn is_hole(self, segments: &[Segment]) -> bool {
        segments.iter().all(|segment| {
            let Some(file) = segment.file else { return true };
            let data = self.open_to_read(file).and_then(|open| open.data_from(segment.offset));
            match data {
                Ok(None) => true,
                Ok(Some(data)) => data >= segment.offset + segment.len as u64,
                Err(_) => false,
            }
        })
    }
}

fn update_zeros(hasher: &mut PieceHasher, len: u32) {
    let mut left = len;
    while left > 0 {
        let now = left.min(BLOCK_SIZE);
        hasher.update(&crate::hash::ZEROS[..now as usize]);
        left -= now;
    }
}

/// The hash of a piece of `len` zeros that is as long as pieces are.
fn zero_piece(len: u32, kinds: Kinds) -> PieceHash {
    let mut hasher = PieceHasher::new(kinds);
    update_zeros(&mut hasher, len);
    let (v1, leaves) = hasher.finish();
    let width = len.div_ceil(BLOCK_SIZE).next_power_of_two();
    let v2 = kinds.v2.then(|| V2PieceHash { root: merkle::root(&leaves, width), leaves: width });
    PieceHash { v1, v2 }
}
