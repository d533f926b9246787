//! The overlay: one thread that has the machine and the links between peers' keys.
//!
//! Links ride inside ordinary BitTorrent connections, as an extension (BEP 10) in the swarm of a small
//! torrent of its own, the meeting place ([`meeting`]). The shard that has this torrent carries frames to
//! and fro and knows nothing of them; this thread opens and seals them ([`side`]) and drives the machine.
//! Who is at the meeting place is found as in any swarm: DHT, trackers, peer exchange, own network.

mod asking;
mod fresh;
mod house;
mod identity;
mod limits;
mod meeting;
pub(crate) mod post;
mod side;

pub(crate) use identity::open as open_identity;
pub(crate) use meeting::Meeting;
pub(crate) use side::Figures;

use crate::blocks::Desk;
use crate::clock;
use crate::index;
use crate::session::shared::{Entry, Shared};
use crate::session::{Event, Find, StartError};
use crate::shard::Command;
use althing_base::machine::is_due;
use althing_base::{Seed, Sha1Digest};
use althing_bittorrent::InfoHashes;
use althing_bittorrent::swarm::ApplicationEvent;
use althing_index::IndexHit;
use althing_overlay::limits::STRANGER_WORK_BITS;
use althing_overlay::machine::{Config, Neighbours, Stats, Terms};
use althing_overlay::records::{Change, Draft, Record, Standing, stamp};
use althing_overlay::{Keys, NetworkKey, NodeId};
use althing_store::shelf::ShelfStore;
use asking::Asking;
use fresh::Fresh;
use house::House;
use limits::{CLOCK_EVERY, TOLD_PER_TURN, WAITING_BYTES_MAX};
use post::{Post, Written};
use side::{News, Side};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

/// What the thread is told. The queue has no bound of its own: frames are bounded by their bytes, what else
/// comes from the shard by its connections, and those who ask wait for answers.
enum Told {
    /// By the swarm of the meeting place.
    Swarm(ApplicationEvent),
    /// Somebody wants something.
    Request(Request),
    /// Who is at a key in the DHT; nobody at last.
    TermFound { id: u64, key: Sha1Digest, addrs: Vec<SocketAddr>, messages: u64 },
    /// What the index on disk has found.
    Consulted { ask: u64, hits: Vec<IndexHit> },
}

/// What the thread is asked.
pub(crate) enum Request {
    /// How it stands.
    Figures(oneshot::Sender<Figures>),
    /// All records that are held.
    Records(oneshot::Sender<Vec<Record>>),
    /// Sign this, so that it is newer than what there is of the same kind and slot.
    Sign(Box<Draft>, oneshot::Sender<Result<Record, String>>),
    /// Tell everybody. Answered when it is on the shelf.
    Publish(Box<Record>, oneshot::Sender<Result<(), String>>),
    /// A torrent is gone: if we told others of it, it is taken back.
    Withdraw(InfoHashes),
    /// Ask others for what a user looks for. Answered or dropped when nobody is asked any more.
    Find(Arc<Find>, oneshot::Sender<()>),
    /// Hold all that comes from now on against a search.
    Watch(Arc<Find>),
    /// The user has seen enough of the search of this number.
    StopFinding(u64),
    /// Something about mail.
    Mail(post::Request),
    /// Think so of an author.
    Regard(NodeId, Standing),
    /// End.
    Stop(oneshot::Sender<()>),
}

/// More frames wait than the thread may have waiting.
pub(crate) struct TooMuch;

/// The thread as others see it.
#[derive(Clone)]
pub(crate) struct Handle {
    node: NodeId,
    told: mpsc::UnboundedSender<Told>,
    /// Bytes of frames in the queue.
    waiting: Arc<AtomicUsize>,
    gauges: Arc<Gauges>,
}

/// Figures for the metrics, as they were after the last turn.
#[derive(Default)]
pub(crate) struct Gauges {
    neighbours: AtomicU64,
    links: AtomicU64,
    known: AtomicU64,
    records: AtomicU64,
    record_bytes: AtomicU64,
    payloads: AtomicU64,
    duplicates: AtomicU64,
    reconciled: AtomicU64,
    refused: AtomicU64,
    mail_carried: AtomicU64,
    mail_carried_bytes: AtomicU64,
    mail_sending: AtomicU64,
    mail_arrived: AtomicU64,
    mail_passed: AtomicU64,
    mail_dropped: AtomicU64,
}

