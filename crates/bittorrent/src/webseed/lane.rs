//! One connection to a web seed: what is on order over it, cut into jobs, and each job into parts of
//! files.
//!
//! All that is on order when the connection becomes free is one job. Its blocks are taken apart
//! into parts of files and padding, and parts that follow one another in a file become one request;
//! so a long run of pieces costs one request for each file that it lies in, wherever the borders are.

use super::io::{FetchId, WebSeedId};
use super::limits::{JOB_BLOCKS_MAX, SKIP_BYTES_MAX};
use crate::metainfo::{FileIndex, Metainfo};
use crate::types::BlockRef;
use std::collections::VecDeque;
use std::ops::Range;

/// Part of a job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// Bytes of a file.
    File { file: FileIndex, range: Range<u64> },
    /// Bytes of padding.
    Zeros(u64),
}

/// What a connection needs next.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// It waits for an answer, or has nothing to do.
    Nothing,
    /// A job begins: these are its blocks.
    Expect(Vec<BlockRef>),
    /// The next bytes are padding.
    Zeros(u64),
    /// A body that is still open goes on with what is wanted.
    GoOn { fetch: FetchId, skip: u64, len: u64 },
    /// A body that is still open is of no more use.
    HangUp(FetchId),
    /// A request has to be made; say [`Lane::asked`].
    Ask { file: FileIndex, range: Range<u64> },
}

/// A request under way.
#[derive(Debug)]
struct Asked {
    fetch: FetchId,
    file: FileIndex,
    /// What is wanted of it.
    range: Range<u64>,
    /// How much of that the answer has; 0 before there is one.
    taking: u64,
    /// The body is the whole file's and goes on after that.
    whole: bool,
}

/// The body of a whole file, of which more may be wanted.
#[derive(Debug)]
struct Body {
    fetch: FetchId,
    file: FileIndex,
    at: u64,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) seed: WebSeedId,
    /// On order and not yet part of the job.
    waiting: VecDeque<BlockRef>,
    /// The job's blocks that have not come, and whether they were taken back.
    blocks: VecDeque<(BlockRef, bool)>,
    parts: VecDeque<Part>,
    asked: Option<Asked>,
    body: Option<Body>,
    has_delivered: bool,
}

impl Lane {
    pub(super) fn new(seed: WebSeedId) -> Self {
        Lane {
            seed,
            waiting: VecDeque::new(),
            blocks: VecDeque::new(),
            parts: VecDeque::new(),
            asked: None,
            body: None,
            has_delivered: false,
        }
    }

    /// The request under way, or the body that is open.
    pub(super) fn fetch(&self) -> Option<FetchId> {
        let asked = self.asked.as_ref().map(|asked| asked.fetch);
        asked.or_else(|| self.body.as_ref().map(|body| body.fetch))
    }

    pub(super) fn has_delivered(&self) -> bool {
        self.has_delivered
    }

    /// More is on order; says whether the connection has been waiting for that.
    pub(super) fn order(&mut self, blocks: Vec<BlockRef>) -> bool {
        self.waiting.extend(blocks);
        self.asked.is_none() && self.parts.is_empty()
    }

    /// What to do next; the caller does it before it asks again.
    pub(super) fn next(&mut self, metainfo: &Metainfo) -> Next {
        if self.asked.is_some() {
            return Next::Nothing;
        }
        match self.parts.pop_front() {
            Some(Part::Zeros(len)) => Next::Zeros(len),
            Some(Part::File { file, range }) => {
                if let Some(next) = self.go_on(file, &range) {
                    return next;
                }
                if let Some(body) = self.body.take() {
                    self.parts.push_front(Part::File { file, range });
                    return Next::HangUp(body.fetch);
                }
                Next::Ask { file, range }
            }
            None if self.waiting.is_empty() => {
                // Whoever is to send the rest of a file for nothing is better hung up on.
                self.body.take().map_or(Next::Nothing, |body| Next::HangUp(body.fetch))
            }
            None => {
                let job = self.waiting.len().min(JOB_BLOCKS_MAX);
                let blocks: Vec<BlockRef> = self.waiting.drain(..job).collect();
                self.blocks.extend(blocks.iter().map(|block| (*block, false)));
                self.parts = parts(metainfo, &blocks);
                Next::Expect(blocks)
            }
        }
    }

