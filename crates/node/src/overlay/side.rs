//! Links and the machine, without threads or clocks: what the swarm of the meeting place says goes in, and
//! what is wished of it comes out.

use super::limits::{
    COMING_MAX, CRAWLED, CRAWLED_LIFETIME_S, HANDSHAKE_WITHIN, LAPSED_MAX, LINKS_MAX,
    LINKS_MAX_SUPER,
};
use althing_base::machine::is_due;
use althing_base::{Instant, Machine as _, Seed, Sha1Digest, UnixTime};
use althing_bittorrent::InfoHashes;
use althing_bittorrent::swarm::{ApplicationEvent, ApplicationWish, ConnId, Direction};
use althing_index::{IndexHit, Query, Source};
use althing_overlay::blocks::{Filter, Subject};
use althing_overlay::io::{CloseReason, Cost, Find, Hit, Input, LinkId, Output, Page, What};
use althing_overlay::limits::CREATED_AHEAD_MAX_S;
use althing_overlay::link::{Event, Link};
use althing_overlay::machine::{Config, Overlay, Stats};
use althing_overlay::mail::io::{Told, Wish};
use althing_overlay::records::{
    Body, Change, Draft, InfoHash, Key, Kind, Listing, Record, Refused, Slot, Standing, Text, Why,
};
use althing_overlay::wire::Message;
use althing_overlay::{Keys, NetworkKey, NodeId};
use althing_store::shelf::{Loaded, ShelfStore};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use tracing::{debug, trace};

/// How the overlay stands.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    /// Our name.
    pub(crate) node: NodeId,
    pub(crate) stats: Stats,
    /// Links, those included that are no neighbours'.
    pub(crate) links: Vec<LinkFigures>,
}

/// A link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkFigures {
    pub(crate) node: NodeId,
    pub(crate) addr: SocketAddr,
    /// We called.
    pub(crate) outgoing: bool,
    pub(crate) since: Instant,
}

/// How far a link is.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Coming,
    Up { id: LinkId, peer: NodeId },
}

/// A connection on which a link rides.
struct Wire {
    link: Link,
    stage: Stage,
    addr: SocketAddr,
    outgoing: bool,
    since: Instant,
}

/// What the machine has to say that is for others in the house.
pub(super) enum News {
    /// There is an answer.
    Found { id: u64, hit: Box<Hit> },
    /// Nobody is asked any more.
    Searched { id: u64, cost: Cost },
    /// The DHT is to be asked who is at a key.
    FindTerm { id: u64, key: Sha1Digest },
    /// The DHT is to name us at these keys and no others.
    AnnounceTerms(Vec<Sha1Digest>),
    /// The index on disk is to be looked into.
    Consult { ask: u64, query: Box<Query> },
}

/// See the [module](self).
pub(super) struct Side {
    overlay: Overlay,
    keys: Keys,
    network: NetworkKey,
    links_max: usize,
    seed: Seed,
    /// Links that there have been.
    count: u64,
    wires: BTreeMap<ConnId, Wire>,
    conns: BTreeMap<LinkId, ConnId>,
    /// Calls under way, and who should answer.
    calls: BTreeMap<SocketAddr, Option<NodeId>>,
    /// Whom the user has named.
    contacts: Vec<SocketAddr>,
    wishes: VecDeque<ApplicationWish>,
    /// What outputs have caused, to be handed in when all outputs are done.
    inputs: VecDeque<Input>,
    /// What has changed on the shelf.
    changes: VecDeque<Change>,
    /// What has become of questions.
    news: VecDeque<News>,
    /// What is to be done about mail.
    mail: VecDeque<Wish>,
    /// Records of ours whose time was over before they were renewed, or has not come.
    lapsed: Vec<Record>,
    /// Records of others on disk that are ahead of our clock: it is that which is behind.
    is_behind: bool,
    /// The port that the machine was told.
    port: Option<u16>,
}

/// Whether a record was created so long from now that nobody takes it whose clock is as ours.
fn is_ahead(record: &Record, unix: UnixTime) -> bool {
    record.created().0.saturating_sub(unix.0) > CREATED_AHEAD_MAX_S
}

