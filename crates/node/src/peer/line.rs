//! A connection while both sides shake hands: the socket, what encryption stands before it, and bytes
//! that came before anybody asked for them.

use althing_bittorrent::wire::mse::limits::CHUNK_BYTES;
use althing_bittorrent::wire::mse::{Ciphers, Established, Initiator, Method, MseError, Responder};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

/// How much of a connection is encrypted (message stream encryption).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Encrypted {
    /// Nothing.
    #[default]
    No,
    /// The handshake, which would tell what the connection is; the rest goes as it is.
    Handshake,
    /// Everything, by RC4.
    All,
}

/// What stands between a socket and the peer protocol.
#[derive(Default)]
pub(crate) struct Link {
    pub(crate) encrypted: Encrypted,
    /// The ciphers, if everything is encrypted.
    pub(crate) ciphers: Option<Box<Ciphers>>,
    /// What has come and has not been read.
    early: Vec<u8>,
    /// What goes out before anything else.
    held: Vec<u8>,
}

impl Link {
    /// What a handshake came to; `held` is what it left to be written.
    pub(crate) fn encrypted(established: Established, held: Vec<u8>) -> Self {
        let Established { method, ciphers, early } = established;
        let encrypted = match method {
            Method::Plain => Encrypted::Handshake,
            Method::Rc4 => Encrypted::All,
        };
        Link { encrypted, ciphers, early, held }
    }

    /// What has come and has not been read; taken out.
    pub(crate) fn take_early(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.early)
    }
}

/// A socket and what stands before it.
pub(crate) struct Line<S> {
    pub(crate) stream: S,
    pub(crate) link: Link,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    /// Reads what has come, as it is meant. 0 is the end.
    pub(crate) async fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let early = &mut self.link.early;
        if !early.is_empty() {
            let len = early.len().min(bytes.len());
            bytes[..len].copy_from_slice(&early[..len]);
            early.drain(..len);
            return Ok(len);
        }
        let len = self.stream.read(bytes).await?;
        if let Some(ciphers) = &mut self.link.ciphers {
            ciphers.incoming.apply(&mut bytes[..len]);
        }
        Ok(len)
    }

    /// Whether so many bytes can be read without waiting.
    pub(crate) fn has_come(&self, bytes: usize) -> bool {
        self.link.early.len() >= bytes
    }

    /// Writes `bytes`, after what is held back.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut all = std::mem::take(&mut self.link.held);
        let from = all.len();
        all.extend_from_slice(bytes);
        if let Some(ciphers) = &mut self.link.ciphers {
            ciphers.outgoing.apply(&mut all[from..]);
        }
        self.stream.write_all(&all).await
    }
}

/// Either side of an encrypted handshake, as the driver sees it.
pub(crate) trait Side {
    /// Hands in what came.
    fn receive(&mut self, bytes: &[u8]) -> Result<(), MseError>;
}

impl Side for Initiator {
    fn receive(&mut self, bytes: &[u8]) -> Result<(), MseError> {
        Initiator::receive(self, bytes)
    }
}

impl Side for Responder {
    fn receive(&mut self, bytes: &[u8]) -> Result<(), MseError> {
        Responder::receive(self, bytes)
    }
}

/// Reads once for `side`. While it waits it holds no buffer: thousands may be waiting.
///
/// # Errors
/// The socket's, [`io::ErrorKind::UnexpectedEof`] at the end, or [`io::ErrorKind::InvalidData`] with
/// what `side` says.
pub(crate) async fn feed(
    stream: &mut (impl AsyncRead + Unpin),
    side: &mut impl Side,
) -> io::Result<()> {
    poll_fn(|context| {
        let mut chunk = [0; CHUNK_BYTES];
        let mut chunk = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut *stream).poll_read(context, &mut chunk))?;
        if chunk.filled().is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        let taken = side.receive(chunk.filled());
        Poll::Ready(taken.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)))
    })
    .await
}
