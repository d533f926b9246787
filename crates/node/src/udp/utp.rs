//! uTP's place on the UDP thread (BEP 29): the machine of all connections, and the pipes to those who
//! read and write them.

use super::sent::Sent;
use super::sockets::{Received, Sockets, Unsent};
use super::stream::{Pipe, UtpStream, error_kind};
use super::{Command, Door};
use althing_base::{Instant, Machine as _, Seed};
use althing_bittorrent::utp::{Config, ConnId, Input, Output, Utp};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Waker;
use tokio::sync::mpsc;
use tracing::{debug, trace};

/// What streams ask of the machine.
pub(super) enum Request {
    /// Open a connection.
    Connect { conn: ConnId, to: SocketAddr, pipe: Arc<Pipe> },
    /// Something was written or read.
    Look(ConnId),
    /// Nobody reads or writes it any more; what was written is still delivered.
    Close(ConnId),
    /// Let go of it at once.
    Abort(ConnId),
}

/// A connection that somebody reads and writes.
struct End {
    pipe: Arc<Pipe>,
    peer: SocketAddr,
    /// We have called.
    called: bool,
}

/// See the [module](self).
pub(super) struct UtpSide {
    machine: Utp,
    pipes: HashMap<ConnId, End>,
    /// What all connections hold that was not read.
    unread: Arc<AtomicUsize>,
    /// Weak: whoever else has it keeps this thread alive, and this does not.
    commands: mpsc::WeakUnboundedSender<Command>,
    door: Door,
    /// Who is to be woken when all is said.
    wake: Vec<Option<Waker>>,
    /// What follows from outputs, to be handed in after them.
    deferred: Vec<Input>,
    /// Whom we have sent something without being asked: that they come in proves nothing, we have made
    /// the hole.
    sent: Sent,
    /// How many connections that we have opened there are to an address.
    calls: BTreeMap<IpAddr, usize>,
    /// To which of our addresses what was handed in last came.
    reached_at: Vec<(SocketAddr, IpAddr)>,
}

impl UtpSide {
    pub(super) fn new(
        sockets: &Sockets,
        unread: Arc<AtomicUsize>,
        commands: mpsc::WeakUnboundedSender<Command>,
        door: Door,
        seed: Seed,
    ) -> Self {
        let window = u32::try_from(sockets.receive_bytes() / 2).unwrap_or(u32::MAX);
        let config = Config {
            datagram_bytes_max: sockets.datagram_bytes_max(),
            receive_window_near: window,
            accept: door.accepts,
            ..Config::default()
        };
        debug!(?config, "uTP");
        UtpSide {
            machine: Utp::new(config, seed),
            pipes: HashMap::new(),
            unread,
            commands,
            door,
            wake: Vec::new(),
            deferred: Vec::new(),
            sent: Sent::default(),
            calls: BTreeMap::new(),
            reached_at: Vec::new(),
        }
    }

    /// Datagrams came that may be uTP's.
    pub(super) fn datagrams(&mut self, now: Instant, received: &Received<'_>) {
        if let Some(to) = received.to
            && self.reached_at.last() != Some(&(received.from, to))
        {
            self.reached_at.push((received.from, to));
        }
        let data = Bytes::copy_from_slice(received.data);
        let input = Input::Datagrams { from: received.from, data, stride: received.stride };
        self.machine.handle_input(now, input);
    }

    /// A stream asks something.
    pub(super) fn request(&mut self, now: Instant, request: Request) {
        match request {
            Request::Connect { conn, to, pipe } => {
                self.pipes.insert(conn, End { pipe, peer: to, called: true });
                self.sent.note(now, to.ip());
                *self.calls.entry(to.ip().to_canonical()).or_default() += 1;
                self.machine.handle_input(now, Input::Connect { conn, to });
            }
            Request::Look(conn) => {
                let Some(End { pipe, .. }) = self.pipes.get(&conn) else { return };
                let taken = pipe.take();
                for data in taken.written {
                    self.machine.handle_input(now, Input::Write { conn, data });
                }
                if taken.consumed > 0 {
                    let input = Input::Consumed { conn, bytes: taken.consumed };
                    self.machine.handle_input(now, input);
                }
            }
            Request::Close(conn) => {
                // What was written last goes first.
                self.request(now, Request::Look(conn));
                self.remove(now, conn);
                self.machine.handle_input(now, Input::Close { conn });
            }
            Request::Abort(conn) => {
                self.remove(now, conn);
                self.machine.handle_input(now, Input::Abort { conn });
            }
        }
    }