impl Gauges {
    fn set(&self, stats: &Stats) {
        let set = |gauge: &AtomicU64, value: u64| gauge.store(value, Ordering::Relaxed);
        let neighbours = stats.views.outgoing + stats.views.incoming;
        set(&self.neighbours, neighbours as u64);
        set(&self.links, (neighbours + stats.views.pending) as u64);
        set(&self.known, stats.views.passive as u64);
        set(&self.records, stats.records as u64);
        set(&self.record_bytes, stats.record_bytes as u64);
        set(&self.payloads, stats.payloads);
        set(&self.duplicates, stats.duplicates);
        set(&self.reconciled, stats.reconciled);
        set(&self.refused, stats.refused);
        set(&self.mail_carried, stats.mail.carried as u64);
        set(&self.mail_carried_bytes, stats.mail.carried_bytes as u64);
        set(&self.mail_sending, stats.mail.sending as u64);
        set(&self.mail_arrived, stats.mail.arrived);
        set(&self.mail_passed, stats.mail.passed);
        set(&self.mail_dropped, stats.mail.dropped);
    }

    /// Name, meaning, whether it only grows, and value of each.
    pub(crate) fn metrics(&self) -> [(&'static str, &'static str, bool, u64); 15] {
        let get = |gauge: &AtomicU64| gauge.load(Ordering::Relaxed);
        [
            (
                "althing_overlay_neighbours",
                "Neighbours in the overlay.",
                false,
                get(&self.neighbours),
            ),
            ("althing_overlay_links", "Links to others in the overlay.", false, get(&self.links)),
            (
                "althing_overlay_known",
                "Others whom the overlay knows besides.",
                false,
                get(&self.known),
            ),
            ("althing_overlay_records", "Records that are held.", false, get(&self.records)),
            (
                "althing_overlay_record_bytes",
                "Bytes of records that are held.",
                false,
                get(&self.record_bytes),
            ),
            (
                "althing_overlay_payloads",
                "Records that came along the tree, be they new or not.",
                true,
                get(&self.payloads),
            ),
            (
                "althing_overlay_duplicates",
                "Records that came along the tree and were here already.",
                true,
                get(&self.duplicates),
            ),
            (
                "althing_overlay_reconciled",
                "Records that came by comparing with others.",
                true,
                get(&self.reconciled),
            ),
            ("althing_overlay_refused", "Records that were refused.", true, get(&self.refused)),
            (
                "althing_mail_carried",
                "Mails that are carried for others.",
                false,
                get(&self.mail_carried),
            ),
            (
                "althing_mail_carried_bytes",
                "Bytes of mail that is carried for others.",
                false,
                get(&self.mail_carried_bytes),
            ),
            (
                "althing_mail_sending",
                "Mails of ours that wait for their receivers.",
                false,
                get(&self.mail_sending),
            ),
            ("althing_mail_arrived", "Mails that have come for us.", true, get(&self.mail_arrived)),
            (
                "althing_mail_passed",
                "Envelopes that were passed on for others.",
                true,
                get(&self.mail_passed),
            ),
            (
                "althing_mail_dropped",
                "Envelopes that were dropped: too many on a link, no work, or no room.",
                true,
                get(&self.mail_dropped),
            ),
        ]
    }
}

impl Handle {
    /// Tells what has happened in the swarm of the meeting place.
    ///
    /// # Errors
    /// If it was a frame, and too many wait.
    pub(crate) fn tell(&self, event: ApplicationEvent) -> Result<(), TooMuch> {
        if let ApplicationEvent::Said { payload, .. } = &event {
            let before = self.waiting.fetch_add(payload.len(), Ordering::Relaxed);
            if before + payload.len() > WAITING_BYTES_MAX {
                self.waiting.fetch_sub(payload.len(), Ordering::Relaxed);
                return Err(TooMuch);
            }
        }
        // An error means that the thread has ended.
        let _ = self.told.send(Told::Swarm(event));
        Ok(())
    }

    /// Our name.
    pub(crate) fn node(&self) -> NodeId {
        self.node
    }

    /// Figures for the metrics.
    pub(crate) fn gauges(&self) -> &Gauges {
        &self.gauges
    }

    /// Whether there is nobody who could answer any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.told.is_closed()
    }

    /// Says something that is not answered.
    pub(crate) fn say(&self, request: Request) {
        let _ = self.told.send(Told::Request(request));
    }

    /// Asks something; the answer is an error if the thread has ended.
    pub(crate) fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> oneshot::Receiver<T> {
        let (reply, answer) = oneshot::channel();
        let _ = self.told.send(Told::Request(request(reply)));
        answer
    }
}

