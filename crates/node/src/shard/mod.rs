//! A shard: one thread with an event loop of its own, which owns the swarms of some torrents, all
//! connections to their peers and the router between them. Torrents are dealt to shards by their
//! info-hash; nothing but commands and events crosses from one to another.
//!
//! Everything on the thread shares one [`Core`] behind a `RefCell` that is never borrowed across a
//! wait. The rule is that of all machines: one mutation, then drain. What an output causes at once
//! (a closed connection, a lost address) is handed in after all outputs are done.

mod conn;
mod core;
mod cut;
mod disk;
mod equal;
mod reading;
mod relocate;
mod run;
mod save;
mod show;
mod torrent;
mod uptime;
mod web;

use self::core::Core;
use crate::buffers::{BlockGauge, BlockPool};
use crate::equal::Message as TwinMessage;
use crate::net::Arrival;
use crate::peer::attempts::Remembered;
use crate::peer::receive::{Received, Scratch};
use crate::rates::{Flow, Paced};
use crate::session::shared::Shared;
use crate::session::{Event, PeerSnapshot, StartError, TorrentDetail};
use althing_base::Seed;
use althing_bittorrent::metainfo::Metainfo;
use althing_bittorrent::swarm::{ApplicationWish, Input, ReaderId};
use althing_bittorrent::tracker::announcer::AnnounceId;
use althing_bittorrent::tracker::{AnnounceResponse, TrackerError};
use althing_bittorrent::{BlockRef, PieceIndex};
use althing_router::TorrentKey;
use althing_store::files::Location;
use althing_store::records::TorrentSettings;
use conn::{Conn, Whom};
pub use reading::ReadError;
pub(crate) use reading::ReadReply;
pub(crate) use relocate::{Relocate, remove_leftovers};
use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
pub(crate) use torrent::{NewTorrent, Start, Totals};
pub(crate) use uptime::{Spent, Uptime};
use web::WebClient;

/// What a shard is asked to do, by whoever is on another thread. The queue has no bound of its own:
/// those who fill it wait for answers (the API), are bounded themselves (half-open connections,
/// announces under way), or come once for each torrent.
pub(crate) enum Command {
    /// Take a torrent in.
    Add(Box<NewTorrent>),
    /// A peer connected and meant this torrent.
    Arrival(TorrentKey, Box<Arrival>),
    /// Let it rest.
    Pause(TorrentKey),
    /// It has to wait for its turn in the queue, or no longer.
    Wait(TorrentKey, bool),
    /// The user has set something for it: all its settings.
    Settings(TorrentKey, Arc<TorrentSettings>),
    /// Other bounds of connections and upload slots are in force.
    Bounds,
    /// Other rate limits are in force.
    Limits,
    /// Addresses that a user named.
    Peers(TorrentKey, Vec<SocketAddr>),
    /// Let it go on, and look at its files first if they were the reason that it stopped.
    Resume(TorrentKey),
    /// What a tracker said.
    Announced {
        torrent: TorrentKey,
        id: AnnounceId,
        result: Result<AnnounceResponse, TrackerError>,
    },
    /// Read a part of it, as soon as its piece is there.
    Read(TorrentKey, BlockRef, ReadReply),
    /// Somebody reads it in order and needs these pieces so long from now; none at the end.
    Window(TorrentKey, ReaderId, Vec<(PieceIndex, Duration)>),
    /// Read all its files.
    Verify(TorrentKey),
    /// Give its files another place. Answered when that has begun.
    Relocate {
        torrent: TorrentKey,
        to: Location,
        how: Relocate,
        begun: oneshot::Sender<Result<(), String>>,
    },
    /// So many bytes of how many have been moved.
    MoveProgress(TorrentKey, u64, u64),
    /// They have all been moved, or none has.
    Moved(TorrentKey, Result<(), String>),
    /// A torrent that has some of the same files tells something.
    Twin(TorrentKey, TwinMessage),
    /// Let it go, and its files if they are to be deleted. Answered when that is done.
    Remove {
        torrent: TorrentKey,
        delete: bool,
        done: oneshot::Sender<Result<(), String>>,
    },
    /// All about it.
    Show(TorrentKey, oneshot::Sender<TorrentDetail>),
    /// Whom it is connected to.
    ShowPeers(TorrentKey, oneshot::Sender<Vec<PeerSnapshot>>),
    ShowDeparted(TorrentKey, oneshot::Sender<Vec<PeerSnapshot>>),
    /// What it is, if that is known.
    Metainfo(TorrentKey, oneshot::Sender<Option<Arc<Metainfo>>>),
    /// An address lied to another shard.
    Banned(IpAddr),
    /// Somebody on our own network has this torrent, too.
    FoundLocally(TorrentKey, SocketAddr),
    /// Nodes of the DHT named peers of this torrent.
    FoundInDht(TorrentKey, Vec<SocketAddr>),
    /// Whoever has the extension that a torrent's swarm carries wants something of it.
    Application(TorrentKey, ApplicationWish),
    /// The list of addresses to keep out has changed.
    Filtered,
    /// This machine has lost these addresses; if it is elsewhere now, where others find it.
    Elsewhere {
        gone: Arc<[IpAddr]>,
        port: Option<Option<u16>>,
    },
    /// Others find us at this port from now on.
    ListenAt(Option<u16>),
    /// The interface that is named has come or gone.
    Way {
        open: bool,
    },
    /// Close everything; answered when all progress is saved.
    Stop(oneshot::Sender<()>),
}

/// A shard as other threads see it.
pub(crate) struct ShardHandle {
    commands: mpsc::UnboundedSender<Command>,
    pub(crate) blocks: BlockGauge,
    thread: Option<JoinHandle<()>>,
}

