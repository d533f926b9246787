//! Web seeds: HTTP servers that have a torrent's files (BEP 19's `url-list`, a magnet link's `ws`).
//!
//! To the swarm each connection to such a server is a peer that has everything and never chokes.
//! The swarm orders blocks from it as from any other, only by the run instead of by rarity; this
//! machine turns the orders into requests for ranges of files, many blocks in one, and judges the
//! answers. The body never passes through here: the driver cuts it into blocks and hands them to
//! the swarm as if a peer had sent them, so that storing, hashing and blame are the same for all.
//!
//! What a server does wrong stays with it: a file that is not there, or of another size, or not what
//! the torrent says, is not asked for again; trouble of other kinds makes it wait, each time longer.
//!
//! BEP 17 (`httpseeds`) is read and kept with a torrent and not followed: it wants a script on the
//! server, and hardly any are left.

pub mod answer;
mod io;
mod lane;
pub mod limits;
#[cfg(test)]
mod tests;
mod url;

pub use answer::{ContentRange, Head};
pub use io::{FetchId, Input, Output, ServerStatus, WebSeedId};

use crate::metainfo::{FileIndex, Metainfo};
use crate::swarm::ConnId;
use crate::types::{Bitfield, BlockRef, PieceIndex};
use althing_base::time::Duration;
use althing_base::{Instant, Machine, Rng, Seed};
use answer::{Verdict, judge};
use lane::{Lane, Next};
use limits::{
    CONNECTIONS_MAX, FAILURES_MAX, RETRY_AFTER, RETRY_AFTER_MAX, SERVERS_AT_ONCE, WRONG_FILES_MAX,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Connections to web seeds are numbered from here, those to peers from 0.
const FIRST_CONN: u64 = 1 << 63;

/// Servers with connections at most, when some of them do not have all files.
const SERVERS_OPEN_MAX: usize = 3 * SERVERS_AT_ONCE;

/// Why the machine wants to be woken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// A server may be tried again.
    Retry,
}

/// One URL of the list.
#[derive(Debug)]
struct Server {
    url: String,
    /// Files that it does not have.
    without: BTreeSet<FileIndex>,
    /// It is left alone until then.
    waits_until: Option<Instant>,
    is_gone: bool,
    /// Failures since it last delivered.
    failures: u32,
    wrong_files: u32,
    connections_max: u32,
    message: Option<String>,
}

impl Server {
    /// The pieces that can be had from it.
    fn have(&self, metainfo: &Metainfo) -> Bitfield {
        let mut have = Bitfield::full(metainfo.piece_count());
        for file in &self.without {
            for piece in metainfo.file_pieces(*file) {
                have.set(PieceIndex(piece), false);
            }
        }
        have
    }
}

/// The web seeds of one torrent. See the [module](self).
#[derive(Debug)]
pub struct WebSeeds {
    connections: u32,
    metainfo: Option<Arc<Metainfo>>,
    is_running: bool,
    servers: Vec<Server>,
    /// In which they are tried: drawn, so that mirrors share the load.
    order: Vec<WebSeedId>,
    lanes: BTreeMap<ConnId, Lane>,
    fetches: BTreeMap<FetchId, ConnId>,
    opened: u64,
    fetched: u64,
    rng: Rng,
    outputs: VecDeque<Output>,
}

impl WebSeeds {
    /// Idle web seeds, with so many connections to each server; the URLs are the metainfo's.
    pub fn new(connections: u32, seed: Seed) -> Self {
        WebSeeds {
            connections: connections.clamp(1, CONNECTIONS_MAX),
            metainfo: None,
            is_running: false,
            servers: Vec::new(),
            order: Vec::new(),
            lanes: BTreeMap::new(),
            fetches: BTreeMap::new(),
            opened: 0,
            fetched: 0,
            rng: Rng::new(seed),
            outputs: VecDeque::new(),
        }
    }

    /// Whether a connection is one to a web seed.
    pub fn is_ours(conn: ConnId) -> bool {
        conn.0 >= FIRST_CONN
    }

