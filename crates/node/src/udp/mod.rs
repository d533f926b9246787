//! The UDP side: one thread with an event loop of its own, which has the sockets on the peer port and
//! everything that speaks over them.
//!
//! It receives, hands each datagram to the machine that it is for, and sends what they say: many at
//! a time, because a call for each packet is what makes UDP slow. Other threads reach it by a
//! [`Handle`]. Behind a proxy nothing of it runs: datagrams would go past it.

mod dht;
mod limits;
mod sent;
mod sockets;
mod stream;
mod utp;

pub(crate) use dht::{
    DhtGauges, Request as DhtRequest, Searched, Standing, Status, TorrentFigures, may_look_up,
};
#[cfg(test)]
pub(crate) use dht::{Rates, Traffic};
pub(crate) use limits::PORT_TRIES;
pub(crate) use sockets::open;
pub(crate) use stream::UtpStream;

use self::utp::UtpSide;
use crate::clock;
use crate::config::Network;
use crate::net::Way;
use crate::session::StartError;
use crate::session::shared::Shared;
use althing_base::machine::is_due;
use althing_base::{Instant, Seed};
use althing_bittorrent::utp::{ConnId, Run};
use dht::DhtSide;
use limits::{COMMANDS_PER_TURN, RECEIVES_PER_TURN};
use sockets::{Received, Scratch, Sockets, Unsent};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use stream::Pipe;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};

/// Wait until the sockets are opened again on an interface on which that failed.
const OPEN_AGAIN: Duration = Duration::from_secs(5);

/// What the thread is asked to do. The queue has no bound of its own: those who fill it are bounded
/// themselves.
enum Command {
    /// Something of uTP.
    Utp(utp::Request),
    /// Something of the DHT.
    Dht(DhtRequest),
    /// End; answered when everybody has been told.
    Stop(oneshot::Sender<()>),
}

/// The thread as others see it.
#[derive(Clone)]
pub(crate) struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    /// The number of the next uTP connection.
    next_conn: Arc<AtomicU64>,
    /// Bytes of all uTP connections that came and were not read.
    unread: Arc<AtomicUsize>,
    addrs: Arc<Mutex<Vec<SocketAddr>>>,
}

/// Where uTP connections go that others open.
#[derive(Clone)]
pub(crate) struct Door {
    /// Whether there is one.
    pub(crate) accepts: bool,
    /// Takes one; true says that we called the peer's address lately, so that coming in is no proof of an
    /// open port.
    pub(crate) enter: Arc<dyn Fn(UtpStream, bool) + Send + Sync>,
}

impl Handle {
    /// Connects over uTP; given up when dropped.
    ///
    /// # Errors
    /// If nobody answers, or nobody is there.
    pub(crate) async fn connect(&self, to: SocketAddr) -> io::Result<UtpStream> {
        let to = SocketAddr::new(to.ip().to_canonical(), to.port());
        let conn = ConnId(self.next_conn.fetch_add(1, Ordering::Relaxed));
        let pipe = Arc::new(Pipe::new(Arc::clone(&self.unread)));
        let stream = UtpStream::new(Arc::clone(&pipe), conn, to, self.commands.clone());
        self.send(Command::Utp(utp::Request::Connect { conn, to, pipe }));
        stream.connected().await?;
        Ok(stream)
    }

    /// Asks something of the DHT.
    pub(crate) fn dht(&self, request: DhtRequest) {
        self.send(Command::Dht(request));
    }

