//! A uTP connection as a stream of bytes, for whichever thread serves the peer.
//!
//! The UDP thread has the machine; whoever reads and writes has a [`UtpStream`]. Between the two lies a
//! [`Pipe`]: bytes that came and were not read, no more than the connection's window; bytes that were
//! written and not taken, no more than the machine granted. Either side wakes the other only when there
//! is something new to do.

use super::limits::{CONSUMED_TOLD, UNREAD_BYTES_MAX, UNREAD_BYTES_SPARED};
use super::{Command, utp};
use althing_bittorrent::utp::{CloseReason, ConnId};
use bytes::{Buf as _, Bytes};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::sync::mpsc;

/// What both threads share of a connection.
pub(super) struct Pipe {
    state: Mutex<State>,
    /// What all connections together hold that was not read.
    unread: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
    connected: bool,
    /// This side's address, if the system told.
    local: Option<IpAddr>,
    /// What came and was not read.
    incoming: VecDeque<Bytes>,
    incoming_bytes: usize,
    /// Bytes that were read, of which the machine has not been told.
    consumed: usize,
    /// What was written and not handed to the machine.
    outgoing: Vec<Bytes>,
    /// Bytes that may be written.
    room: u64,
    /// Nothing more will come.
    finished: bool,
    /// The connection is no more.
    ended: Option<io::ErrorKind>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// The UDP thread has been told to look, and has not looked yet.
    told: bool,
}

/// What the UDP thread has to hand to the machine.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) written: Vec<Bytes>,
    pub(super) consumed: usize,
}

impl Pipe {
    pub(super) fn new(unread: Arc<AtomicUsize>) -> Self {
        Pipe { state: Mutex::default(), unread }
    }

    /// It stands.
    pub(super) fn connected(&self, local: Option<IpAddr>) -> Option<Waker> {
        let mut state = self.lock();
        (state.connected, state.local) = (true, local);
        state.writer.take()
    }

    /// Bytes came. An error if others need the memory more: the connection is to go.
    pub(super) fn received(&self, data: Bytes) -> Result<Option<Waker>, TooMuch> {
        let mut state = self.lock();
        let all = self.unread.fetch_add(data.len(), Ordering::Relaxed) + data.len();
        state.incoming_bytes += data.len();
        state.incoming.push_back(data);
        if all > UNREAD_BYTES_MAX && state.incoming_bytes > UNREAD_BYTES_SPARED {
            return Err(TooMuch);
        }
        Ok(state.reader.take())
    }

    /// Nothing more will come.
    pub(super) fn finished(&self) -> Option<Waker> {
        let mut state = self.lock();
        state.finished = true;
        state.reader.take()
    }

    /// So many more bytes may be written.
    pub(super) fn granted(&self, bytes: u64) -> Option<Waker> {
        let mut state = self.lock();
        state.room += bytes;
        state.writer.take()
    }

    /// The connection is no more.
    pub(super) fn ended(&self, why: io::ErrorKind) -> [Option<Waker>; 2] {
        let mut state = self.lock();
        state.ended = Some(why);
        [state.reader.take(), state.writer.take()]
    }

    /// What the other thread has left here.
    pub(super) fn take(&self) -> Taken {
        let mut state = self.lock();
        state.told = false;
        Taken {
            written: std::mem::take(&mut state.outgoing),
            consumed: std::mem::take(&mut state.consumed),
        }
    }

    /// A poisoned lock would mean a panic between plain assignments.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let left = self.lock().incoming_bytes;
        self.unread.fetch_sub(left, Ordering::Relaxed);
    }
}

/// All connections together hold more than they may, and this one more than its share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TooMuch;