    /// How it stands with each server.
    pub fn servers(&self) -> impl Iterator<Item = ServerStatus<'_>> {
        self.servers.iter().zip(0u16..).map(|(server, at)| ServerStatus {
            seed: WebSeedId(at),
            url: &server.url,
            connections: self.lanes.values().filter(|lane| lane.seed == WebSeedId(at)).count(),
            is_gone: server.is_gone,
            message: server.message.as_deref(),
        })
    }

    fn start(&mut self, now: Instant, metainfo: Arc<Metainfo>) {
        if self.metainfo.is_none() {
            let urls = metainfo.web_seeds().iter().filter(|url| url::is_web(url));
            self.servers = urls
                .take(usize::from(u16::MAX))
                .map(|url| Server {
                    url: url.clone(),
                    without: BTreeSet::new(),
                    waits_until: None,
                    is_gone: false,
                    failures: 0,
                    wrong_files: 0,
                    connections_max: self.connections,
                    message: None,
                })
                .collect();
            self.order = (0u16..).map(WebSeedId).take(self.servers.len()).collect();
            self.rng.shuffle(&mut self.order);
        }
        self.metainfo = Some(metainfo);
        self.is_running = true;
        self.open_more(now);
    }

    /// Opens connections to as many servers as there may be.
    fn open_more(&mut self, now: Instant) {
        let Some(metainfo) = self.metainfo.clone().filter(|_| self.is_running) else { return };
        let (mut whole, mut open) = (0, 0);
        for seed in self.order.clone() {
            if whole >= SERVERS_AT_ONCE || open >= SERVERS_OPEN_MAX {
                return;
            }
            let connected = self.lanes.values().filter(|lane| lane.seed == seed).count();
            let Some(server) = self.servers.get_mut(usize::from(seed.0)) else { continue };
            if server.is_gone || server.waits_until.is_some_and(|until| until > now) {
                continue;
            }
            server.waits_until = None;
            let have = server.have(&metainfo);
            if have.count_ones() == 0 {
                server.is_gone = true;
                continue;
            }
            open += 1;
            whole += usize::from(have.is_full());
            for _ in connected..server.connections_max as usize {
                let conn = ConnId(FIRST_CONN + self.opened);
                self.opened += 1;
                self.lanes.insert(conn, Lane::new(seed));
                self.outputs.push_back(Output::Open { conn, seed, have: have.clone() });
            }
        }
    }

    fn close(&mut self, conn: ConnId) {
        if let Some(lane) = self.lanes.remove(&conn) {
            if let Some(fetch) = lane.fetch() {
                self.fetches.remove(&fetch);
            }
            self.outputs.push_back(Output::Close { conn });
        }
    }

    fn close_all(&mut self, of: impl Fn(&Lane) -> bool) {
        let conns: Vec<ConnId> =
            self.lanes.iter().filter(|(_, lane)| of(lane)).map(|(conn, _)| *conn).collect();
        conns.into_iter().for_each(|conn| self.close(conn));
    }

    /// Goes on with a connection that waits for nothing.
    fn advance(&mut self, conn: ConnId) {
        let Some(metainfo) = self.metainfo.clone() else { return };
        let Some(lane) = self.lanes.get_mut(&conn) else { return };
        let Some(server) = self.servers.get(usize::from(lane.seed.0)) else { return };
        loop {
            match lane.next(&metainfo) {
                Next::Nothing => return,
                Next::Expect(blocks) => self.outputs.push_back(Output::Expect { conn, blocks }),
                Next::Zeros(len) => self.outputs.push_back(Output::Zeros { conn, len }),
                Next::GoOn { fetch, skip, len } => {
                    self.outputs.push_back(Output::Take { fetch, conn, skip, len });
                    return;
                }
                Next::HangUp(fetch) => {
                    self.fetches.remove(&fetch);
                    self.outputs.push_back(Output::Abort { fetch, conn });
                }
                Next::Ask { file, range } => {
                    let Some(named) = metainfo.files().get(file.0 as usize) else { return };
                    let fetch = FetchId(self.fetched);
                    self.fetched += 1;
                    self.fetches.insert(fetch, conn);
                    lane.asked(fetch, file, range.clone());
                    let url = url::file_url(&server.url, &metainfo, named);
                    self.outputs.push_back(Output::Fetch { fetch, conn, url, range });
                    return;
                }
            }
        }
    }

    fn head(&mut self, now: Instant, fetch: FetchId, head: &Head) {
        let Some(conn) = self.fetches.get(&fetch).copied() else { return };
        let Some(lane) = self.lanes.get_mut(&conn) else { return };
        let Some((file, range)) = lane.asking() else { return };
        let files = self.metainfo.as_ref().map_or(&[][..], |metainfo| metainfo.files());
        let size = files.get(file.0 as usize).map_or(0, |file| file.size());
        match judge(head, &range, size) {
            Verdict::Take { skip, len, whole } => {
                lane.taking(len, whole);
                self.outputs.push_back(Output::Take { fetch, conn, skip, len });
            }
            Verdict::NoFile(words) => {
                let seed = lane.seed;
                self.do_without(seed, file, words);
                self.close(conn);
                self.open_more(now);
            }
            Verdict::Failure { words, wait } => self.failed(now, conn, words, wait),
        }
    }

    fn do_without(&mut self, seed: WebSeedId, file: FileIndex, words: String) {
        if let Some(server) = self.servers.get_mut(usize::from(seed.0)) {
            tracing::debug!(url = server.url, file = file.0, words, "a web seed lacks a file");
            server.without.insert(file);
            server.message = Some(words);
        }
    }

    fn delivered(&mut self, fetch: FetchId) {
        let Some(conn) = self.fetches.get(&fetch).copied() else { return };
        let Some(lane) = self.lanes.get_mut(&conn) else { return };
        let files = self.metainfo.as_ref().map_or(&[][..], |metainfo| metainfo.files());
        let size = |file: FileIndex| files.get(file.0 as usize).map_or(0, |file| file.size());
        if !lane.delivered(size) {
            self.fetches.remove(&fetch);
        }
        if let Some(server) = self.servers.get_mut(usize::from(lane.seed.0)) {
            server.failures = 0;
        }
        self.advance(conn);
    }

    /// A request came to nothing. A server that still delivers over another connection just wants
    /// fewer of them.
    fn failed(&mut self, now: Instant, conn: ConnId, words: String, wait: Option<Duration>) {
        let Some(seed) = self.lanes.get(&conn).map(|lane| lane.seed) else { return };
        let others = self.lanes.iter().filter(|(other, lane)| **other != conn && lane.seed == seed);
        let working = others.clone().any(|(_, lane)| lane.has_delivered());
        let others = others.count() as u32;
        let Some(server) = self.servers.get_mut(usize::from(seed.0)) else { return };
        tracing::debug!(url = server.url, words, "a web seed failed");
        server.message = Some(words);
        if working {
            server.connections_max = others;
            self.close(conn);
            return;
        }
        server.failures += 1;
        server.is_gone |= server.failures > FAILURES_MAX;
        let doubled = RETRY_AFTER * (1u32 << (server.failures - 1).min(FAILURES_MAX));
        let wait = wait.unwrap_or(doubled).clamp(Duration::from_secs(1), RETRY_AFTER_MAX);
        server.waits_until = Some(now + wait);
        self.close_all(|lane| lane.seed == seed);
        self.open_more(now);
    }

    fn lied(&mut self, now: Instant, seed: WebSeedId, piece: PieceIndex) {
        let Some(metainfo) = self.metainfo.clone() else { return };
        let all = BlockRef { piece, begin: 0, len: metainfo.piece_size(piece) };
        let is_pad = |file: FileIndex| metainfo.files()[file.0 as usize].is_pad();
        let Some(server) = self.servers.get_mut(usize::from(seed.0)) else { return };
        let known = server.without.len();
        for part in metainfo.slices(all).filter(|part| !is_pad(part.file)) {
            server.without.insert(part.file);
        }
        if server.without.len() == known {
            // More of it was on the way.
            return;
        }
        server.message = Some("it has a file that is not the torrent's".to_owned());
        server.wrong_files += 1;
        server.is_gone |= server.wrong_files >= WRONG_FILES_MAX;
        self.close_all(|lane| lane.seed == seed);
        self.open_more(now);
    }

    fn cancel(&mut self, conn: ConnId, block: BlockRef) {
        let Some(lane) = self.lanes.get_mut(&conn) else { return };
        for block in lane.cancel(block) {
            self.outputs.push_back(Output::Reject { conn, block });
        }
        if let Some(fetch) = lane.give_up_if_cancelled() {
            self.fetches.remove(&fetch);
            self.outputs.push_back(Output::Abort { fetch, conn });
            self.outputs.push_back(Output::Forget { conn });
            self.advance(conn);
        }
    }
}

