//! uTP's place on the UDP thread (BEP 29): the machine of all connections, and the pipes to those who
//! read and write them.

use super::limits::{CALLED_FOR, CALLED_MAX};
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
    /// Whom we have called, and when: that they come in proves nothing, we have made the hole.
    called: BTreeMap<IpAddr, Instant>,
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
            called: BTreeMap::new(),
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
                self.pipes.insert(conn, End { pipe, peer: to });
                self.note_called(now, to.ip());
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
                self.pipes.remove(&conn);
                self.machine.handle_input(now, Input::Close { conn });
            }
            Request::Abort(conn) => {
                self.pipes.remove(&conn);
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
                let Some(End { pipe, peer }) = self.pipes.get(&conn) else { return };
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
                        self.pipes.remove(&conn);
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
                let Some(End { pipe, .. }) = self.pipes.remove(&conn) else { return };
                self.wake.extend(pipe.ended(error_kind(why)));
            }
        }
    }

    /// Somebody has opened a connection.
    fn arrived(&mut self, now: Instant, conn: ConnId, from: SocketAddr) {
        // If not, everything is about to end.
        let Some(commands) = self.commands.upgrade() else { return };
        let pipe = Arc::new(Pipe::new(Arc::clone(&self.unread)));
        pipe.connected(self.local(from));
        self.pipes.insert(conn, End { pipe: Arc::clone(&pipe), peer: from });
        let stream = UtpStream::new(pipe, conn, from, commands);
        let called = self.called.get(&from.ip().to_canonical());
        let through_our_hole = called.is_some_and(|at| now.since(*at) < CALLED_FOR);
        (self.door.enter)(stream, through_our_hole);
    }

    /// To which of our addresses somebody's datagrams have just come.
    fn local(&self, from: SocketAddr) -> Option<IpAddr> {
        self.reached_at.iter().find(|(peer, _)| *peer == from).map(|(_, local)| *local)
    }

    fn note_called(&mut self, now: Instant, ip: IpAddr) {
        self.called.insert(ip.to_canonical(), now);
        if self.called.len() > CALLED_MAX {
            self.called.retain(|_, at| now.since(*at) < CALLED_FOR);
            // Too many at once: some count as if they had not been called.
            while self.called.len() > CALLED_MAX {
                self.called.pop_first();
            }
        }
    }
}