/// What the end of a connection looks like to who reads and writes.
pub(super) fn error_kind(why: CloseReason) -> io::ErrorKind {
    match why {
        CloseReason::Done => io::ErrorKind::NotConnected,
        CloseReason::NoAnswer | CloseReason::TimedOut => io::ErrorKind::TimedOut,
        CloseReason::Refused => io::ErrorKind::ConnectionRefused,
        CloseReason::Reset => io::ErrorKind::ConnectionReset,
        CloseReason::Full => io::ErrorKind::QuotaExceeded,
    }
}

/// One side of a uTP connection. Dropped, it says goodbye once all that was written has arrived; one
/// that does not stand yet is given up.
pub(crate) struct UtpStream {
    pipe: Arc<Pipe>,
    conn: ConnId,
    peer: SocketAddr,
    commands: mpsc::UnboundedSender<Command>,
}

impl std::fmt::Debug for UtpStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UtpStream").field("conn", &self.conn).field("peer", &self.peer).finish()
    }
}

impl UtpStream {
    pub(super) fn new(
        pipe: Arc<Pipe>,
        conn: ConnId,
        peer: SocketAddr,
        commands: mpsc::UnboundedSender<Command>,
    ) -> Self {
        UtpStream { pipe, conn, peer, commands }
    }

    /// The other side's address.
    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// This side's address, if the system told.
    pub(crate) fn local_ip(&self) -> Option<IpAddr> {
        self.pipe.lock().local
    }

    /// Waits until it stands.
    pub(super) async fn connected(&self) -> io::Result<()> {
        poll_fn(|context| {
            let mut state = self.pipe.lock();
            if let Some(why) = state.ended {
                return Poll::Ready(Err(why.into()));
            }
            if state.connected {
                return Poll::Ready(Ok(()));
            }
            register(&mut state.writer, context);
            Poll::Pending
        })
        .await
    }

    /// Waits until something of `interest` can be done; what it is may be gone by then.
    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        poll_fn(|context| {
            let mut state = self.pipe.lock();
            let mut ready = Ready::EMPTY;
            if interest.is_readable() {
                if state.may_read() {
                    ready |= Ready::READABLE;
                } else {
                    register(&mut state.reader, context);
                }
            }
            if interest.is_writable() {
                if state.may_write() {
                    ready |= Ready::WRITABLE;
                } else {
                    register(&mut state.writer, context);
                }
            }
            if ready.is_empty() { Poll::Pending } else { Poll::Ready(Ok(ready)) }
        })
        .await
    }

    /// Reads what has come. 0 is the end.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is nothing.
    pub(crate) fn try_read_vectored(&self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut state = self.pipe.lock();
        let mut read = 0;
        for slice in slices {
            let len = state.read(slice);
            read += len;
            if len < slice.len() {
                break;
            }
        }
        self.after_read(state, read)
    }

    /// Writes as much as may be.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing may be.
    pub(crate) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.pipe.lock();
        if let Some(why) = state.ended {
            return Err(why.into());
        }
        let all: usize = slices.iter().map(|slice| slice.len()).sum();
        let len = usize::try_from(state.room).unwrap_or(usize::MAX).min(all);
        if len == 0 {
            return if all == 0 { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        let mut data = Vec::with_capacity(len);
        for slice in slices {
            let part = slice.len().min(len - data.len());
            data.extend_from_slice(&slice[..part]);
        }
        state.room -= len as u64;
        state.outgoing.push(data.into());
        self.tell(state);
        Ok(len)
    }

    fn after_read(&self, mut state: MutexGuard<'_, State>, read: usize) -> io::Result<usize> {
        if read == 0 {
            return match state.ended {
                _ if state.finished => Ok(0),
                Some(why) => Err(why.into()),
                None => Err(io::ErrorKind::WouldBlock.into()),
            };
        }
        self.pipe.unread.fetch_sub(read, Ordering::Relaxed);
        state.consumed += read;
        // For less the other thread is not woken: the window is that much smaller.
        if state.consumed >= CONSUMED_TOLD {
            self.tell(state);
        }
        Ok(read)
    }

    /// Lets the UDP thread look at what is here.
    fn tell(&self, mut state: MutexGuard<'_, State>) {
        if !std::mem::replace(&mut state.told, true) {
            drop(state);
            self.send(utp::Request::Look(self.conn));
        }
    }

    fn send(&self, request: utp::Request) {
        // An error means that the session has ended.
        let _ = self.commands.send(Command::Utp(request));
    }
}

