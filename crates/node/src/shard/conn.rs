//! The tasks that move a connection's bytes. They run on the shard's thread and call its core
//! directly: between a socket and the swarm stands neither a lock nor a channel.

use super::{Shard, cut};
use crate::clock;
use crate::config::{Encryption, Prefer};
use crate::limits::{
    CONGESTION_PAUSE, CONNECT_TIMEOUT, CONNECT_TIMEOUT_INTRODUCED, HANDSHAKE_TIMEOUT, HEAD_START,
    LAST_WORDS_WITHIN,
};
use crate::net::{self, Arrival, Place};
use crate::peer::attempts::{Attempt, Attempts, Failure};
use crate::peer::handshake::{self, HandshakeError};
use crate::peer::line::{Encrypted, Line, Link};
use crate::peer::race::race;
use crate::peer::receive::Receiver;
use crate::peer::seal::Seal;
use crate::peer::send::{Budget, Sender};
use crate::peer::stream::{Carrier, Stream};
use crate::rates::{Flow, Gate, Meter, Paced};
use althing_base::Sha1Digest;
use althing_bittorrent::swarm::{ConnId, Direction, Input, Transport};
use althing_bittorrent::wire::Handshake;
use althing_bittorrent::wire::mse::{Ciphers, Rc4};
use althing_bittorrent::{BlockRef, InfoHashes, PeerId};
use althing_router::TorrentKey;
use std::cell::{Cell, RefCell};
use std::io::{self, IoSliceMut, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::sync::Notify;
use tracing::{Instrument as _, debug, debug_span};

/// What a connection's task and the core share.
pub(super) struct Conn {
    pub(super) id: ConnId,
    pub(super) torrent: TorrentKey,
    /// This side's address.
    pub(super) local: Option<IpAddr>,
    pub(super) encrypted: Encrypted,
    pub(super) sender: RefCell<Sender>,
    budget: Rc<Budget>,
    /// What limits let through, in each direction.
    meters: [Meter; 2],
    /// There is something to send, or the connection is to end.
    wake: Notify,
    closed: Cell<bool>,
    /// It is to end when all that is queued is written.
    finishing: Cell<bool>,
}

impl Paced for Conn {
    fn meter(&self, flow: Flow) -> &Meter {
        &self.meters[flow.index()]
    }

    fn is_closed(&self) -> bool {
        self.closed.get()
    }

    fn wake(&self) {
        self.wake.notify_one();
    }
}

impl Conn {
    pub(super) fn new(id: ConnId, whom: Whom, budget: Rc<Budget>, gates: [Rc<Gate>; 2]) -> Self {
        Conn {
            id,
            torrent: whom.torrent,
            local: whom.local,
            encrypted: whom.encrypted,
            sender: RefCell::new(Sender::new(Rc::clone(&budget))),
            budget,
            meters: gates.map(Meter::new),
            wake: Notify::new(),
            closed: Cell::new(false),
            finishing: Cell::new(false),
        }
    }

    /// Lets the task look at what there is to send.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Ends the task when all is written that is queued, or [`LAST_WORDS_WITHIN`] is over.
    pub(super) fn finish(&self) {
        self.finishing.set(true);
        self.wake.notify_one();
    }

    /// Ends the task; it touches neither socket nor core any more.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.wake.notify_one();
    }
}

/// What a handshake of ours says, and what it may be answered with.
pub(super) struct Identity {
    pub(super) hashes: InfoHashes,
    pub(super) peer_id: PeerId,
    /// We have a node of the DHT.
    pub(super) dht: bool,
}

impl Identity {
    fn handshake(&self, named: Sha1Digest) -> Handshake {
        Handshake::new(named, self.peer_id, self.hashes.v2().is_some()).with_dht(self.dht)
    }
}

/// Whom a torrent's swarm wants to be connected to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dial {
    pub(super) torrent: TorrentKey,
    pub(super) addr: SocketAddr,
    /// Through a hole in a router, which the other side makes at the same time (BEP 55): only uTP can.
    pub(super) punch: bool,
}