impl Side {
    pub(super) fn new(
        now: Instant,
        keys: Keys,
        config: Config,
        contacts: Vec<SocketAddr>,
        seed: Seed,
    ) -> Self {
        let (network, is_super) = (config.network, config.is_super);
        let mut side = Side {
            overlay: Overlay::new(now, config),
            keys,
            network,
            links_max: if is_super { LINKS_MAX_SUPER } else { LINKS_MAX },
            seed: seed.fork("links", 0),
            count: 0,
            wires: BTreeMap::new(),
            conns: BTreeMap::new(),
            calls: BTreeMap::new(),
            contacts,
            wishes: VecDeque::new(),
            inputs: VecDeque::new(),
            changes: VecDeque::new(),
            news: VecDeque::new(),
            mail: VecDeque::new(),
            lapsed: Vec::new(),
            is_behind: false,
            port: None,
        };
        // It has looked for others when it was made.
        side.drain(now);
        side
    }

    /// What the clock on the wall says, and at which port others can call.
    pub(super) fn clock(&mut self, now: Instant, unix: UnixTime, port: Option<u16>) {
        self.input(now, Input::Clock(unix));
        if port != self.port {
            self.port = port;
            self.input(now, Input::Listening(port));
        }
    }

    /// When to call [`timeout`](Self::timeout).
    pub(super) fn deadline(&self) -> Option<Instant> {
        let coming = self.wires.values().filter(|wire| matches!(wire.stage, Stage::Coming));
        let late = coming.map(|wire| wire.since + HANDSHAKE_WITHIN);
        late.chain(self.overlay.poll_timeout().map(|(at, _)| at)).min()
    }

    pub(super) fn timeout(&mut self, now: Instant) {
        let is_late = |wire: &Wire| {
            matches!(wire.stage, Stage::Coming) && now.since(wire.since) >= HANDSHAKE_WITHIN
        };
        let late: Vec<ConnId> =
            self.wires.iter().filter(|(_, wire)| is_late(wire)).map(|(conn, _)| *conn).collect();
        for conn in late {
            self.part(now, conn, "no link came about");
        }
        if is_due(now, self.overlay.poll_timeout().map(|(at, _)| at)) {
            self.overlay.handle_timeout(now);
            self.drain(now);
        }
    }

    /// Puts back on the shelf what the last run has left, and notes what of it is over. To be called after
    /// the first [`clock`](Self::clock).
    pub(super) fn restore(
        &mut self,
        now: Instant,
        unix: UnixTime,
        loaded: Loaded,
        store: &mut ShelfStore,
    ) {
        let shelf = self.overlay.shelf_mut();
        for memory in loaded.memories {
            shelf.recall(unix, memory);
        }
        let me = self.keys.node();
        for raw in loaded.records {
            let key = raw.key();
            // The disk is as good as a stranger: what it says is checked again.
            let Ok(record) = raw.check(&self.network, NodeId::has_signed) else {
                store.let_go(key);
                continue;
            };
            match shelf.admit(unix, &record) {
                Ok(_) | Err(Refused::Held) => {}
                // A clock that was set back is no reason to throw anything away; what was signed by one that
                // was ahead is said anew.
                Err(Refused::Ahead { .. }) => match record.author() == me {
                    true if self.lapsed.len() < LAPSED_MAX => self.lapsed.push(record),
                    true => {}
                    false => self.is_behind = true,
                },
                Err(refused) => {
                    // Nobody renewed it while this peer was off.
                    let is_over = matches!(refused, Refused::Expired);
                    if is_over && record.author() == me && self.lapsed.len() < LAPSED_MAX {
                        self.lapsed.push(record);
                    }
                    store.let_go(key);
                }
            }
        }
        let mut offered = Vec::new();
        while let Some(change) = shelf.poll_change() {
            match change {
                // It is there already.
                Change::Hold(record) if record.author() == me => offered.push(record),
                Change::Hold(_) => {}
                other => store.note(other),
            }
        }
        self.input(now, Input::Clock(unix));
        for record in offered {
            self.input(now, Input::Offer(Box::new(record)));
        }
    }

    /// Says how an author is regarded, but for ourselves.
    pub(super) fn regard(&mut self, author: NodeId, standing: Standing) {
        if author != self.keys.node() {
            self.overlay.shelf_mut().regard(author, standing);
        }
    }

    /// What those say whom the user has blocked gives way first, of all authors of whom anything is here.
    pub(super) fn block_authors(&mut self, filter: &Filter) {
        let authors: BTreeSet<NodeId> =
            self.overlay.shelf().records().map(|record| record.author()).collect();
        authors.into_iter().for_each(|author| self.block_author(filter, author));
    }