    /// When to call [`timeout`](Self::timeout).
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.machine.poll_timeout().map(|(at, _)| at)
    }

    /// That time has come.
    pub(super) fn timeout(&mut self, now: Instant) {
        self.machine.handle_timeout(now);
    }

    /// Does what the machine asks for, until there is nothing left.
    pub(super) fn drain(&mut self, now: Instant, sockets: &mut Sockets) {
        loop {
            while let Some(output) = self.machine.poll_output() {
                self.perform(now, output, sockets);
            }
            if self.deferred.is_empty() {
                break;
            }
            for input in std::mem::take(&mut self.deferred) {
                self.machine.handle_input(now, input);
            }
        }
        self.reached_at.clear();
        for waker in self.wake.drain(..).flatten() {
            waker.wake();
        }
    }

    fn perform(&mut self, now: Instant, output: Output, sockets: &mut Sockets) {
        match output {
            Output::Send(run) => {
                let to = run.to;
                match sockets.send(run) {
                    Ok(()) | Err(Unsent::Lost) => {}
                    Err(Unsent::TooBig(fits)) => self.deferred.push(Input::TooBig { to, fits }),
                    Err(Unsent::Unreachable) => self.deferred.push(Input::Unreachable { to }),
                }
            }
            Output::Connected { conn } => {
                let Some(End { pipe, peer, .. }) = self.pipes.get(&conn) else { return };
                let waker = pipe.connected(self.local(*peer));
                self.wake.push(waker);
            }
            Output::Incoming { conn, from } => self.arrived(now, conn, from),
            Output::Received { conn, data } => {
                let Some(End { pipe, .. }) = self.pipes.get(&conn) else { return };
                match pipe.received(data) {
                    Ok(waker) => self.wake.push(waker),
                    Err(_) => {
                        debug!(conn = conn.0, "it sends more than is read, and memory is short");
                        self.wake.extend(pipe.ended(std::io::ErrorKind::OutOfMemory));
                        self.remove(now, conn);
                        self.deferred.push(Input::Abort { conn });
                    }
                }
            }
            Output::Finished { conn } => {
                let Some(End { pipe, .. }) = self.pipes.get(&conn) else { return };
                self.wake.push(pipe.finished());
            }
            Output::Writable { conn, bytes } => {
                let Some(End { pipe, .. }) = self.pipes.get(&conn) else { return };
                self.wake.push(pipe.granted(bytes));
            }
            Output::Closed { conn, why } => {
                trace!(conn = conn.0, %why, "uTP connection ended");
                let Some(end) = self.remove(now, conn) else { return };
                self.wake.extend(end.pipe.ended(error_kind(why)));
            }
        }
    }

    /// Somebody has opened a connection.
    fn arrived(&mut self, now: Instant, conn: ConnId, from: SocketAddr) {
        // If not, everything is about to end.
        let Some(commands) = self.commands.upgrade() else { return };
        let pipe = Arc::new(Pipe::new(Arc::clone(&self.unread)));
        pipe.connected(self.local(from));
        self.pipes.insert(conn, End { pipe: Arc::clone(&pipe), peer: from, called: false });
        let stream = UtpStream::new(pipe, conn, from, commands);
        let through_our_hole = self.has_made_a_hole(now, from.ip());
        (self.door.enter)(stream, through_our_hole);
    }

    /// Something goes to an address that is none of uTP's.
    pub(super) fn note_sent(&mut self, now: Instant, to: IpAddr) {
        self.sent.note(now, to);
    }

    /// Whether a router that lets in who was sent to lets in this one.
    fn has_made_a_hole(&mut self, now: Instant, to: IpAddr) -> bool {
        self.sent.lately(now, to) || self.calls.contains_key(&to.to_canonical())
    }

    /// A connection is nobody's any more; the hole that it was is open for a while.
    fn remove(&mut self, now: Instant, conn: ConnId) -> Option<End> {
        let end = self.pipes.remove(&conn)?;
        if end.called {
            let ip = end.peer.ip().to_canonical();
            self.sent.note(now, ip);
            if let Some(calls) = self.calls.get_mut(&ip) {
                *calls -= 1;
                if *calls == 0 {
                    self.calls.remove(&ip);
                }
            }
        }
        Some(end)
    }

    /// To which of our addresses somebody's datagrams have just come.
    fn local(&self, from: SocketAddr) -> Option<IpAddr> {
        self.reached_at.iter().find(|(peer, _)| *peer == from).map(|(_, local)| *local)
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::SENT_FOR;
    use super::*;
    use crate::net::Way;

    fn side() -> UtpSide {
        let way = Way::new(&toml::from_str("").expect("valid settings"));
        let sockets = Sockets::new(Vec::new(), &way);
        let (commands, _) = mpsc::unbounded_channel();
        let door = Door { accepts: true, enter: Arc::new(|_, _| {}) };
        let seed = Seed::from_u64(1);
        UtpSide::new(&sockets, Arc::default(), commands.downgrade(), door, seed)
    }

    #[test]
    fn who_comes_from_where_something_was_sent_proves_nothing() {
        let mut utp = side();
        let at = |secs: u64| Instant::ORIGIN + std::time::Duration::from_secs(secs);
        let ip = |n: u8| IpAddr::from([198, 51, 100, n]);
        assert!(!utp.has_made_a_hole(at(0), ip(1)));
        // The DHT asks a node, which is a peer, too.
        utp.note_sent(at(0), ip(1));
        assert!(utp.has_made_a_hole(at(0), ip(1)) && !utp.has_made_a_hole(at(0), ip(2)));
        let later = 3 * SENT_FOR.as_secs();
        assert!(!utp.has_made_a_hole(at(later), ip(1)));
        // A connection that we have opened keeps a hole open however old it is, whatever their port.
        let (conn, to) = (ConnId(1), SocketAddr::new(ip(3), 7716));
        let pipe = Arc::new(Pipe::new(Arc::default()));
        utp.request(at(later), Request::Connect { conn, to, pipe });
        let end = 10 * later;
        assert!(utp.has_made_a_hole(at(end), ip(3)));
        utp.request(at(end), Request::Close(conn));
        assert!(utp.has_made_a_hole(at(end), ip(3)));
        assert!(!utp.has_made_a_hole(at(end + later), ip(3)));
        assert!(utp.calls.is_empty());
    }
}