    /// Takes a part from the body that is open, if it lies ahead of it and not far.
    fn go_on(&mut self, file: FileIndex, range: &Range<u64>) -> Option<Next> {
        let near = |body: &Body| {
            body.file == file
                && range.start.checked_sub(body.at).is_some_and(|skip| skip <= SKIP_BYTES_MAX)
        };
        let Body { fetch, at, .. } = self.body.take_if(|body| near(body))?;
        let (skip, len) = (range.start - at, range.end - range.start);
        self.asked = Some(Asked { fetch, file, range: range.clone(), taking: len, whole: true });
        Some(Next::GoOn { fetch, skip, len })
    }

    /// [`Next::Ask`] was done.
    pub(super) fn asked(&mut self, fetch: FetchId, file: FileIndex, range: Range<u64>) {
        self.asked = Some(Asked { fetch, file, range, taking: 0, whole: false });
    }

    /// What has been asked for and not been answered.
    pub(super) fn asking(&self) -> Option<(FileIndex, Range<u64>)> {
        let asked = self.asked.as_ref().filter(|asked| asked.taking == 0)?;
        Some((asked.file, asked.range.clone()))
    }

    /// The answer has `len` bytes of what was asked for, and perhaps all that follows in the file.
    pub(super) fn taking(&mut self, len: u64, whole: bool) {
        if let Some(asked) = &mut self.asked {
            asked.taking = len;
            asked.whole = whole;
        }
    }

    /// The answer's bytes have been handed on. Says whether its body is still open.
    pub(super) fn delivered(&mut self, size: impl Fn(FileIndex) -> u64) -> bool {
        let Some(Asked { fetch, file, range, taking, whole }) = self.asked.take() else {
            return false;
        };
        self.has_delivered = true;
        let at = range.start + taking;
        if at < range.end {
            self.parts.push_front(Part::File { file, range: at..range.end });
        }
        self.body = (whole && at < size(file)).then_some(Body { fetch, file, at });
        self.body.is_some()
    }

    /// A block of the job has come. Says whether nobody wants any of the others.
    pub(super) fn arrived(&mut self, block: BlockRef) -> bool {
        if let Some(at) = self.blocks.iter().position(|(other, _)| *other == block) {
            self.blocks.remove(at);
        }
        // Orders are taken back from the end, so the last one tells in nearly all cases.
        let given_up = self.blocks.back().is_some_and(|(_, cancelled)| *cancelled);
        given_up && self.blocks.iter().all(|(_, cancelled)| *cancelled)
    }

    /// An order is taken back; the blocks that will not come for that.
    pub(super) fn cancel(&mut self, block: BlockRef) -> Vec<BlockRef> {
        if let Some(at) = self.waiting.iter().position(|other| *other == block) {
            self.waiting.remove(at);
            return vec![block];
        }
        if let Some((_, cancelled)) = self.blocks.iter_mut().find(|(other, _)| *other == block) {
            *cancelled = true;
        }
        if self.blocks.iter().all(|(_, cancelled)| *cancelled) {
            // Answered together with the request that is hung up on.
            return self.blocks.iter().map(|(block, _)| *block).collect();
        }
        Vec::new()
    }

    /// Ends the job if nobody wants any of its blocks; the request to hang up on then.
    pub(super) fn give_up_if_cancelled(&mut self) -> Option<FetchId> {
        if self.blocks.is_empty() || !self.blocks.iter().all(|(_, cancelled)| *cancelled) {
            return None;
        }
        self.blocks.clear();
        self.parts.clear();
        let fetch = self.fetch();
        self.asked = None;
        self.body = None;
        fetch
    }
}

/// What blocks are made of, neighbours in a file joined.
fn parts(metainfo: &Metainfo, blocks: &[BlockRef]) -> VecDeque<Part> {
    let mut parts: VecDeque<Part> = VecDeque::new();
    for block in blocks {
        for slice in metainfo.slices(*block) {
            let len = u64::from(slice.len);
            let is_pad = metainfo.files().get(slice.file.0 as usize).is_some_and(|f| f.is_pad());
            match parts.back_mut() {
                Some(Part::Zeros(zeros)) if is_pad => *zeros += len,
                Some(Part::File { file, range })
                    if !is_pad && *file == slice.file && range.end == slice.offset =>
                {
                    range.end += len;
                }
                _ if is_pad => parts.push_back(Part::Zeros(len)),
                _ => {
                    let range = slice.offset..slice.offset + len;
                    parts.push_back(Part::File { file: slice.file, range });
                }
            }
        }
    }
    parts
}