/// The thread before it runs.
pub(crate) struct Prepared {
    pub(crate) handle: Handle,
    told: mpsc::UnboundedReceiver<Told>,
}

/// What the thread works with.
pub(crate) struct Setup {
    pub(crate) shared: Weak<Shared>,
    /// The meeting place.
    pub(crate) entry: Arc<Entry>,
    pub(crate) keys: Keys,
    pub(crate) network: NetworkKey,
    pub(crate) is_super: bool,
    /// Whether it takes mail, and what it carries.
    pub(crate) mail: althing_overlay::mail::Config,
    /// What others ask is answered.
    pub(crate) answers: bool,
    /// The index on disk answers it, too.
    pub(crate) consults: bool,
    /// Which words the DHT names us for.
    pub(crate) terms: Terms,
    /// How many neighbours there are to be.
    pub(crate) neighbours: Neighbours,
    /// Whom the user has named.
    pub(crate) contacts: Vec<SocketAddr>,
    /// What lists of others say that are followed.
    pub(crate) blocks: Arc<Desk>,
    /// Where records are kept.
    pub(crate) store: ShelfStore,
    pub(crate) seed: Seed,
}

impl Prepared {
    /// `node` is our name.
    pub(crate) fn new(node: NodeId) -> Self {
        let (sender, told) = mpsc::unbounded_channel();
        let handle = Handle { node, told: sender, waiting: Arc::default(), gauges: Arc::default() };
        Prepared { handle, told }
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has none for us.
    pub(crate) fn start(self, setup: Setup) -> Result<std::thread::JoinHandle<()>, StartError> {
        let thread_error = |error| StartError::Thread { error };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(thread_error)?;
        let Prepared { handle, told } = self;
        // The sender is let go of, so that the thread ends with the session.
        let Handle { told: sender, waiting, gauges, .. } = handle;
        let later = Later(sender.downgrade());
        let house = House::new(setup.shared.clone(), sender.downgrade());
        drop(sender);
        let thread = std::thread::Builder::new().name("overlay".to_owned());
        let run = move || {
            let _watch = Watch(setup.shared.clone());
            runtime.block_on(run(setup, told, waiting, &gauges, &later, house));
        };
        thread.spawn(run).map_err(thread_error)
    }
}

/// Says so if the thread panics: the others go on, and nobody would know.
struct Watch(Weak<Shared>);

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let sentence = "the overlay has failed: nothing is found or published until a restart; that is a \
                            mistake in the program: please report it, and restart it";
            tracing::error!("{sentence}");
            if let Some(shared) = self.0.upgrade() {
                shared.emit(Event::Note { id: None, sentence: sentence.into() });
            }
        }
    }
}

