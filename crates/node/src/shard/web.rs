//! Connections to web seeds: one task for each, which asks for what the torrent's web seed machine
//! wants, cuts the body into blocks and hands them to the swarm as if a peer had sent them.
//!
//! A body is read no faster than the disk takes it, a block at a time into a pooled buffer; between
//! the socket and that stands only what the HTTP client reads ahead, half a mebibyte at most.

mod client;

use super::Shard;
use super::core::Core;
use crate::buffers::BlockBuf;
use crate::clock;
use crate::limits::{CONGESTION_PAUSE, WEB_SEED_BLOCK_TIMEOUT};
use crate::rates::{Flow, Gate, Meter, Paced};
use crate::session::Event;
use althing_bittorrent::swarm::ConnId;
use althing_bittorrent::types::BLOCK_SIZE;
use althing_bittorrent::webseed::{FetchId, Input, Output, WebSeedId};
use althing_bittorrent::{BlockRef, PieceIndex};
use althing_router::TorrentKey;
use bytes::Bytes;
pub(super) use client::WebClient;
use reqwest::Response;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local};
use tracing::debug;

/// What a connection's task and the core share.
struct Lane {
    orders: RefCell<VecDeque<Output>>,
    wake: Notify,
    task: RefCell<Option<AbortHandle>>,
    /// What limits let through, in each direction.
    meters: [Meter; 2],
    paced: Notify,
    closed: Cell<bool>,
    server: Cell<Option<SocketAddr>>,
}

impl Paced for Lane {
    fn meter(&self, flow: Flow) -> &Meter {
        &self.meters[flow.index()]
    }

    fn is_closed(&self) -> bool {
        self.closed.get()
    }

    fn wake(&self) {
        self.paced.notify_one();
    }
}

impl Lane {
    fn new(gates: [Rc<Gate>; 2]) -> Self {
        Lane {
            orders: RefCell::default(),
            wake: Notify::new(),
            task: RefCell::default(),
            meters: gates.map(Meter::new),
            paced: Notify::new(),
            closed: Cell::new(false),
            server: Cell::new(None),
        }
    }

    /// The next order.
    async fn next(&self) -> Output {
        loop {
            if let Some(order) = self.orders.borrow_mut().pop_front() {
                return order;
            }
            self.wake.notified().await;
        }
    }

    /// Ends when a fetch is not wanted any more.
    async fn aborted(&self, fetch: FetchId) {
        let aborts =
            |order: &Output| matches!(order, Output::Abort { fetch: of, .. } if *of == fetch);
        while !self.orders.borrow().iter().any(aborts) {
            self.wake.notified().await;
        }
    }
}

/// All connections of a shard to web seeds.
#[derive(Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<(TorrentKey, ConnId), Rc<Lane>>,
    new: Vec<(TorrentKey, ConnId)>,
}

impl Lanes {
    /// Passes on what a torrent's web seeds ask for; `gates` are the torrent's.
    pub(super) fn order(
        &mut self,
        torrent: TorrentKey,
        output: Output,
        gates: Option<&[Rc<Gate>; 2]>,
    ) {
        let conn = match &output {
            Output::Close { conn } => {
                if let Some(lane) = self.lanes.remove(&(torrent, *conn)) {
                    lane.closed.set(true);
                    if let Some(task) = lane.task.take() {
                        task.abort();
                    }
                }
                return;
            }
            Output::Expect { conn, .. }
            | Output::Forget { conn }
            | Output::Zeros { conn, .. }
            | Output::Fetch { conn, .. }
            | Output::Take { conn, .. }
            | Output::Abort { conn, .. } => *conn,
            // The router keeps these to itself.
            Output::Open { .. } | Output::Reject { .. } => return,
        };
        let lane = self.lanes.entry((torrent, conn)).or_insert_with(|| {
            self.new.push((torrent, conn));
            Rc::new(Lane::new(gates.cloned().unwrap_or_default()))
        });
        lane.orders.borrow_mut().push_back(output);
        lane.wake.notify_one();
    }

    /// Whether there are connections whose task has not been started.
    pub(super) fn any_new(&self) -> bool {
        !self.new.is_empty()
    }

    /// The server at the other end, once it has answered.
    pub(super) fn server(&self, torrent: TorrentKey, conn: ConnId) -> Option<SocketAddr> {
        self.lanes.get(&(torrent, conn))?.server.get()
    }
}

impl Core {
    /// Users are told that a server has other files than the torrent.
    pub(super) fn web_seed_lied(&self, key: TorrentKey, seed: WebSeedId, piece: PieceIndex) {
        let url = self.web_seed_url(key, seed);
        debug!(torrent = key.0, url, %piece, "a web seed sent something else");
        let sentence =
            format!("{url} has a file that is not the torrent's; it is not asked for it again");
        if let Some(torrent) = self.torrents.get(&key) {
            let id = Some(torrent.entry.id);
            self.shared.emit(Event::Note { id, sentence: sentence.into() });
        }
    }

