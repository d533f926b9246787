//! A peer written by hand, to do what no client does.

use crate::support::PATIENCE;
use althing_base::{Seed, Sha1Digest};
use althing_bittorrent::wire::mse::{Ciphers, Established, Initiator, Methods, Want};
use althing_bittorrent::wire::{
    DecodeLimits, Decoded, Handshake, Message, decode, encode_block_header,
};
use althing_bittorrent::{BlockRef, PeerId};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

/// Where strangers come from: an address of this machine that no session here uses.
pub(crate) const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// What a stranger hears.
#[derive(Debug)]
pub(crate) enum Heard {
    Message(Message),
    Block,
    /// The other side hung up.
    End,
}

pub(crate) struct Stranger {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

impl Stranger {
    /// Connects from [`ELSEWHERE`] and says nothing.
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(ELSEWHERE, 0)).expect("all of 127/8 is here");
        let stream = timeout(PATIENCE, socket.connect(addr)).await.expect("in time");
        Stranger { stream: stream.expect("it listens"), unread: Vec::new() }
    }

    /// Connects and exchanges handshakes.
    pub(crate) async fn meet(addr: SocketAddr, torrent: Sha1Digest) -> Self {
        let mut stranger = Self::connect(addr).await;
        stranger.shake_hands(torrent).await.expect("a handshake");
        stranger
    }

    /// Takes over a connection that a session made, and answers its handshake.
    pub(crate) async fn accepted(stream: TcpStream, torrent: Sha1Digest) -> Self {
        let mut stranger = Stranger { stream, unread: Vec::new() };
        stranger.shake_hands(torrent).await.expect("a handshake");
        stranger
    }

    /// The same under a name of its own.
    pub(crate) async fn accepted_as(stream: TcpStream, torrent: Sha1Digest, number: u16) -> Self {
        let mut stranger = Stranger { stream, unread: Vec::new() };
        // A session that has hung up meanwhile is noticed when it is listened to.
        let _ = stranger.shake_hands_as(torrent, number).await;
        stranger
    }

    /// Exchanges handshakes under a name of its own.
    pub(crate) async fn shake_hands_as(
        &mut self,
        torrent: Sha1Digest,
        number: u16,
    ) -> io::Result<()> {
        let mut id = *b"-XX0000-a-stranger--";
        id[18..].copy_from_slice(&number.to_be_bytes());
        self.greet(torrent, PeerId(id)).await
    }

    async fn shake_hands(&mut self, torrent: Sha1Digest) -> io::Result<()> {
        self.greet(torrent, PeerId(*b"-XX0000-a-stranger--")).await
    }

    async fn greet(&mut self, torrent: Sha1Digest, id: PeerId) -> io::Result<()> {
        let ours = Handshake::new(torrent, id, false);
        self.stream.write_all(&ours.encode()).await?;
        let mut theirs = [0; 68];
        timeout(PATIENCE, self.stream.read_exact(&mut theirs)).await??;
        Ok(())
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(PATIENCE, self.stream.write_all(bytes)).await?
    }

    pub(crate) async fn say(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        // A session that has hung up is noticed when it is listened to.
        let _ = self.send(&bytes).await;
    }

    pub(crate) async fn say_block(&mut self, block: BlockRef, payload: &[u8]) {
        let mut bytes = encode_block_header(block).to_vec();
        bytes.extend_from_slice(payload);
        let _ = self.send(&bytes).await;
    }

    /// The next thing the session says.
    pub(crate) async fn hear(&mut self) -> Heard {
        loop {
            match decode(&self.unread, &DecodeLimits::default()).expect("the session speaks well") {
                Decoded::Message { message, consumed } => {
                    self.unread.drain(..consumed);
                    return Heard::Message(message);
                }
                Decoded::Block { consumed, .. } => {
                    self.unread.drain(..consumed);
                    return Heard::Block;
                }
                Decoded::Incomplete { .. } => {}
            }
            let mut more = vec![0; 64 * 1024];
            let read = timeout(PATIENCE, self.stream.read(&mut more)).await;
            match read.expect("the session says something in time") {
                Ok(0) | Err(_) => return Heard::End,
                Ok(len) => self.unread.extend_from_slice(&more[..len]),
            }
        }
    }

    /// Listens until the session says something that `wanted` is about; panics if it hangs up.
    pub(crate) async fn hear_until(&mut self, wanted: impl Fn(&Message) -> bool) {
        loop {
            match self.hear().await {
                Heard::Message(message) if wanted(&message) => return,
                Heard::Message(_) | Heard::Block => {}
                Heard::End => panic!("the session hung up"),
            }
        }
    }

    /// Listens until the session hangs up.
    pub(crate) async fn hear_the_end(&mut self) {
        while !matches!(self.hear().await, Heard::End) {}
    }
}

/// The next connection that begins with a plain handshake; on others it hangs up, as peers do that
/// cannot encrypt.
pub(crate) async fn accept_plain(listener: &TcpListener) -> io::Result<TcpStream> {
    loop {
        let (stream, _) = listener.accept().await?;
        let mut first = [0];
        if matches!(timeout(PATIENCE, stream.peek(&mut first)).await, Ok(Ok(1))) && first[0] == 19 {
            return Ok(stream);
        }
    }
}

/// An encrypted stream as the stranger has it.
pub(crate) struct Encrypted {
    ciphers: Option<Box<Ciphers>>,
    early: Vec<u8>,
}

/// Goes through an encrypted handshake about `torrent`, with the plain one along; `None` if the
/// session hangs up.
pub(crate) async fn say_encrypted(
    stranger: &mut Stranger,
    torrent: Sha1Digest,
    methods: Methods,
) -> Option<Encrypted> {
    let ours = Handshake::new(torrent, PeerId(*b"-XX0000-a-stranger--"), false).encode();
    let mut side = Initiator::new(torrent, methods, &ours, Seed::from_u64(9));
    loop {
        stranger.send(&side.take_output()).await.ok()?;
        match side.want() {
            Want::Exchange => side.exchange().ok()?,
            Want::Bytes => {
                let mut chunk = [0; 512];
                let read = timeout(PATIENCE, stranger.stream.read(&mut chunk)).await;
                let len = read.expect("the session does something in time").ok()?;
                if len == 0 {
                    return None;
                }
                side.receive(&chunk[..len]).ok()?;
            }
            Want::Torrent(_) | Want::Nothing => {
                let Established { ciphers, early, .. } = side.finish()?;
                return Some(Encrypted { ciphers, early });
            }
        }
    }
}

impl Encrypted {
    /// Reads until `bytes` are full.
    pub(crate) async fn read(&mut self, stranger: &mut Stranger, bytes: &mut [u8]) {
        let early = self.early.len().min(bytes.len());
        for (byte, came) in bytes.iter_mut().zip(self.early.drain(..early)) {
            *byte = came;
        }
        let rest = &mut bytes[early..];
        let read = timeout(PATIENCE, stranger.stream.read_exact(rest)).await;
        read.expect("in time").expect("the session goes on");
        if let Some(ciphers) = &mut self.ciphers {
            ciphers.incoming.apply(rest);
        }
    }

    /// Says `bytes`.
    pub(crate) async fn write(&mut self, stranger: &mut Stranger, bytes: &mut [u8]) {
        if let Some(ciphers) = &mut self.ciphers {
            ciphers.outgoing.apply(bytes);
        }
        let _ = stranger.send(bytes).await;
    }
}