    /// The same, of one author. Who is known for another reason stays so.
    pub(super) fn block_author(&mut self, filter: &Filter, author: NodeId) {
        let shelf = self.overlay.shelf_mut();
        let is_blocked = filter.judge(&Subject::new().author(author)).is_some();
        match (shelf.standing(&author), is_blocked) {
            (Standing::Stranger, true) => shelf.regard(author, Standing::Blocked),
            (Standing::Blocked, false) => shelf.regard(author, Standing::Stranger),
            _ => {}
        }
    }

    /// What has changed on the shelf.
    pub(super) fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// What has become of questions.
    pub(super) fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// Asks others.
    pub(super) fn find(&mut self, now: Instant, question: Find) {
        self.input(now, Input::Find(Box::new(question)));
    }

    /// Asks nobody any more.
    pub(super) fn stop_finding(&mut self, now: Instant, id: u64) {
        self.input(now, Input::StopFinding { id });
    }

    /// The DHT has answered.
    pub(super) fn term_found(
        &mut self,
        now: Instant,
        id: u64,
        key: Sha1Digest,
        addrs: Vec<SocketAddr>,
    ) {
        self.input(now, Input::TermFound { id, key, addrs });
    }

    /// The index on disk has found something for somebody else: each with a listing, for others want it
    /// signed: one that stands on the shelf, or, of what was met in the DHT, one of our own.
    pub(super) fn consulted(
        &mut self,
        now: Instant,
        unix: UnixTime,
        ask: u64,
        found: Vec<IndexHit>,
    ) {
        let me = self.keys.node();
        let hits = found.into_iter().filter_map(|hit| {
            let slot = slot_of(hit.hash);
            // Documents are those of our own torrents.
            let held = hit.authors.iter().chain([&me]).find_map(|author| {
                let key = Key { author: *author, kind: Kind::LISTING, slot };
                self.overlay.shelf().newest(&key).filter(|record| !record.is_withdrawal())
            });
            let record = match held {
                Some(record) => record.clone(),
                None if hit.source == Source::Crawled => self.crawled(unix, &hit)?,
                None => return None,
            };
            let page = hit.page.map(|page| Page {
                path: Text::cleaned(&page.path),
                snippet: Text::cleaned(&page.snippet),
            });
            Some(Hit { record, page, from: None, is_doubtful: false })
        });
        let hits = hits.collect();
        self.input(now, Input::Consulted { ask, hits });
    }

    /// A listing of something that was met in the DHT. It is an answer, which nobody keeps, and says by a tag
    /// that we only know of it.
    fn crawled(&self, unix: UnixTime, hit: &IndexHit) -> Option<Record> {
        let listing = Listing::new(hit.hash, Text::cleaned(&hit.name), hit.size, hit.files).ok()?;
        let listing = listing.with_content(hit.content).with_tags(vec![Text::cleaned(CRAWLED)]);
        let draft = Draft::listing(listing, unix, CRAWLED_LIFETIME_S);
        draft.sign(&self.keys, &self.network).ok()
    }

    /// Where somebody can be called with whom there is a link.
    pub(super) fn callable(&self, node: &NodeId) -> Vec<SocketAddr> {
        let is_it = |wire: &&Wire| {
            wire.outgoing && matches!(wire.stage, Stage::Up { peer, .. } if peer == *node)
        };
        self.wires.values().filter(is_it).map(|wire| wire.addr).collect()
    }

    /// Something has become of mail.
    pub(super) fn mail(&mut self, now: Instant, told: Told) {
        self.input(now, Input::Mail(Box::new(told)));
    }

    /// What is to be done about mail.
    pub(super) fn poll_mail(&mut self) -> Option<Wish> {
        self.mail.pop_front()
    }

    /// What is wished of the swarm.
    pub(super) fn poll_wish(&mut self) -> Option<ApplicationWish> {
        self.wishes.pop_front()
    }

    pub(super) fn stats(&self) -> Stats {
        self.overlay.stats()
    }

    pub(super) fn figures(&self) -> Figures {
        let links = self.wires.values().filter_map(|wire| match wire.stage {
            Stage::Coming => None,
            Stage::Up { peer, .. } => {
                let Wire { addr, outgoing, since, .. } = *wire;
                Some(LinkFigures { node: peer, addr, outgoing, since })
            }
        });
        Figures { node: self.keys.node(), stats: self.overlay.stats(), links: links.collect() }
    }

    pub(super) fn records(&self) -> Vec<Record> {
        self.overlay.shelf().records().cloned().collect()
    }