    /// Where a web seed is.
    pub(super) fn web_seed_url(&self, key: TorrentKey, seed: WebSeedId) -> String {
        let seeds = self.router.web_seeds(key);
        let server = seeds.and_then(|web| web.servers().find(|server| server.seed == seed));
        server.map_or_else(|| "a web seed".to_owned(), |server| server.url.to_owned())
    }
}

impl Shard {
    /// Starts the tasks of new connections.
    pub(super) fn start_lanes(self: &Rc<Self>) {
        let mut core = self.core.borrow_mut();
        for (torrent, conn) in std::mem::take(&mut core.lanes.new) {
            let Some(lane) = core.lanes.lanes.get(&(torrent, conn)) else { continue };
            let work = Work {
                shard: Rc::clone(self),
                lane: Rc::clone(lane),
                torrent,
                conn,
                filler: Filler::default(),
            };
            let task = spawn_local(work.run());
            *lane.task.borrow_mut() = Some(task.abort_handle());
        }
    }

    fn web_input(&self, torrent: TorrentKey, input: Input) {
        self.core.borrow_mut().web_input(torrent, input);
        self.end_turn();
    }
}

/// Bytes into blocks.
#[derive(Default)]
struct Filler {
    blocks: VecDeque<BlockRef>,
    /// The first block's buffer and how much of it is filled.
    filling: Option<(BlockBuf, usize)>,
}

impl Filler {
    /// Adds bytes; each block that is whole goes to `done`. Says how many bytes there was room for.
    fn fill(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut() -> BlockBuf,
        mut done: impl FnMut(BlockRef, Bytes),
    ) -> usize {
        let all = bytes.len();
        while let Some(block) = self.blocks.front().copied()
            && !bytes.is_empty()
        {
            let len = block.len.min(BLOCK_SIZE) as usize;
            let (mut buffer, filled) = self.filling.take().unwrap_or_else(|| (take(), 0));
            let (now, later) = bytes.split_at(bytes.len().min(len - filled));
            buffer.as_mut()[filled..filled + now.len()].copy_from_slice(now);
            bytes = later;
            if filled + now.len() < len {
                self.filling = Some((buffer, filled + now.len()));
            } else {
                self.blocks.pop_front();
                done(block, buffer.freeze(len));
            }
        }
        all - bytes.len()
    }
}

/// One connection's task.
struct Work {
    shard: Rc<Shard>,
    lane: Rc<Lane>,
    torrent: TorrentKey,
    conn: ConnId,
    filler: Filler,
}

/// A body that is being read.
struct Body {
    fetch: FetchId,
    response: Response,
    /// What has been read of it and not been used.
    rest: Bytes,
}

impl Work {
    /// Does what it is told until it is ended from outside.
    async fn run(mut self) {
        let mut body: Option<Body> = None;
        let mut moved = None;
        loop {
            let order = self.lane.next().await;
            match order {
                Output::Expect { blocks, .. } => self.filler.blocks.extend(blocks),
                Output::Forget { .. } => self.filler = Filler::default(),
                Output::Zeros { len, .. } => self.zeros(len),
                Output::Fetch { fetch, url, range, .. } => {
                    drop(body.take());
                    let asking = self.shard.web.get(&url, &range, &mut moved);
                    let answer = tokio::select! {
                        answer = asking => answer,
                        () = self.lane.aborted(fetch) => continue,
                    };
                    let input = match answer {
                        Ok((response, head)) => {
                            self.lane.server.set(response.remote_addr());
                            body = Some(Body { fetch, response, rest: Bytes::new() });
                            Input::Head { fetch, head }
                        }
                        Err(words) => Input::Failed { fetch, words },
                    };
                    self.shard.web_input(self.torrent, input);
                }
                Output::Take { fetch, skip, len, .. } => {
                    let Some(open) = body.as_mut().filter(|body| body.fetch == fetch) else {
                        continue;
                    };
                    let lane = Rc::clone(&self.lane);
                    let taken = tokio::select! {
                        taken = self.take(open, skip, len) => taken,
                        () = lane.aborted(fetch) => continue,
                    };
                    let input = match taken {
                        Ok(()) => Input::Delivered { fetch },
                        Err(words) => Input::Failed { fetch, words: words.to_owned() },
                    };
                    self.shard.web_input(self.torrent, input);
                }
                Output::Abort { .. } => body = None,
                Output::Open { .. } | Output::Close { .. } | Output::Reject { .. } => {}
            }
        }
    }