/// Connects to a peer and serves the connection until it ends.
pub(super) async fn dial(shard: Rc<Shard>, dial: Dial, place: Place) {
    let Dial { torrent, addr, punch } = dial;
    if punch {
        debug!(torrent = torrent.0, %addr, "calling through a hole");
    }
    let span = debug_span!("dial", torrent = torrent.0);
    let identity = shard.core.borrow().identity(torrent);
    let Some(identity) = identity else {
        shard.core.borrow_mut().dialled();
        return;
    };
    let outcome = reach(&shard, &identity, dial).instrument(span).await;
    shard.core.borrow_mut().dialled();
    match outcome {
        Ok((line, handshake)) => {
            let encrypted = line.link.encrypted;
            let (direction, transport) = (Direction::Outgoing, line.stream.transport());
            let local = line.stream.local_ip();
            shard.shared.reach.reached(addr.ip());
            let whom = Whom { torrent, addr, local, direction, transport, handshake, encrypted };
            serve(shard, whom, line, place).await;
        }
        Err(error) => {
            debug!(torrent = torrent.0, %addr, %error, "no connection");
            shard.input(torrent, Input::ConnectFailed { addr });
        }
    }
}

/// A connection to `addr` on which both handshakes are through. A peer that has a hybrid torrent in
/// its v2 form only hangs up on the v1 info-hash, so it is asked by the other one then (BEP 52); one
/// that cannot encrypt hangs up on that.
async fn reach(
    shard: &Shard,
    identity: &Identity,
    dial: Dial,
) -> Result<(Line<Stream>, Handshake), HandshakeError> {
    let addr = dial.addr;
    if !net::may_be_peer(addr) || !shard.shared.admission.may_connect(addr.ip()) {
        return Err(io::Error::from(io::ErrorKind::AddrNotAvailable).into());
    }
    let encryption = shard.shared.config.network.encryption;
    let plainly = shard.plain_peers.borrow().contains(addr);
    let mut attempts = Attempts::new(identity.hashes.short_hashes(), encryption, plainly);
    // What is preferred comes second where the other was what stood last time.
    let prefers_utp = shard.shared.config.network.prefer == Prefer::Utp;
    let utp_first = prefers_utp != shard.other_way_peers.borrow().contains(addr);
    let mut failed: Option<(Failure, HandshakeError)> = None;
    while let Some(attempt) = attempts.next(failed.as_ref().map(|(failure, _)| *failure)) {
        let stream = connect(shard, dial, utp_first).await?;
        let over_utp = stream.transport() == Transport::Utp;
        if over_utp && has_come(shard, dial) {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists).into());
        }
        match shake_hands(shard, identity, stream, attempt).await {
            Ok(reached) => {
                if encryption == Encryption::Preferred {
                    shard.plain_peers.borrow_mut().note(addr, !attempt.encrypted);
                }
                if !dial.punch && over_utp != prefers_utp {
                    shard.other_way_peers.borrow_mut().note(addr, true);
                } else if !dial.punch {
                    shard.other_way_peers.borrow_mut().note(addr, false);
                }
                return Ok(reached);
            }
            Err(failure) => failed = Some(failure),
        }
    }
    let nothing = || io::Error::from(io::ErrorKind::UnexpectedEof).into();
    Err(failed.map_or_else(nothing, |(_, error)| error))
}

/// Whether whoever is called has called us meanwhile, from there.
fn has_come(shard: &Shard, dial: Dial) -> bool {
    let core = shard.core.borrow();
    let swarm = core.router.swarm(dial.torrent);
    swarm.is_some_and(|swarm| swarm.is_connected_to(dial.addr))
}