/// Runs until it is told to stop, or the session is gone.
async fn run(
    setup: Setup,
    mut told: mpsc::UnboundedReceiver<Told>,
    waiting: Arc<AtomicUsize>,
    gauges: &Gauges,
    later: &Later,
    mut house: House,
) {
    let Setup {
        shared,
        entry,
        keys,
        network,
        is_super,
        mail,
        answers,
        consults,
        terms,
        neighbours,
        contacts,
        blocks,
        mut store,
        seed,
    } = setup;
    let config = Config::new(seed.fork("machine", 0), keys.node(), network);
    let config = Config { is_super, mail, answers, consults, terms, neighbours, ..config };
    let mut post = Post::new(keys.clone(), network, seed.fork("post", 0), mail.is_home);
    let mut side = Side::new(clock::now(), keys, config, contacts, seed);
    let mut asking = Asking::new(seed.fork("asking", 0));
    let mut fresh = Fresh::default();
    let mut has_warned = false;
    let mut trouble = Trouble::default();
    for author in blocks.authors() {
        side.regard(author, Standing::Known);
    }
    restore(&mut side, &mut post, &mut store);
    let mut rules = blocks.changes();
    side.block_authors(&blocks.filter());
    let mut batch = Vec::with_capacity(TOLD_PER_TURN);
    let mut is_stopping = None;
    let mut tick = tokio::time::interval(CLOCK_EVERY);
    loop {
        tokio::select! {
            count = told.recv_many(&mut batch, TOLD_PER_TURN) => if count == 0 {
                return;
            },
            () = clock::sleep_until(side.deadline().into_iter().chain(fresh.deadline()).min()) => {}
            _ = tick.tick() => {
                let Some(shared) = shared.upgrade() else { return };
                side.clock(clock::now(), clock::unix_now(), shared.told_port());
                let is_here = |hash| shared.torrents.by_hash(hash).is_some();
                if let Some(record) = side.renewal(clock::unix_now(), is_here) {
                    later.publish(record);
                }
                if let Some(off_s) = side.stats().clock_off_s.filter(|_| !has_warned) {
                    has_warned = true;
                    warn_of_clock(&shared, off_s);
                }
                asking.tick(clock::now(), &mut side);
                house.tick();
                if rules.has_changed().is_ok_and(|has| has) {
                    rules.mark_unchanged();
                    side.block_authors(&blocks.filter());
                }
                post.tick(clock::unix_now());
                // What is lost in a power cut, others have.
                flush(&store, |result| {
                    if let Err(error) = result {
                        warn!("{error}");
                    }
                });
            }
        }
        let now = clock::now();
        let mut published = Vec::new();
        for told in batch.drain(..) {
            match told {
                Told::TermFound { id, key, addrs, messages } => {
                    asking.looked_up(id, messages);
                    side.term_found(now, id, key, addrs);
                }
                Told::Consulted { ask, hits } => {
                    side.consulted(now, clock::unix_now(), ask, hits);
                }
                Told::Swarm(event) => {
                    if let ApplicationEvent::Said { payload, .. } = &event {
                        waiting.fetch_sub(payload.len(), Ordering::Relaxed);
                    }
                    side.event(now, event);
                }
                // Who asked may have given up waiting, here and below.
                Told::Request(Request::Figures(reply)) => drop(reply.send(side.figures())),
                Told::Request(Request::Records(reply)) => drop(reply.send(side.records())),
                Told::Request(Request::Sign(draft, reply)) => {
                    drop(reply.send(side.sign(clock::unix_now(), *draft)));
                }
                Told::Request(Request::Publish(record, reply)) => {
                    match side.publish(now, *record) {
                        // It is said when it will be said again after a power cut.
                        Ok(()) => published.push(reply),
                        Err(reason) => drop(reply.send(Err(reason))),
                    }
                }
                Told::Request(Request::Withdraw(hashes)) => {
                    if let Some(record) = side.withdrawal(clock::unix_now(), hashes) {
                        later.publish(record);
                    }
                }
                Told::Request(Request::Find(find, done)) => {
                    asking.ask(now, &mut side, find, Some(done));
                }
                Told::Request(Request::Watch(find)) => asking.watch(now, find),
                Told::Request(Request::StopFinding(find)) => asking.stop(now, &mut side, find),
                Told::Request(Request::Mail(request)) => {
                    post.request(now, clock::unix_now(), request, &mut side);
                }
                Told::Request(Request::Regard(author, standing)) => side.regard(author, standing),
                Told::Request(Request::Stop(done)) => {
                    is_stopping = Some(done);
                }
            }
        }
        if is_due(now, side.deadline()) {
            side.timeout(now);
        }
        while let Some(news) = side.poll_news() {
            match news {
                News::FindTerm { id, key } => house.find_term(id, key),
                News::AnnounceTerms(keys) => house.announce(keys),
                News::Consult { ask, query } => house.consult(ask, *query),
                of_a_question => asking.hear(of_a_question, &side),
            }
        }
        let Some(shared) = shared.upgrade() else { return };
        let written = post.turn(now, clock::unix_now(), &mut side, &mut store);
        let waiting = (published, written);
        let heeding = (&*blocks, shared.index.as_ref());
        let mut hold = |side: &Side, record: &Record| {
            asking.notice(record, side);
            fresh.note(now, record);
        };
        let kept = keep(&mut side, &mut store, &mut hold, heeding, waiting, later);
        if let Some(error) = trouble.changed(kept) {
            warn_of_disk(&shared, &error);
        }
        if let Some(event) = fresh.take(now) {
            shared.emit(event);
        }
        gauges.set(&side.stats());
        while let Some(wish) = side.poll_wish() {
            shared.send(&entry, Command::Application(entry.key, wish));
        }
        if let Some(done) = is_stopping.take() {
            drop(shared);
            if let Err(error) = store.flush().run() {
                warn!("{error}");
            }
            // The folder is free from here on.
            drop(store);
            let _ = done.send(());
            return;
        }
    }
}