    /// Reads a body, throws `skip` bytes away and makes blocks of the next `len`.
    async fn take(&mut self, body: &mut Body, skip: u64, len: u64) -> Result<(), &'static str> {
        let (mut skip, mut len) = (skip, len);
        // What came although limits would not have let it: the client reads ahead.
        let mut debt = 0;
        let mut since_progress = 0;
        let mut deadline = clock::now() + WEB_SEED_BLOCK_TIMEOUT;
        while skip + len > 0 {
            if body.rest.is_empty() {
                while self.shard.shared.pool.is_congested() {
                    tokio::time::sleep(CONGESTION_PAUSE).await;
                    deadline = clock::now() + WEB_SEED_BLOCK_TIMEOUT;
                }
                if self.may_read(&mut debt).await {
                    deadline = clock::now() + WEB_SEED_BLOCK_TIMEOUT;
                }
                let reading = body.response.chunk();
                body.rest = tokio::time::timeout_at(clock::deadline(deadline), reading)
                    .await
                    .map_err(|_| "it sends too slowly")?
                    .map_err(|_| "the connection broke off")?
                    .ok_or("it sent less than it said")?;
                self.shard.shared.counters.received_bytes(body.rest.len());
                debt += body.rest.len();
                since_progress += body.rest.len();
                if since_progress >= BLOCK_SIZE as usize {
                    since_progress = 0;
                    deadline = clock::now() + WEB_SEED_BLOCK_TIMEOUT;
                }
            }
            let passed = body.rest.len().min(usize::try_from(skip).unwrap_or(usize::MAX));
            drop(body.rest.split_to(passed));
            skip -= passed as u64;
            let part = body.rest.len().min(usize::try_from(len).unwrap_or(usize::MAX));
            let bytes = body.rest.split_to(part);
            len -= part as u64;
            self.fill(&bytes);
            // Others of this shard have their turn, however fast this server is.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Waits until limits have let through all that came; says whether it had to.
    async fn may_read(&self, debt: &mut usize) -> bool {
        let meter = self.lane.meter(Flow::Down);
        let mut waited = false;
        loop {
            let Some(allowed) = meter.allowance() else {
                *debt = 0;
                return waited;
            };
            let paid = allowed.min(*debt);
            meter.spend(paid);
            *debt -= paid;
            if *debt == 0 && allowed > paid {
                return waited;
            }
            waited = true;
            if meter.block() {
                let paced: Rc<dyn Paced> = Rc::<Lane>::clone(&self.lane);
                self.shard.core.borrow_mut().blocked(self.torrent, &paced, Flow::Down);
                self.shard.paced.notify_one();
            }
            self.lane.paced.notified().await;
        }
    }

    fn zeros(&mut self, len: u64) {
        const ZEROS: [u8; BLOCK_SIZE as usize] = [0; BLOCK_SIZE as usize];
        let mut left = len;
        while left > 0 {
            let part = usize::try_from(left).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
            self.fill(&ZEROS[..part]);
            left -= part as u64;
        }
    }

    fn fill(&mut self, bytes: &[u8]) {
        let Work { shard, filler, torrent, conn, .. } = self;
        let take = || shard.scratch.borrow_mut().pool().take();
        let filled = filler.fill(bytes, take, |block, data| {
            shard.core.borrow_mut().web_block(*torrent, *conn, block, data);
        });
        debug_assert_eq!(filled, bytes.len(), "no more is taken than was expected");
        shard.end_turn();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffers::BlockPool;

    #[test]
    fn bytes_become_blocks_however_they_come() {
        let block = |n: u32, len| BlockRef { piece: PieceIndex(n), begin: 0, len };
        let blocks = [block(0, BLOCK_SIZE), block(1, 5), block(2, BLOCK_SIZE)];
        let all: Vec<u8> = (0..2 * BLOCK_SIZE + 5).map(|at| (at % 251) as u8).collect();
        for step in [1, 7, 16_384, 16_385, 100_000] {
            let mut pool = BlockPool::default();
            let mut filler = Filler { blocks: blocks.into(), filling: None };
            let (mut came, mut bytes) = (Vec::new(), Vec::new());
            for chunk in all.chunks(step) {
                let filled = filler.fill(
                    chunk,
                    || pool.take(),
                    |block, data| {
                        came.push(block);
                        assert_eq!(data.len(), block.len as usize);
                        bytes.extend_from_slice(&data);
                    },
                );
                assert_eq!(filled, chunk.len());
            }
            assert!(came == blocks && bytes == all, "in steps of {step}");
            assert_eq!(filler.fill(b"more", || pool.take(), |_, _| {}), 0);
        }
    }
}
