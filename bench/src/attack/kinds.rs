//! What strangers do, each kind of them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use althing_bittorrent::wire::{
    DecodeLimits, Decoded, ExtensionHandshake, HashRequest, Message, MetadataMessage, PexFlags,
    PexMessage, PexPeer, UT_METADATA, UT_PEX, decode, encode_block_header,
};
use althing_bittorrent::{BlockRef, PieceIndex};
use tokio::io::AsyncReadExt as _;
use tokio::time::sleep;

use super::{Stranger, add};

/// How long one waits between two bytes of a handshake that comes byte by byte.
const TRICKLE: Duration = Duration::from_millis(200);

/// Requests of one that does not read: 4 MiB of blocks.
const DEAF_REQUESTS: usize = 256;

/// Addresses in one false peer exchange message: as many as are read.
const FALSE_ADDRESSES: usize = 100;

/// How often those come.
const FALSE_EVERY: Duration = Duration::from_millis(100);

/// What a stranger does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Nothing, and nobody comes: what the others are compared with.
    None,
    /// Connects, says a part of a handshake, and waits.
    HalfOpen,
    /// Says a handshake byte by byte.
    Trickle,
    /// Has keys computed for an encrypted handshake, and leaves.
    Keys,
    /// Takes a place, says that it is interested, and nothing more.
    Crowd,
    /// Asks for blocks and does not read.
    Deaf,
    /// Tells of pieces it has, and sends messages that mean nothing, without end.
    Haves,
    /// Asks for the same byte again and again.
    Tiny,
    /// Is interested, and not, and interested.
    Flap,
    /// Asks for the metadata again and again.
    Metadata,
    /// Asks for hashes again and again.
    Hashes,
    /// Has everything, and sends noise.
    Liar,
    /// Has everything, takes requests, and sends nothing.
    Promise,
    /// Has everything, chokes and unchokes.
    ChokeFlap,
    /// Has everything, and names false addresses.
    Pex,
}

impl Kind {
    /// All of them, in the order of the table.
    pub(crate) const ALL: [Kind; 15] = [
        Kind::None,
        Kind::HalfOpen,
        Kind::Trickle,
        Kind::Keys,
        Kind::Crowd,
        Kind::Deaf,
        Kind::Haves,
        Kind::Tiny,
        Kind::Flap,
        Kind::Metadata,
        Kind::Hashes,
        Kind::Liar,
        Kind::Promise,
        Kind::ChokeFlap,
        Kind::Pex,
    ];

    /// As the command line and the results call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::None => "none",
            Kind::HalfOpen => "half-open",
            Kind::Trickle => "trickle",
            Kind::Keys => "keys",
            Kind::Crowd => "crowd",
            Kind::Deaf => "deaf",
            Kind::Haves => "haves",
            Kind::Tiny => "tiny",
            Kind::Flap => "flap",
            Kind::Metadata => "metadata",
            Kind::Hashes => "hashes",
            Kind::Liar => "liar",
            Kind::Promise => "promise",
            Kind::ChokeFlap => "choke-flap",
            Kind::Pex => "pex",
        }
    }

    /// The one of that name.
    pub(crate) fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What they do, after their number.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Kind::None => "nobody",
            Kind::HalfOpen => "begin a handshake and wait",
            Kind::Trickle => "send a handshake byte by byte",
            Kind::Keys => "have keys computed for encryption and leave",
            Kind::Crowd => "take a place, are interested, and say no more",
            Kind::Deaf => "ask for blocks and do not read",
            Kind::Haves => "send `have` and unknown messages without end",
            Kind::Tiny => "ask for the same byte again and again",
            Kind::Flap => "are interested and not interested by turns",
            Kind::Metadata => "ask for metadata again and again",
            Kind::Hashes => "ask for hashes again and again (v2)",
            Kind::Liar => "have everything and send noise",
            Kind::Promise => "have everything, unchoke, and send nothing",
            Kind::ChokeFlap => "have everything, choke and unchoke by turns",
            Kind::Pex => "name a thousand false addresses a second",
        }
    }

    /// How many of them come at the full number.
    pub(crate) fn count(self) -> usize {
        match self {
            Kind::None => 0,
            Kind::HalfOpen | Kind::Trickle | Kind::Crowd => 10_000,
            Kind::Keys | Kind::Deaf | Kind::Liar | Kind::Promise => 1000,
            _ => 200,
        }
    }

    /// Whether it is somebody who fetches that they are after; else it is a seed.
    pub(crate) fn is_after_leechers(self) -> bool {
        matches!(self, Kind::Liar | Kind::Promise | Kind::ChokeFlap | Kind::Pex)
    }

    /// Whether they go through the whole handshake, without encryption.
    pub(super) fn shakes_hands(self) -> bool {
        !matches!(self, Kind::None | Kind::HalfOpen | Kind::Trickle | Kind::Keys)
    }

    /// Whether they need a torrent that has a hash tree.
    pub(crate) fn needs_v2(self) -> bool {
        self == Kind::Hashes
    }

    /// One connection of one of them, until it ends.
    pub(super) async fn visit(self, stranger: &mut Stranger<'_>) -> io::Result<()> {
        match self {
            Kind::None => Ok(()),
            Kind::HalfOpen => half_open(stranger).await,
            Kind::Trickle => trickle(stranger).await,
            Kind::Keys => keys(stranger).await,
            _ => {
                stranger.meet().await?;
                match self {
                    Kind::Crowd => {
                        stranger.say(&[Message::HaveNone, Message::Interested]).await?;
                        stranger.listen().await
                    }
                    Kind::Deaf => deaf(stranger).await,
                    Kind::Haves => haves(stranger).await,
                    Kind::Tiny => tiny(stranger).await,
                    Kind::Flap => {
                        stranger.say(&[Message::HaveNone]).await?;
                        let turns = [Message::Interested, Message::NotInterested];
                        stranger.flood(&many(&turns, 1000)).await
                    }
                    Kind::Metadata => metadata(stranger).await,
                    Kind::Hashes => hashes(stranger).await,
                    Kind::ChokeFlap => {
                        stranger.say(&[Message::HaveAll]).await?;
                        stranger.flood(&many(&[Message::Unchoke, Message::Choke], 1000)).await
                    }
                    Kind::Pex => pex(stranger).await,
                    Kind::Liar => liar(stranger).await,
                    _ => {
                        stranger.say(&[Message::HaveAll, Message::Unchoke]).await?;
                        stranger.listen().await
                    }
                }
            }
        }
    }
}