    /// Where the sockets are bound at the moment.
    pub(crate) fn addrs(&self) -> Vec<SocketAddr> {
        self.addrs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the thread; the answer comes when it is done.
    pub(crate) fn stop(&self) -> oneshot::Receiver<()> {
        let (done, stopped) = oneshot::channel();
        self.send(Command::Stop(done));
        stopped
    }

    /// A command is lost if the thread has ended, and with it any answer.
    fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

/// Whether anything is to be said over UDP: a proxy would be passed by.
pub(crate) fn runs(network: &Network) -> bool {
    !network.proxy.is_set()
}

/// The thread before it runs.
pub(crate) struct Prepared {
    pub(crate) handle: Handle,
    commands: mpsc::UnboundedReceiver<Command>,
}

/// What the thread works with.
pub(crate) struct Setup {
    pub(crate) network: Network,
    pub(crate) way: Way,
    /// On which the sockets are opened again.
    pub(crate) port: u16,
    /// Those that were opened first.
    pub(crate) sockets: Vec<std::net::UdpSocket>,
    /// Where uTP connections go that others open; none if there is to be no uTP.
    pub(crate) door: Option<Door>,
    pub(crate) shared: Weak<Shared>,
    pub(crate) seed: Seed,
}

impl Prepared {
    pub(crate) fn new() -> Self {
        let (sender, commands) = mpsc::unbounded_channel();
        let handle = Handle {
            commands: sender,
            next_conn: Arc::default(),
            unread: Arc::default(),
            addrs: Arc::default(),
        };
        Prepared { handle, commands }
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has none for us.
    pub(crate) fn start(self, setup: Setup) -> Result<std::thread::JoinHandle<()>, StartError> {
        let thread_error = |error| StartError::Thread { error };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(thread_error)?;
        let Prepared { handle, commands } = self;
        let Handle { commands: sender, unread, addrs, .. } = handle;
        let sender = sender.downgrade();
        let opened = setup.sockets.iter().filter_map(|socket| socket.local_addr().ok());
        *addrs.lock().unwrap_or_else(PoisonError::into_inner) = opened.collect();
        let thread = std::thread::Builder::new().name("udp".to_owned());
        let run = move || {
            runtime
                .block_on(async { Driver::new(setup, addrs, unread, sender).run(commands).await });
        };
        thread.spawn(run).map_err(thread_error)
    }
}

/// Everything on the thread.
struct Driver {
    network: Network,
    way: Way,
    port: u16,
    sockets: Sockets,
    /// Where others see where they are bound.
    addrs: Arc<Mutex<Vec<SocketAddr>>>,
    scratch: Scratch,
    utp: Option<UtpSide>,
    dht: DhtSide,
}

impl Driver {
    fn new(
        setup: Setup,
        addrs: Arc<Mutex<Vec<SocketAddr>>>,
        unread: Arc<AtomicUsize>,
        commands: mpsc::WeakUnboundedSender<Command>,
    ) -> Self {
        let Setup { network, way, port, sockets, door, shared, seed } = setup;
        let sockets = Sockets::new(sockets, &way);
        let utp =
            door.map(|door| UtpSide::new(&sockets, unread, commands, door, seed.fork("utp", 0)));
        let dht = DhtSide::new(clock::now(), seed.fork("dht", 0), shared);
        Driver { network, way, port, sockets, addrs, scratch: Scratch::new(), utp, dht }
    }

    /// Runs until it is told to stop.
    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut changes = self.way.changes();
        let mut asked = Vec::with_capacity(COMMANDS_PER_TURN);
        loop {
            let missing = self.sockets.is_empty() && self.way.is_open();
            tokio::select! {
                count = commands.recv_many(&mut asked, COMMANDS_PER_TURN) => if count == 0 {
                    // The session is gone without a word.
                    return;
                },
                () = self.sockets.ready() => {}
                () = clock::sleep_until(self.deadline()) => {}
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.moved();
                }
                () = tokio::time::sleep(OPEN_AGAIN), if missing => self.open(),
            }
            let now = clock::now();
            for command in asked.drain(..) {
                match command {
                    Command::Utp(request) => {
                        if let Some(utp) = &mut self.utp {
                            utp.request(now, request);
                        }
                    }
                    Command::Dht(request) => self.dht.request(now, request),
                    Command::Stop(done) => {
                        // What streams left to be said.
                        self.drain(now);
                        self.dht.stop();
                        // The session may have given up waiting.
                        let _ = done.send(());
                        return;
                    }
                }
            }
            self.receive(now);
            if let Some(utp) = &mut self.utp
                && is_due(now, utp.deadline())
            {
                utp.timeout(now);
            }
            if is_due(now, self.dht.deadline()) {
                self.dht.timeout(now);
            }
            self.drain(now);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let utp = self.utp.as_ref().and_then(UtpSide::deadline);
        utp.into_iter().chain(self.dht.deadline()).min()
    }

    /// Reads what has come, and hands it to whom it is for.
    fn receive(&mut self, now: Instant) {
        let Driver { sockets, scratch, utp, dht, .. } = self;
        for _ in 0..RECEIVES_PER_TURN {
            let more =
                sockets.receive(scratch, |received: Received<'_>| match kind(received.data) {
                    Kind::Dht => {
                        for datagram in received.data.chunks(received.stride) {
                            dht.datagram(now, received.from, datagram);
                        }
                    }
                    Kind::Utp => {
                        if let Some(utp) = utp {
                            utp.datagrams(now, &received);
                        }
                    }
                    Kind::Other => {}
                });
            if !more {
                return;
            }
        }
    }

    /// Sends what the machines have to say.
    fn drain(&mut self, now: Instant) {
        self.sockets.flush();
        if let Some(utp) = &mut self.utp {
            utp.drain(now, &mut self.sockets);
        }
        while let Some((to, data)) = self.dht.poll_send() {
            let run = Run { to, stride: data.len(), data, dont_fragment: true };
            if let Some(utp) = &mut self.utp {
                utp.note_sent(now, to.ip());
            }
            if let Err(Unsent::Unreachable) = self.sockets.send(run) {
                self.dht.unreachable(now, to);
            }
        }
    }

    /// This machine's addresses have changed, or there is another interface behind the name.
    fn moved(&mut self) {
        if self.way.is_bound() {
            self.open();
        } else {
            self.sockets.look(&self.way);
        }
        self.dht.moved(clock::now());
    }

    /// Opens the sockets again.
    fn open(&mut self) {
        // First the old ones have to go: they have the port.
        self.sockets = Sockets::new(Vec::new(), &self.way);
        match open(&self.network, &self.way, self.port) {
            Ok(sockets) => self.sockets = Sockets::new(sockets, &self.way),
            Err(error) => warn!("{error}"),
        }
        let addrs = self.sockets.addrs();
        debug!(?addrs, "datagrams");
        *self.addrs.lock().unwrap_or_else(PoisonError::into_inner) = addrs;
    }
}

/// What a datagram is, by its first byte: the DHT's are dictionaries (BEP 5), uTP's begin with a kind
/// and the version (BEP 29).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Dht,
    Utp,
    Other,
}

fn kind(data: &[u8]) -> Kind {
    match data.first() {
        Some(b'd') => Kind::Dht,
        Some(first) if first & 0xf == 1 && first >> 4 <= 4 => Kind::Utp,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_datagram_goes_to_whom_it_is_for() {
        assert_eq!(kind(b"d1:ad2:id20:"), Kind::Dht);
        for first in [0x01, 0x11, 0x21, 0x31, 0x41] {
            assert_eq!(kind(&[first, 0, 0]), Kind::Utp);
        }
        for other in [&b""[..], b"\x51", b"\x02", b"\x00", b"e", b"\xff"] {
            assert_eq!(kind(other), Kind::Other, "{other:?}");
        }
    }
}