impl Drop for UtpStream {
    fn drop(&mut self) {
        let connected = self.pipe.lock().connected;
        self.send(match connected {
            true => utp::Request::Close(self.conn),
            false => utp::Request::Abort(self.conn),
        });
    }
}

impl State {
    fn may_read(&self) -> bool {
        self.incoming_bytes > 0 || self.finished || self.ended.is_some()
    }

    fn may_write(&self) -> bool {
        self.room > 0 || self.ended.is_some()
    }

    fn read(&mut self, slice: &mut [u8]) -> usize {
        let mut read = 0;
        while let Some(first) = self.incoming.front_mut()
            && read < slice.len()
        {
            let len = first.len().min(slice.len() - read);
            slice[read..read + len].copy_from_slice(&first[..len]);
            read += len;
            first.advance(len);
            if first.is_empty() {
                self.incoming.pop_front();
            }
        }
        self.incoming_bytes -= read;
        read
    }
}

fn register(slot: &mut Option<Waker>, context: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(context.waker()),
        None => *slot = Some(context.waker().clone()),
    }
}

fn or_pending(result: io::Result<usize>) -> Poll<io::Result<usize>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

impl AsyncRead for UtpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Before looking, so that nothing is missed between the two.
        register(&mut self.pipe.lock().reader, context);
        let unfilled = buffer.initialize_unfilled();
        let read = or_pending(self.try_read_vectored(&mut [IoSliceMut::new(unfilled)]));
        read.map_ok(|len| buffer.advance(len))
    }
}