/// The messages, so many times.
fn many(messages: &[Message], times: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..times {
        messages.iter().for_each(|message| message.encode(&mut bytes));
    }
    bytes
}

async fn half_open(stranger: &mut Stranger<'_>) -> io::Result<()> {
    let whole = stranger.handshake();
    let part = match stranger.number % 6 {
        // Nothing; half a handshake; all but its last byte.
        0 => Vec::new(),
        1 => whole[..11].to_vec(),
        2 => whole[..67].to_vec(),
        // All but the last byte of a key; a key; a key and padding.
        3 => vec![0x55; 95],
        4 => vec![0x55; 96],
        _ => vec![0x55; 600],
    };
    stranger.send(&part).await?;
    stranger.listen().await
}

async fn trickle(stranger: &mut Stranger<'_>) -> io::Result<()> {
    for byte in stranger.handshake() {
        stranger.send(&[byte]).await?;
        sleep(TRICKLE).await;
    }
    stranger.listen().await
}

async fn keys(stranger: &mut Stranger<'_>) -> io::Result<()> {
    let mut key = [0; 96];
    stranger.rng.fill(&mut key);
    // Not what a plain handshake begins with, and a number of the group.
    key[0] = 0x55;
    stranger.send(&key).await?;
    let mut buffer = [0; 2048];
    stranger.hear(&mut buffer).await?;
    Ok(())
}

async fn deaf(stranger: &mut Stranger<'_>) -> io::Result<()> {
    let mut messages = vec![Message::HaveNone, Message::Interested];
    for _ in 0..DEAF_REQUESTS {
        messages.push(Message::Request(stranger.block()));
    }
    stranger.say(&messages).await?;
    // Requests come to nothing while they are choked, so they come again; what is not read is not
    // even looked at, so that only the end of writing tells of the end.
    loop {
        sleep(Duration::from_secs(1)).await;
        let again: Vec<Message> =
            (0..DEAF_REQUESTS / 8).map(|_| Message::Request(stranger.block())).collect();
        stranger.say(&again).await?;
    }
}

async fn haves(stranger: &mut Stranger<'_>) -> io::Result<()> {
    let mut messages = Vec::new();
    for _ in 0..1000 {
        let piece = PieceIndex(stranger.rng.below(u64::from(stranger.shared.pieces)) as u32);
        messages.extend([
            Message::Have(piece),
            Message::SuggestPiece(piece),
            Message::AllowedFast(piece),
            Message::Unknown { id: 99 },
        ]);
    }
    stranger.say(&[Message::HaveNone]).await?;
    stranger.flood(&many(&messages, 1)).await
}