/// A connection over whichever is set and answers first.
async fn connect(shard: &Shard, dial: Dial, utp_first: bool) -> io::Result<Stream> {
    let network = &shard.shared.config.network;
    // On the heap: it is large, because there may be a proxy, and gone when the connection stands.
    let tcp = Box::pin(async { Ok(Stream::Tcp(shard.shared.way.connect(dial.addr).await?)) });
    let udp = shard.shared.udp.as_ref().filter(|_| network.utp);
    let connecting = async {
        let Some(udp) = udp else {
            return if dial.punch { Err(io::ErrorKind::Unsupported.into()) } else { tcp.await };
        };
        let utp = async { Ok(Stream::Utp(udp.connect(dial.addr).await?)) };
        match utp_first {
            _ if dial.punch || !network.tcp => utp.await,
            true => race(utp, tcp, HEAD_START).await,
            false => race(tcp, utp, HEAD_START).await,
        }
    };
    // Somebody between may bring us together with who does not answer.
    let introduced = !dial.punch && {
        let core = shard.core.borrow();
        let swarm = core.router.swarm(dial.torrent);
        swarm.is_some_and(|swarm| swarm.can_be_introduced(dial.addr))
    };
    within(if introduced { CONNECT_TIMEOUT_INTRODUCED } else { CONNECT_TIMEOUT }, connecting)
        .await?
}

/// One attempt on a connection that stands, and what its failure means for the next one.
async fn shake_hands(
    shard: &Shard,
    identity: &Identity,
    stream: Stream,
    attempt: Attempt,
) -> Result<(Line<Stream>, Handshake), (Failure, HandshakeError)> {
    let (hashes, ours) = (identity.hashes, identity.handshake(attempt.name));
    let mut answered = true;
    let methods = shard.shared.config.network.encryption.methods();
    let greeted = match methods.filter(|_| attempt.encrypted) {
        Some(methods) => {
            answered = false;
            let seed = shard.handshake_seed();
            let greeting =
                handshake::greet_encrypted(stream, hashes, ours, methods, seed, &mut answered);
            within(HANDSHAKE_TIMEOUT, greeting).await
        }
        None => {
            let mut line = Line { stream, link: Link::default() };
            let greeting = handshake::greet(&mut line, hashes, ours);
            let greeted = within(HANDSHAKE_TIMEOUT, greeting).await;
            greeted.map(|greeted| greeted.map(|theirs| (line, theirs)))
        }
    };
    greeted.map_err(HandshakeError::from).flatten().map_err(|error| {
        let failure = match &error {
            _ if !answered => Failure::Deaf,
            HandshakeError::Io(error) if hung_up(error) => Failure::HungUp,
            _ => Failure::Final,
        };
        (failure, error)
    })
}

fn hung_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

async fn within<T>(time: std::time::Duration, what: impl Future<Output = T>) -> io::Result<T> {
    tokio::time::timeout(time, what).await.map_err(|_| io::ErrorKind::TimedOut.into())
}

/// Answers a peer that connected and serves the connection until it ends.
pub(super) async fn welcome(shard: Rc<Shard>, torrent: TorrentKey, arrival: Arrival, place: Place) {
    let Arrival { stream, addr, link, incoming, named, deadline, half } = arrival;
    let identity = shard.core.borrow().identity(torrent);
    // Of a torrent that rests nobody needs to know that it is here.
    let Some(identity) = identity.filter(|_| shard.core.borrow().is_running(torrent)) else {
        return;
    };
    let answering = async {
        let mut line = Line { stream: stream.attach()?, link };
        let ours = identity.handshake(named);
        let theirs = handshake::answer(&mut line, incoming, identity.hashes, ours).await?;
        Ok::<_, HandshakeError>((line, theirs))
    };
    let answering = tokio::time::timeout_at(clock::deadline(deadline), answering);
    let answered = tokio::select! {
        answered = answering => answered,
        () = half.evicted() => Ok(Err(HandshakeError::Evicted)),
    };
    drop(half);
    match answered {
        Ok(Ok((line, handshake))) => {
            let encrypted = line.link.encrypted;
            let (direction, transport) = (Direction::Incoming, line.stream.transport());
            let local = line.stream.local_ip();
            let whom = Whom { torrent, addr, local, direction, transport, handshake, encrypted };
            serve(shard, whom, line, place).await;
        }
        Ok(Err(error)) => debug!(torrent = torrent.0, %addr, %error, "handshake failed"),
        Err(_) => debug!(torrent = torrent.0, %addr, "handshake took too long"),
    }
}