impl AsyncWrite for UtpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        register(&mut self.pipe.lock().writer, context);
        or_pending(self.try_write_vectored(&[IoSlice::new(data)]))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Dropping it says goodbye.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::{CONSUMED_TOLD, UNREAD_BYTES_MAX};
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    struct Ends {
        stream: UtpStream,
        pipe: Arc<Pipe>,
        commands: mpsc::UnboundedReceiver<Command>,
        unread: Arc<AtomicUsize>,
    }

    /// A stream and what the UDP thread has of it.
    fn ends() -> Ends {
        let (sender, commands) = mpsc::unbounded_channel();
        let unread = Arc::<AtomicUsize>::default();
        let pipe = Arc::new(Pipe::new(Arc::clone(&unread)));
        let peer = "192.0.2.1:1".parse().expect("an address");
        let stream = UtpStream::new(Arc::clone(&pipe), ConnId(1), peer, sender);
        Ends { stream, pipe, commands, unread }
    }

    fn next(commands: &mut mpsc::UnboundedReceiver<Command>) -> &'static str {
        match commands.try_recv() {
            Ok(Command::Utp(utp::Request::Look(ConnId(1)))) => "look",
            Ok(Command::Utp(utp::Request::Close(ConnId(1)))) => "close",
            Ok(Command::Utp(utp::Request::Abort(ConnId(1)))) => "abort",
            Ok(_) => "something else",
            Err(_) => "nothing",
        }
    }

    fn wake(waker: Option<Waker>) {
        waker.into_iter().for_each(Waker::wake);
    }

    #[tokio::test]
    async fn what_comes_is_read_in_order_and_whoever_waits_is_woken() {
        let Ends { mut stream, pipe, unread, .. } = ends();
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.map(|_| all)
        });
        for part in ["heyr ", "þér", ", heyr þér"] {
            tokio::task::yield_now().await;
            let waker = pipe.received(Bytes::from_static(part.as_bytes())).expect("room");
            wake(waker);
        }
        wake(pipe.finished());
        let all = reading.await.expect("no panic").expect("it ends well");
        assert_eq!(String::from_utf8_lossy(&all), "heyr þér, heyr þér");
        assert_eq!(unread.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn no_more_is_written_than_was_granted() {
        let Ends { mut stream, pipe, mut commands, .. } = ends();
        wake(pipe.granted(10));
        let slices = [IoSlice::new(b"0123456"), IoSlice::new(b"789abc")];
        assert_eq!(stream.try_write_vectored(&slices).expect("room"), 10);
        let full = stream.try_write_vectored(&slices).expect_err("no room");
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        // One word is enough for all that was written until it is looked at.
        wake(pipe.granted(1));
        stream.try_write_vectored(&slices).expect("room for one");
        assert_eq!((next(&mut commands), next(&mut commands)), ("look", "nothing"));
        assert_eq!(pipe.take().written.concat(), b"01234567890");
        let writing = tokio::spawn(async move { stream.write_all(b"xyz").await });
        for _ in 0..3 {
            tokio::task::yield_now().await;
            wake(pipe.granted(1));
        }
        writing.await.expect("no panic").expect("all of it was granted");
        assert_eq!(pipe.take().written.concat(), b"xyz");
    }

    #[test]
    fn what_was_read_is_told_when_it_is_worth_it() {
        let Ends { stream, pipe, mut commands, .. } = ends();
        pipe.received(vec![7; CONSUMED_TOLD + 1].into()).expect("room");
        let mut buffer = vec![0; CONSUMED_TOLD - 1];
        stream.try_read_vectored(&mut [IoSliceMut::new(&mut buffer)]).expect("it is there");
        assert_eq!(next(&mut commands), "nothing");
        let read = stream.try_read_vectored(&mut [IoSliceMut::new(&mut buffer)]);
        assert_eq!(read.expect("it is there"), 2);
        assert_eq!(next(&mut commands), "look");
        assert_eq!(pipe.take().consumed, CONSUMED_TOLD + 1);
    }

    #[tokio::test]
    async fn an_end_is_seen_after_all_that_came_before_it() {
        let Ends { mut stream, pipe, .. } = ends();
        pipe.received(Bytes::from_static(b"last words")).expect("room");
        pipe.ended(io::ErrorKind::ConnectionReset).into_iter().for_each(wake);
        let mut buffer = [0; 32];
        assert_eq!(stream.read(&mut buffer).await.expect("they come"), 10);
        let kind = stream.read(&mut buffer).await.expect_err("it is over").kind();
        assert_eq!(kind, io::ErrorKind::ConnectionReset);
        assert!(stream.write(b"x").await.is_err());
        let ready = stream.ready(Interest::READABLE | Interest::WRITABLE).await;
        assert!(ready.is_ok_and(|ready| ready.is_readable() && ready.is_writable()));
    }

    #[test]
    fn dropped_before_it_stands_it_is_given_up_and_later_it_says_goodbye() {
        let Ends { stream, mut commands, .. } = ends();
        drop(stream);
        assert_eq!(next(&mut commands), "abort");
        let Ends { stream, pipe, mut commands, .. } = ends();
        wake(pipe.connected(None));
        drop(stream);
        assert_eq!(next(&mut commands), "close");
    }

    #[test]
    fn when_memory_is_short_who_has_more_than_its_share_goes() {
        let Ends { stream: _stream, pipe, unread, .. } = ends();
        unread.store(UNREAD_BYTES_MAX, Ordering::Relaxed);
        pipe.received(vec![0; UNREAD_BYTES_SPARED].into()).expect("its share");
        assert_eq!(pipe.received(Bytes::from_static(b"x")).err(), Some(TooMuch));
        drop((_stream, pipe));
        // What it held is not counted any more.
        assert_eq!(unread.load(Ordering::Relaxed), UNREAD_BYTES_MAX);
    }
}