/// Tells the user that his clock seems to be wrong.
fn warn_of_clock(shared: &Shared, off_s: i64) {
    let minutes = off_s.unsigned_abs() / 60;
    let what = if off_s > 0 {
        "behind those of others in the overlay: what they say now is not taken here, and what is said here may be \
         taken for old"
    } else {
        "ahead of those of others in the overlay: what is said here they do not take, and what they say may be taken \
         for old here"
    };
    let sentence =
        format!("this computer's clock seems to be {minutes} min {what}; set the clock right");
    warn!("{sentence}");
    shared.emit(Event::Note { id: None, sentence: sentence.into() });
}

/// The thread itself, as those reach it who work for it.
struct Later(mpsc::WeakUnboundedSender<Told>);

impl Later {
    /// Publishes a record of ours as soon as a stamp has been found for it, which other threads do.
    fn publish(&self, record: Record) {
        let sender = self.0.clone();
        tokio::task::spawn_blocking(move || {
            let Some(record) = stamped(&record) else { return };
            let (reply, _) = oneshot::channel();
            if let Some(sender) = sender.upgrade() {
                // An error means that the thread has ended.
                let _ = sender.send(Told::Request(Request::Publish(Box::new(record), reply)));
            }
        });
    }
}

/// A record with the work that others ask of those whom they do not know: a second or so of one core.
pub(crate) fn stamped(record: &Record) -> Option<Record> {
    let nonce = stamp::find(&record.id(), STRANGER_WORK_BITS, 0, u64::MAX)?;
    Some(record.with_nonce(nonce))
}

/// Takes up what the last run has left.
fn restore(side: &mut Side, post: &mut Post, store: &mut ShelfStore) {
    let (now, unix) = (clock::now(), clock::unix_now());
    side.clock(now, unix, None);
    match store.load() {
        Ok(loaded) => {
            if loaded.damaged > 0 {
                warn!(damaged = loaded.damaged, "some of what the overlay kept makes no sense");
            }
            side.restore(now, unix, loaded, store);
        }
        Err(error) => warn!("{error}"),
    }
    match store.load_mail() {
        Ok(loaded) => post.restore(now, unix, loaded, side),
        Err(error) => warn!("{error}"),
    }
}

/// Writes down what has changed on the shelf and of mail; those who wait for any of it hear when it lasts.
fn keep(
    side: &mut Side,
    store: &mut ShelfStore,
    hold: &mut impl FnMut(&Side, &Record),
    (blocks, index): (&Desk, Option<&index::Handle>),
    (published, mail): (Vec<oneshot::Sender<Result<(), String>>>, Written),
    later: &Later,
) -> Result<(), String> {
    while let Some(change) = side.poll_change() {
        if let Change::Hold(record) = &change {
            hold(side, record);
            blocks.heed(record);
            side.block_author(&blocks.filter(), record.author());
        }
        if let Some(index) = index {
            index.change(&change);
        }
        store.note(change);
    }
    let written = store.write().map_err(|error| error.to_string());
    let outcome = written.clone();
    if published.is_empty() && mail.is_empty() {
        return outcome;
    }
    let sender = later.0.clone();
    let tell = move |result: Result<(), String>| {
        published.into_iter().for_each(|reply| drop(reply.send(result.clone())));
        if let Some(sender) = sender.upgrade().filter(|_| !mail.is_empty()) {
            let told = post::Request::Written(mail, result.is_ok());
            // An error means that the thread has ended.
            let _ = sender.send(Told::Request(Request::Mail(told)));
        }
    };
    match written {
        Ok(()) => flush(store, tell),
        Err(error) => tell(Err(error)),
    }
    outcome
}

/// Whether what there is was written down the last time.
#[derive(Default)]
struct Trouble(bool);

impl Trouble {
    /// The error, if it is one and none was before.
    fn changed(&mut self, outcome: Result<(), String>) -> Option<String> {
        let had = std::mem::replace(&mut self.0, outcome.is_err());
        outcome.err().filter(|_| !had)
    }
}

/// Tells the user that what is heard does not last.
fn warn_of_disk(shared: &Shared, error: &str) {
    let sentence = format!(
        "what the overlay hears is not written down: {error}; until there is room it is kept in memory, and \
         after a restart it has to be had from others again"
    );
    warn!("{sentence}");
    shared.emit(Event::Note { id: None, sentence: sentence.into() });
}

/// Makes what was written last, on another thread, and says how it went.
fn flush(store: &ShelfStore, then: impl FnOnce(Result<(), String>) + Send + 'static) {
    let flush = store.flush();
    tokio::task::spawn_blocking(move || then(flush.run().map_err(|error| error.to_string())));
}