/// The other end of a connection.
#[derive(Clone, Copy)]
pub(super) struct Whom {
    pub(super) torrent: TorrentKey,
    pub(super) addr: SocketAddr,
    /// This side's address.
    pub(super) local: Option<IpAddr>,
    pub(super) direction: Direction,
    pub(super) transport: Transport,
    pub(super) handshake: Handshake,
    pub(super) encrypted: Encrypted,
}

/// Moves bytes both ways until either side has had enough.
async fn serve(shard: Rc<Shard>, whom: Whom, line: Line<Stream>, place: Place) {
    let Line { stream, link } = line;
    match stream {
        Stream::Tcp(stream) => serve_over(shard, whom, stream, link, place).await,
        Stream::Utp(stream) => serve_over(shard, whom, stream, link, place).await,
    }
}

async fn serve_over(shard: Rc<Shard>, whom: Whom, stream: impl Carrier, link: Link, place: Place) {
    let shared = Arc::clone(&shard.shared);
    let _counted = shared.counters.connection(whom.direction);
    let conn = shard.connected(whom);
    let span = debug_span!("conn", torrent = whom.torrent.0, conn = conn.id.0);
    async {
        debug!(addr = %whom.addr, direction = ?whom.direction, encrypted = ?whom.encrypted, "connected");
        match exchange(&shard, &conn, &stream, link).await {
            Ok(()) => debug!("connection ended"),
            Err(error) => debug!(%error, "connection lost"),
        }
    }
    .instrument(span)
    .await;
    drop(stream);
    drop(place);
    shard.disconnected(&conn);
}