    /// Signs something, so that it is newer than what there is of the same kind and slot.
    pub(super) fn sign(&mut self, unix: UnixTime, draft: Draft) -> Result<Record, String> {
        let key = Key { author: self.keys.node(), kind: draft.kind, slot: draft.slot };
        let before = self.overlay.shelf().newest(&key);
        if before.is_some_and(|before| is_ahead(before, unix)) && self.trusts_clock(unix) {
            // Nobody else has taken that, nor would anybody what is newer.
            self.overlay.shelf_mut().disown(&key);
        }
        let lifetime = draft.expires.0.saturating_sub(draft.created.0);
        let (created, seq) = match self.overlay.shelf().newest(&key) {
            Some(before) => Draft::after(before, unix),
            None => (unix, 0),
        };
        let expires = UnixTime(created.0.saturating_add(lifetime));
        let draft = Draft { created, seq, expires, ..draft };
        draft.sign(&self.keys, &self.network).map_err(|error| error.to_string())
    }

    /// Whether nothing speaks for our clock being behind.
    fn trusts_clock(&self, unix: UnixTime) -> bool {
        let me = self.keys.node();
        let is_others = |record: &Record| record.author() != me && is_ahead(record, unix);
        !self.is_behind
            && self.overlay.stats().clock_off_s.is_none_or(|off_s| off_s <= 0)
            && !self.overlay.shelf().records().any(is_others)
    }

    /// Whether there is somebody by whom that would have shown.
    fn has_company(&self) -> bool {
        let views = self.overlay.stats().views;
        views.outgoing + views.incoming > 0
    }

    /// The record of ours that expires next, anew, if half of its time is over; not if it is of a torrent
    /// that is not here any more.
    pub(super) fn renewal(
        &mut self,
        unix: UnixTime,
        is_here: impl Fn(Sha1Digest) -> bool,
    ) -> Option<Record> {
        let is_true = |record: &Record| match record.body() {
            Body::Withdrawn => false,
            Body::Listing(listing) => short_hashes(listing.info_hash()).any(&is_here),
            _ => true,
        };
        // What is ahead of the clock was signed while that was wrong.
        let is_wrong = self.has_company() && self.trusts_clock(unix);
        let is_due = |record: &&Record| {
            let (created, expires) = (record.created().0, record.expires().0);
            let is_old = unix.0 >= created + (expires - created) / 2;
            (is_old || is_wrong && is_ahead(record, unix)) && is_true(record)
        };
        let shelf = self.overlay.shelf();
        let is_missing = |record: &Record| {
            let may_be = is_wrong || !is_ahead(record, unix);
            may_be && is_true(record) && shelf.newest(&record.key()).is_none()
        };
        if let Some(at) = self.lapsed.iter().position(is_missing) {
            let record = self.lapsed.swap_remove(at);
            return self.sign(unix, Draft::of(&record)).ok();
        }
        let me = self.keys.node();
        let ours = self.overlay.shelf().records_of(&me);
        let draft = Draft::of(ours.filter(is_due).min_by_key(|record| record.expires())?);
        self.sign(unix, draft).ok()
    }

    /// What takes back that we have a torrent, if we have said so.
    pub(super) fn withdrawal(&self, unix: UnixTime, hashes: InfoHashes) -> Option<Record> {
        let gone: Vec<Sha1Digest> = hashes.short_hashes().collect();
        let is_of_it = |record: &&Record| match record.body() {
            Body::Listing(listing) => {
                short_hashes(listing.info_hash()).any(|hash| gone.contains(&hash))
            }
            _ => false,
        };
        let me = self.keys.node();
        let record = self.overlay.shelf().records_of(&me).find(is_of_it)?;
        Draft::withdrawal(record, unix).sign(&self.keys, &self.network).ok()
    }

    /// Puts a record of ours on the shelf and tells everybody.
    pub(super) fn publish(&mut self, now: Instant, record: Record) -> Result<(), String> {
        let id = record.id();
        self.input(now, Input::Publish(Box::new(record)));
        match self.overlay.shelf().holds(&id) {
            true => Ok(()),
            false => Err("there is no room for it, or something newer is known".to_owned()),
        }
    }