impl Machine for WebSeeds {
    type Input = Input;
    type Output = Output;
    type Reason = Reason;

    fn handle_input(&mut self, now: Instant, input: Input) {
        debug_assert!(self.outputs.is_empty(), "drain the outputs before the next input");
        match input {
            Input::Start { metainfo } => self.start(now, metainfo),
            Input::Stop => {
                self.is_running = false;
                self.close_all(|_| true);
            }
            Input::Requests { conn, blocks } => {
                let Some(lane) = self.lanes.get_mut(&conn) else { return };
                if lane.order(blocks) {
                    self.advance(conn);
                }
            }
            Input::Cancel { conn, block } => self.cancel(conn, block),
            Input::Arrived { conn, block } => {
                if let Some(lane) = self.lanes.get_mut(&conn)
                    && lane.arrived(block)
                {
                    self.cancel(conn, block);
                }
            }
            // Not opened again before something else happens: nothing says that it would be kept.
            Input::Closed { conn } => self.close(conn),
            Input::Lied { seed, piece } => self.lied(now, seed, piece),
            Input::Head { fetch, head } => self.head(now, fetch, &head),
            Input::Delivered { fetch } => self.delivered(fetch),
            Input::Failed { fetch, words } => {
                if let Some(conn) = self.fetches.get(&fetch).copied() {
                    self.failed(now, conn, words, None);
                }
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.open_more(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        let waiting = self.servers.iter().filter(|server| self.is_running && !server.is_gone);
        waiting.filter_map(|server| server.waits_until).min().map(|at| (at, Reason::Retry))
    }
}
