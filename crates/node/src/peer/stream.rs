//! What carries a connection: TCP, or uTP (BEP 29). Handshakes take either as [`Stream`]; what comes after
//! is written once for both and compiled for each, so that no block waits for a choice.

use crate::udp::UtpStream;
use althing_bittorrent::swarm::Transport;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::net::TcpStream;

/// What bytes are moved over.
pub(crate) trait Carrier {
    /// Waits until something of `interest` can be done; what it is may be gone by then.
    async fn ready(&self, interest: Interest) -> io::Result<Ready>;

    /// Reads what has come. 0 is the end; [`io::ErrorKind::WouldBlock`] if there is nothing.
    fn try_read_vectored(&self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize>;

    /// Writes as much as goes; [`io::ErrorKind::WouldBlock`] if nothing does.
    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
}

impl Carrier for TcpStream {
    async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        TcpStream::ready(self, interest).await
    }

    fn try_read_vectored(&self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        TcpStream::try_read_vectored(self, slices)
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        TcpStream::try_write_vectored(self, slices)
    }
}

impl Carrier for UtpStream {
    async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        UtpStream::ready(self, interest).await
    }

    fn try_read_vectored(&self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        UtpStream::try_read_vectored(self, slices)
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        UtpStream::try_write_vectored(self, slices)
    }
}

/// Either.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Utp(UtpStream),
}

impl Stream {
    pub(crate) fn transport(&self) -> Transport {
        match self {
            Stream::Tcp(_) => Transport::Tcp,
            Stream::Utp(_) => Transport::Utp,
        }
    }

    /// This side's address, if that is known.
    pub(crate) fn local_ip(&self) -> Option<IpAddr> {
        match self {
            Stream::Tcp(stream) => Some(stream.local_addr().ok()?.ip().to_canonical()),
            Stream::Utp(stream) => stream.local_ip(),
        }
    }

    /// Out of this thread's event loop.
    pub(crate) fn detach(self) -> io::Result<Detached> {
        Ok(match self {
            Stream::Tcp(stream) => Detached::Tcp(stream.into_std()?),
            Stream::Utp(stream) => Detached::Utp(stream),
        })
    }
}

/// A stream on its way from one thread to another.
#[derive(Debug)]
pub(crate) enum Detached {
    Tcp(std::net::TcpStream),
    Utp(UtpStream),
}

impl Detached {
    /// Into this thread's event loop.
    pub(crate) fn attach(self) -> io::Result<Stream> {
        Ok(match self {
            Detached::Tcp(stream) => Stream::Tcp(TcpStream::from_std(stream)?),
            Detached::Utp(stream) => Stream::Utp(stream),
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Utp(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(context, data),
            Stream::Utp(stream) => Pin::new(stream).poll_write(context, data),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Stream::Utp(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Utp(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