    /// Something has happened in the swarm.
    pub(super) fn event(&mut self, now: Instant, event: ApplicationEvent) {
        match event {
            ApplicationEvent::Met { conn, addr, direction, called } => {
                self.met(now, conn, addr, direction, called);
            }
            ApplicationEvent::Said { conn, payload } => self.said(now, conn, &payload),
            ApplicationEvent::Gone { conn } => {
                if let Some(wire) = self.wires.remove(&conn) {
                    self.gone(now, &wire);
                }
            }
            ApplicationEvent::NotReached { addr } => {
                self.calls.remove(&addr);
                self.input(now, Input::DialFailed { addr });
            }
            ApplicationEvent::Found { peers } => self.input(now, Input::Contacts(peers)),
        }
    }

    fn met(
        &mut self,
        now: Instant,
        conn: ConnId,
        addr: SocketAddr,
        direction: Direction,
        called: bool,
    ) {
        // Through a hole either may have opened the connection: it is his who called.
        let expected = called.then(|| self.calls.remove(&addr)).flatten();
        let outgoing = expected.is_some();
        let coming = |wire: &&Wire| matches!(wire.stage, Stage::Coming) && !wire.outgoing;
        let crowded = !outgoing && self.wires.values().filter(coming).count() >= COMING_MAX;
        // Whom the machine did not call is none whom it chose, whoever opened the connection.
        if crowded || self.wires.len() >= self.links_max {
            debug!(%addr, outgoing, ?direction, "no place for another link");
            self.wishes.push_back(ApplicationWish::Part { conn });
            if called {
                self.input(now, Input::DialFailed { addr });
            }
            return;
        }
        let seed = self.seed.fork("link", self.count);
        self.count += 1;
        let link = if outgoing {
            let (link, first) = Link::initiate(&self.keys, self.network, expected.flatten(), seed);
            self.say(conn, first);
            link
        } else {
            Link::respond(&self.keys, self.network, seed)
        };
        self.wires.insert(conn, Wire { link, stage: Stage::Coming, addr, outgoing, since: now });
    }

    /// A frame has come.
    fn said(&mut self, now: Instant, conn: ConnId, frame: &[u8]) {
        let Some(wire) = self.wires.get_mut(&conn) else { return };
        let event = match wire.link.heed(frame) {
            Ok(event) => event,
            Err(error) => {
                debug!(addr = %wire.addr, %error, "a link ends");
                self.part(now, conn, "what came was no frame of the link");
                return;
            }
        };
        match event {
            Event::Answer(frame) => {
                if wire.outgoing && !wire.link.has_called() {
                    debug!(addr = %wire.addr, "both have called, and the other's call goes on");
                }
                self.say(conn, frame);
            }
            Event::Stands => debug!(addr = %wire.addr, "both have called, and our call goes on"),
            Event::Up { peer, answer } => {
                let link = LinkId(self.count);
                self.count += 1;
                wire.stage = Stage::Up { id: link, peer };
                // If both have called, it is his whose call has gone on.
                let was_called = std::mem::replace(&mut wire.outgoing, wire.link.has_called());
                let (addr, outgoing) = (wire.addr, wire.outgoing);
                if let Some(frame) = answer {
                    self.say(conn, frame);
                }
                self.conns.insert(link, conn);
                debug!(%peer, %addr, outgoing, "a link stands");
                self.input(now, Input::LinkUp { link, node: peer, addr, outgoing });
                if was_called && !outgoing {
                    // The machine has called there, and nothing else will come of that.
                    self.input(now, Input::DialFailed { addr });
                }
            }
            Event::Message(bytes) => {
                let Stage::Up { id: link, .. } = wire.stage else { return };
                match Message::parse(&bytes) {
                    Ok(message) => {
                        trace!(link = link.0, ?message, "heard");
                        self.input(now, Input::Message { link, message });
                    }
                    Err(error) => {
                        debug!(link = link.0, %error, "what came over a link is no message");
                        self.input(now, Input::Garbage { link });
                    }
                }
            }
        }
    }

    /// Ends a connection from our side.
    fn part(&mut self, now: Instant, conn: ConnId, why: &'static str) {
        if let Some(wire) = self.wires.remove(&conn) {
            debug!(addr = %wire.addr, why, "parting");
            self.wishes.push_back(ApplicationWish::Part { conn });
            self.gone(now, &wire);
        }
    }

    /// A connection is gone: the machine hears of it.
    fn gone(&mut self, now: Instant, wire: &Wire) {
        match wire.stage {
            Stage::Up { id: link, .. } => {
                self.conns.remove(&link);
                self.input(now, Input::LinkDown { link });
            }
            Stage::Coming if wire.outgoing => {
                self.input(now, Input::DialFailed { addr: wire.addr });
            }
            Stage::Coming => {}
        }
    }