/// The loop of a connection: write what there is, read what there is, wait. `Ok` if the peer ended
/// it or the core did.
async fn exchange(
    shard: &Shard,
    conn: &Rc<Conn>,
    stream: &impl Carrier,
    mut link: Link,
) -> io::Result<()> {
    let mut receiver = Receiver::new(shard.core.borrow().decode_limits(conn.torrent));
    read_early(shard, conn, &mut receiver, &link.take_early())?;
    // `None`, and of no cost, unless the whole stream is encrypted.
    let (mut opener, mut seal) = match link.ciphers {
        Some(ciphers) => {
            let Ciphers { incoming, outgoing } = *ciphers;
            (Some(incoming), Some(Seal::new(outgoing, Rc::clone(&conn.budget))))
        }
        None => (None, None),
    };
    let mut sent = Vec::new();
    loop {
        flush(shard, conn, stream, seal.as_mut(), &mut sent)?;
        if conn.closed.get() {
            return Ok(());
        }
        let congested = shard.shared.pool.is_congested();
        let written = conn.sender.borrow().is_empty() && seal.as_ref().is_none_or(Seal::is_empty);
        let finishing = conn.finishing.get();
        if finishing && written {
            return Ok(());
        }
        let reads = !congested && !conn.meter(Flow::Down).is_blocked();
        let writes = !written && !conn.meter(Flow::Up).is_blocked();
        let interest = match (reads, writes) {
            (true, false) => Some(Interest::READABLE),
            (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
            (false, true) => Some(Interest::WRITABLE),
            (false, false) => None,
        };
        let ready = async {
            match interest {
                Some(interest) => stream.ready(interest).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = conn.wake.notified() => {}
            () = tokio::time::sleep(CONGESTION_PAUSE), if congested => {}
            () = tokio::time::sleep(LAST_WORDS_WITHIN), if finishing => return Ok(()),
            ready = ready => {
                let ready = ready?;
                let readable = ready.is_readable() || ready.is_read_closed();
                if readable && reads && !read(shard, conn, &mut receiver, stream, opener.as_mut())? {
                    return Ok(());
                }
                // Others of this shard have their turn, whatever this peer sends.
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Hands in what came along with the handshake.
fn read_early(
    shard: &Shard,
    conn: &Conn,
    receiver: &mut Receiver,
    mut early: &[u8],
) -> io::Result<()> {
    while !early.is_empty() && !conn.closed.get() {
        let mut scratch = shard.scratch.borrow_mut();
        let mut sink = |received| {
            shard.received(conn, received);
            if conn.closed.get() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let len =
            receiver.receive(&mut scratch, |slices| early.read_vectored(slices), &mut sink)?;
        shard.shared.counters.received_bytes(len);
    }
    shard.end_turn();
    Ok(())
}

/// Decrypts the first `len` bytes of what `slices` hold, in order.
fn open(cipher: &mut Rc4, slices: &mut [IoSliceMut<'_>], mut len: usize) {
    for slice in slices {
        let part = slice.len().min(len);
        cipher.apply(&mut slice[..part]);
        len -= part;
        if len == 0 {
            return;
        }
    }
}

/// Reads once and hands in what came. False if the peer has closed its side.
fn read(
    shard: &Shard,
    conn: &Rc<Conn>,
    receiver: &mut Receiver,
    stream: &impl Carrier,
    opener: Option<&mut Rc4>,
) -> io::Result<bool> {
    let mut scratch = shard.scratch.borrow_mut();
    let mut sink = |received| {
        shard.received(conn, received);
        if conn.closed.get() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let read = |slices: &mut [IoSliceMut<'_>]| {
        let len = take(shard, conn, stream, slices)?;
        if let Some(cipher) = opener {
            open(cipher, slices, len);
        }
        Ok(len)
    };
    match receiver.receive(&mut scratch, read, &mut sink) {
        Ok(0) => Ok(false),
        Ok(len) => {
            shard.shared.counters.received_bytes(len);
            shard.end_turn();
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(error),
    }
}

/// Writes until there is nothing left or the socket takes no more.
fn flush(
    shard: &Shard,
    conn: &Rc<Conn>,
    stream: &impl Carrier,
    mut seal: Option<&mut Seal>,
    sent: &mut Vec<BlockRef>,
) -> io::Result<()> {
    while !conn.closed.get() {
        // What is encrypted already goes first.
        if let Some(seal) = &mut seal
            && !seal.write_out(|slices| give(shard, conn, stream, slices))?
        {
            break;
        }
        if conn.sender.borrow().is_empty() {
            break;
        }
        let result = conn.sender.borrow_mut().send(
            |slices| match &mut seal {
                Some(seal) => Ok(seal.encrypt(slices, shard.scratch.borrow_mut().pool())),
                None => give(shard, conn, stream, slices),
            },
            sent,
        );
        match result {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(len) => shard.shared.counters.sent_bytes(len),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    if !sent.is_empty() {
        shard.blocks_sent(conn, sent);
        sent.clear();
    }
    Ok(())
}

/// Reads from the socket what limits let through.
fn take(
    shard: &Shard,
    conn: &Rc<Conn>,
    stream: &impl Carrier,
    slices: &mut [IoSliceMut<'_>],
) -> io::Result<usize> {
    let meter = conn.meter(Flow::Down);
    let Some(limit) = meter.allowance() else { return stream.try_read_vectored(slices) };
    if limit == 0 {
        shard.blocked(conn, Flow::Down);
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let len = stream.try_read_vectored(&mut cut::to_read(slices, limit))?;
    meter.spend(len);
    Ok(len)
}

/// Writes to the socket what limits let through.
fn give(
    shard: &Shard,
    conn: &Rc<Conn>,
    stream: &impl Carrier,
    slices: &[io::IoSlice<'_>],
) -> io::Result<usize> {
    let meter = conn.meter(Flow::Up);
    let Some(limit) = meter.allowance() else { return stream.try_write_vectored(slices) };
    if limit == 0 {
        shard.blocked(conn, Flow::Up);
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let len = stream.try_write_vectored(&cut::to_write(slices, limit))?;
    meter.spend(len);
    Ok(len)
}