impl ShardHandle {
    /// Hands a command in. It is lost if the shard has ended, and with it any answer.
    pub(crate) fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// Asks something; the answer is an error if the shard has ended or does not know.
    pub(crate) fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> oneshot::Receiver<T> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply));
        answer
    }

    /// The thread, to be waited for after [`Command::Stop`].
    pub(crate) fn take_thread(&mut self) -> Option<JoinHandle<()>> {
        self.thread.take()
    }
}

/// A shard before its thread runs: what others need to reach it, and what it needs itself.
pub(crate) struct Prepared {
    pub(crate) handle: ShardHandle,
    commands: mpsc::UnboundedReceiver<Command>,
    pool: BlockPool,
}

impl Prepared {
    pub(crate) fn new() -> Self {
        let (sender, commands) = mpsc::unbounded_channel();
        let pool = BlockPool::default();
        let handle = ShardHandle { commands: sender, blocks: pool.gauge(), thread: None };
        Prepared { handle, commands, pool }
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has none for us.
    pub(crate) fn start(
        self,
        number: usize,
        shared: Arc<Shared>,
        seed: &Seed,
    ) -> Result<ShardHandle, StartError> {
        let Prepared { mut handle, commands, pool } = self;
        let thread_error = |error| StartError::Thread { error };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(thread_error)?;
        let thread = std::thread::Builder::new().name(format!("shard-{number}"));
        let seed = *seed;
        let thread = thread.spawn(move || {
            let _watch = Watch(Arc::clone(&shared));
            let (disk, events) = mpsc::unbounded_channel();
            let shard = Rc::new(Shard {
                core: RefCell::new(Core::new(number, Arc::clone(&shared), &seed, disk)),
                scratch: RefCell::new(Scratch::new(pool)),
                web: WebClient::new(shared.way.clone()),
                shared,
                plain_peers: RefCell::default(),
                other_way_peers: RefCell::default(),
                handshakes: seed.fork("handshakes", 0),
                drawn: Cell::new(0),
                timer: Notify::new(),
                dials: Notify::new(),
                paced: Notify::new(),
            });
            let local = tokio::task::LocalSet::new();
            runtime.block_on(local.run_until(run::run(shard, commands, events)));
        });
        handle.thread = Some(thread.map_err(thread_error)?);
        Ok(handle)
    }
}

/// Says so if the thread of a shard panics: the others go on, and nobody would know.
struct Watch(Arc<Shared>);

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let sentence = "a part of Althing has failed, and some torrents have stopped; that is a \
                            mistake in the program: please report it, and restart it";
            tracing::error!("{sentence}");
            self.0.emit(Event::Note { id: None, sentence: sentence.into() });
        }
    }
}

/// What all tasks of a shard's thread share.
struct Shard {
    core: RefCell<Core>,
    scratch: RefCell<Scratch>,
    /// How web seeds are asked. Of this thread alone: its connections live on this event loop.
    web: WebClient,
    shared: Arc<Shared>,
    /// Who is deaf to encryption.
    plain_peers: RefCell<Remembered>,
    /// Who was not reached last by what is preferred, TCP or uTP, but by the other.
    other_way_peers: RefCell<Remembered>,
    /// What the keys of encrypted handshakes are drawn from, and how many have been.
    handshakes: Seed,
    drawn: Cell<u64>,
    /// The core wants to be woken earlier than it said before.
    timer: Notify,
    /// There are addresses or web seeds to connect to.
    dials: Notify,
    /// A connection waits for what limits let through.
    paced: Notify,
}

impl Shard {
    /// A seed for the keys of one encrypted handshake.
    fn handshake_seed(&self) -> Seed {
        let number = self.drawn.replace(self.drawn.get() + 1);
        self.handshakes.fork("handshake", number)
    }

    /// Tells a torrent's swarm something.
    fn input(&self, torrent: TorrentKey, input: Input) {
        self.core.borrow_mut().input(torrent, input);
        self.end_turn();
    }

    /// A connection stands.
    fn connected(&self, whom: Whom) -> Rc<Conn> {
        let conn = self.core.borrow_mut().connected(whom);
        self.end_turn();
        conn
    }

    /// A connection has ended, if the core does not know it yet.
    fn disconnected(&self, conn: &Conn) {
        self.core.borrow_mut().disconnected(conn);
        self.end_turn();
    }

    /// A peer sent something. To be followed by [`end_turn`](Self::end_turn), once for all that one
    /// read brought.
    fn received(&self, conn: &Conn, received: Received) {
        self.core.borrow_mut().received(conn, received);
    }

    /// A connection may not go on until limits let it.
    fn blocked(&self, conn: &Rc<Conn>, flow: Flow) {
        if conn.meter(flow).block() {
            let paced: Rc<dyn Paced> = Rc::<Conn>::clone(conn);
            self.core.borrow_mut().blocked(conn.torrent, &paced, flow);
            self.paced.notify_one();
        }
    }

    /// Blocks have been handed to the operating system in full.
    fn blocks_sent(&self, conn: &Conn, blocks: &[BlockRef]) {
        self.core.borrow_mut().blocks_sent(conn, blocks);
        self.end_turn();
    }

    /// After one or many inputs: starts what is better started for many at once.
    fn end_turn(&self) {
        let mut core = self.core.borrow_mut();
        core.end_turn();
        if core.wakes_earlier() {
            self.timer.notify_one();
        }
        if core.has_dials() || core.lanes.any_new() {
            self.dials.notify_one();
        }
    }
}