    fn say(&mut self, conn: ConnId, payload: Bytes) {
        self.wishes.push_back(ApplicationWish::Say { conn, payload });
    }

    fn input(&mut self, now: Instant, input: Input) {
        self.overlay.handle_input(now, input);
        self.drain(now);
    }

    /// Does all that the machine asks for, then hands in what that has caused.
    fn drain(&mut self, now: Instant) {
        loop {
            while let Some(output) = self.overlay.poll_output() {
                self.perform(output);
            }
            match self.inputs.pop_front() {
                Some(input) => self.overlay.handle_input(now, input),
                None => return,
            }
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Send { link, message } => {
                let Some(conn) = self.conns.get(&link).copied() else { return };
                let Some(wire) = self.wires.get_mut(&conn) else { return };
                trace!(link = link.0, ?message, "say");
                match wire.link.seal(&message.encode()) {
                    Ok(frame) => self.say(conn, frame),
                    Err(error) => {
                        debug!(link = link.0, %error, "a message cannot be sent");
                        self.end(link, conn);
                        self.inputs.push_back(Input::LinkDown { link });
                    }
                }
            }
            Output::Dial { addr, node } => {
                self.calls.insert(addr, node);
                self.wishes.push_back(ApplicationWish::Call { addr });
            }
            Output::Close { link, reason } => self.close(link, reason),
            Output::NeedContacts => {
                self.wishes.push_back(ApplicationWish::FindPeers);
                if !self.contacts.is_empty() {
                    self.inputs.push_back(Input::Contacts(self.contacts.clone()));
                }
            }
            Output::Shelf(change) => {
                self.follow(&change);
                self.changes.push_back(*change);
            }
            Output::Found { id, hit } => self.news.push_back(News::Found { id, hit }),
            Output::Searched { id, cost } => self.news.push_back(News::Searched { id, cost }),
            Output::FindTerm { id, key } => self.news.push_back(News::FindTerm { id, key }),
            Output::Mail(wish) => self.mail.push_back(*wish),
            Output::Consult { ask, words, what, wanted } => {
                let what = match what {
                    What::Any => althing_index::What::Any,
                    What::Files => althing_index::What::Files,
                    What::Pages => althing_index::What::Pages,
                };
                let query = Query::new(&words.join(" ")).for_what(what).wanted(wanted.into());
                let query = Box::new(query);
                self.news.push_back(News::Consult { ask, query });
            }
            Output::AnnounceTerms(keys) => self.news.push_back(News::AnnounceTerms(keys)),
        }
    }

    /// What of ours is published is offered to those who look for it, and no longer when it is taken back.
    fn follow(&mut self, change: &Change) {
        let me = self.keys.node();
        match change {
            Change::Hold(record) if record.author() == me => {
                self.inputs.push_back(Input::Offer(Box::new(record.clone())));
            }
            Change::Drop(record, Why::Expired)
                if record.author() == me
                    && !record.is_withdrawal()
                    && self.lapsed.len() < LAPSED_MAX =>
            {
                self.lapsed.push(record.clone());
            }
            _ => {}
        }
    }

    fn close(&mut self, link: LinkId, reason: CloseReason) {
        let Some(conn) = self.conns.get(&link).copied() else { return };
        debug!(link = link.0, ?reason, "a link is closed");
        self.end(link, conn);
    }

    fn end(&mut self, link: LinkId, conn: ConnId) {
        self.conns.remove(&link);
        self.wires.remove(&conn);
        self.wishes.push_back(ApplicationWish::Part { conn });
    }
}

/// Where a listing of a torrent stands.
fn slot_of(hash: InfoHash) -> Slot {
    let mut slot = [0; 32];
    match (hash.v1(), hash.v2()) {
        (_, Some(v2)) => slot = v2.0,
        (Some(v1), None) => slot[..v1.0.len()].copy_from_slice(&v1.0),
        (None, None) => {}
    }
    Slot(slot)
}

/// The names that a torrent has in handshakes (BEP 3, BEP 52).
fn short_hashes(hash: InfoHash) -> impl Iterator<Item = Sha1Digest> {
    let v2 = hash.v2().and_then(|v2| Sha1Digest::from_slice(&v2.0[..20]));
    hash.v1().into_iter().chain(v2)
}

#[cfg(test)]
mod tests;