async fn tiny(stranger: &mut Stranger<'_>) -> io::Result<()> {
    stranger.say(&[Message::HaveNone, Message::Interested]).await?;
    let block = BlockRef { len: 1, ..stranger.block() };
    stranger.flood(&many(&[Message::Request(block)], 100)).await
}

/// The extension handshake, and the number by which the other side wants messages of this kind.
async fn extend(stranger: &mut Stranger<'_>, name: &[u8]) -> io::Result<u8> {
    let ours = ExtensionHandshake {
        extensions: [(name.to_vec(), 7)].into(),
        ..ExtensionHandshake::default()
    };
    stranger.say(&[Message::Extended { id: 0, payload: ours.encode() }]).await?;
    let mut unread = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let len = stranger.hear(&mut buffer).await?;
        unread.extend_from_slice(&buffer[..len]);
        while let Decoded::Message { message, consumed } =
            decode(&unread, &DecodeLimits::default()).map_err(io::Error::other)?
        {
            unread.drain(..consumed);
            if let Message::Extended { id: 0, payload } = message {
                let theirs = ExtensionHandshake::parse(&payload).map_err(io::Error::other)?;
                return theirs.id(name).ok_or_else(|| io::ErrorKind::Unsupported.into());
            }
        }
    }
}

async fn metadata(stranger: &mut Stranger<'_>) -> io::Result<()> {
    stranger.say(&[Message::HaveNone]).await?;
    let id = extend(stranger, UT_METADATA).await?;
    let payload = MetadataMessage::Request { piece: 0 }.encode();
    stranger.flood(&many(&[Message::Extended { id, payload }], 100)).await
}

async fn hashes(stranger: &mut Stranger<'_>) -> io::Result<()> {
    stranger.say(&[Message::HaveNone]).await?;
    let pieces_root = stranger.shared.root.ok_or(io::ErrorKind::Unsupported)?;
    let mut messages = Vec::new();
    for _ in 0..100 {
        // Leaves, which are not kept but read from the disk and hashed again.
        let index = (stranger.rng.below(64) as u32) << 9;
        let request =
            HashRequest { pieces_root, base_layer: 0, index, length: 512, proof_layers: 0 };
        messages.push(Message::HashRequest(request));
    }
    stranger.flood(&many(&messages, 1)).await
}

async fn pex(stranger: &mut Stranger<'_>) -> io::Result<()> {
    stranger.say(&[Message::HaveAll]).await?;
    let id = extend(stranger, UT_PEX).await?;
    loop {
        let mut message = PexMessage::default();
        for _ in 0..FALSE_ADDRESSES {
            // Addresses for documentation and tests (RFC 5737, RFC 2544): nobody has them.
            let low = stranger.rng.next_u32();
            let [_, second, third, last] = low.to_be_bytes();
            let ip = Ipv4Addr::new(198, 18 + second % 2, third, last);
            let addr = SocketAddr::from((ip, 1 + (low >> 16) as u16 % 60_000));
            message.added.push(PexPeer { addr, flags: PexFlags::OUTGOING });
        }
        stranger.say(&[Message::Extended { id, payload: message.encode() }]).await?;
        sleep(FALSE_EVERY).await;
    }
}

async fn liar(stranger: &mut Stranger<'_>) -> io::Result<()> {
    stranger.say(&[Message::HaveAll, Message::Unchoke]).await?;
    let mut noise = vec![0; 1 << 14];
    stranger.rng.fill(&mut noise);
    let mut unread = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let len = stranger.stream.read(&mut buffer).await?;
        add(&stranger.shared.counts.came, len as u64);
        if len == 0 {
            return Ok(());
        }
        unread.extend_from_slice(&buffer[..len]);
        while let Decoded::Message { message, consumed } =
            decode(&unread, &DecodeLimits::default()).map_err(io::Error::other)?
        {
            unread.drain(..consumed);
            if let Message::Request(block) = message {
                let mut answer = encode_block_header(block).to_vec();
                answer.extend_from_slice(noise.get(..block.len as usize).unwrap_or_default());
                stranger.send(&answer).await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.name()), Some(kind));
            assert_eq!(kind.count() == 0, kind == Kind::None);
        }
        assert_eq!(Kind::named("kind"), None);
    }

    #[test]
    fn a_flood_is_whole_messages() {
        let payload = Bytes::from_static(b"de");
        let bytes = many(&[Message::Choke, Message::Extended { id: 3, payload }], 2);
        let mut at = 0;
        let mut count = 0;
        while at < bytes.len() {
            match decode(&bytes[at..], &DecodeLimits::default()) {
                Ok(Decoded::Message { consumed, .. }) => at += consumed,
                other => panic!("{other:?}"),
            }
            count += 1;
        }
        assert_eq!(count, 4);
    }
}
