//! Fetching a torrent's info dictionary from a peer (BEP 9, BEP 10), and nothing else: without saying where we
//! listen, without a bitfield, without asking for a single block. Whoever is asked sees a connection that
//! wants to know a name, and that ends.

use super::limits::{BESIDES_BYTES_MAX, INFO_BYTES_MAX};
use crate::peer::line::Line;
use althing_base::Sha1Digest;
use althing_base::hash::{sha1, sha256};
use althing_bittorrent::InfoHashes;
use althing_bittorrent::metainfo::{Magnet, Metainfo, MetainfoError};
use althing_bittorrent::wire::{
    DecodeLimits, Decoded, ExtensionHandshake, METADATA_PIECE_LEN, Message, MetadataMessage,
    UT_METADATA, WireError, decode,
};
use bytes::BytesMut;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};

/// The number under which we want to be sent pieces of it.
const OURS: u8 = 1;

/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 16 * 1024;

/// Why a peer has not sent it.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// The connection failed, or the peer hung up.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What it says is not the peer protocol.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// It does not give it, or it is too large.
    #[error("the peer does not give the info dictionary")]
    NotGiven,
    /// It says too much else.
    #[error("the peer says too much else")]
    TooMuch,
    /// What it sent is not what was meant.
    #[error("the peer sent another info dictionary")]
    Other,
}

/// Fetches the info dictionary over a connection on which both have shaken hands, and checks that it is the
/// one of that hash: of v1, or the first 20 bytes of that of v2.
pub(super) async fn fetch(
    line: &mut Line<impl AsyncRead + AsyncWrite + Unpin>,
    wanted: Sha1Digest,
) -> Result<Vec<u8>, FetchError> {
    say(
        line,
        0,
        ExtensionHandshake {
            extensions: [(UT_METADATA.to_vec(), OURS)].into(),
            ..ExtensionHandshake::default()
        }
        .encode(),
    )
    .await?;
    let mut buffer = BytesMut::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut read = 0;
    let mut pieces: Option<Pieces> = None;
    loop {
        let message = loop {
            match decode(&buffer, &DecodeLimits::default())? {
                Decoded::Incomplete { .. } => break None,
                Decoded::Block { consumed, .. } => drop(buffer.split_to(consumed)),
                Decoded::Message { message, consumed } => {
                    drop(buffer.split_to(consumed));
                    break Some(message);
                }
            }
        };
        let Some(message) = message else {
            if read > INFO_BYTES_MAX as usize + BESIDES_BYTES_MAX {
                return Err(FetchError::TooMuch);
            }
            let len = line.read(&mut chunk).await?;
            if len == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            read += len;
            buffer.extend_from_slice(chunk.get(..len).unwrap_or_default());
            continue;
        };
        match (message, &mut pieces) {
            (Message::Extended { id: 0, payload }, None) => {
                let theirs =
                    ExtensionHandshake::parse(&payload).map_err(|_| FetchError::NotGiven)?;
                let id = theirs.id(UT_METADATA).ok_or(FetchError::NotGiven)?;
                let size = theirs.metadata_size.filter(|size| *size <= INFO_BYTES_MAX);
                let size = size.ok_or(FetchError::NotGiven)?;
                for piece in 0..MetadataMessage::piece_count(size) {
                    say(line, id, MetadataMessage::Request { piece }.encode()).await?;
                }
                pieces = Some(Pieces::new(size));
            }
            (Message::Extended { id: OURS, payload }, Some(pieces)) => {
                match MetadataMessage::parse(&payload).map_err(|_| FetchError::NotGiven)? {
                    MetadataMessage::Data { piece, payload, .. } => pieces.put(piece, &payload),
                    MetadataMessage::Reject { .. } => return Err(FetchError::NotGiven),
                    MetadataMessage::Request { .. } | MetadataMessage::Unknown => {}
                }
                if pieces.missing == 0 {
                    let info = std::mem::take(&mut pieces.bytes);
                    return if is_it(&info, wanted) { Ok(info) } else { Err(FetchError::Other) };
                }
            }
            _ => {}
        }
    }
}

async fn say(
    line: &mut Line<impl AsyncRead + AsyncWrite + Unpin>,
    id: u8,
    payload: bytes::Bytes,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    Message::Extended { id, payload }.encode(&mut bytes);
    line.write(&bytes).await
}

/// What has come of it.
struct Pieces {
    bytes: Vec<u8>,
    has: Vec<bool>,
    missing: usize,
}

impl Pieces {
    fn new(size: u32) -> Self {
        let count = MetadataMessage::piece_count(size) as usize;
        Pieces { bytes: vec![0; size as usize], has: vec![false; count], missing: count }
    }

    /// A piece has come; one that does not fit, or is there, is nothing.
    fn put(&mut self, piece: u32, payload: &[u8]) {
        let at = piece as usize;
        let start = at * METADATA_PIECE_LEN;
        let end = self.bytes.len().min(start + METADATA_PIECE_LEN);
        let (Some(place), Some(has)) = (self.bytes.get_mut(start..end), self.has.get_mut(at))
        else {
            return;
        };
        if !*has && place.len() == payload.len() {
            place.copy_from_slice(payload);
            *has = true;
            self.missing -= 1;
        }
    }
}

fn is_it(info: &[u8], wanted: Sha1Digest) -> bool {
    sha1(info) == wanted || sha256(info).0[..Sha1Digest::LEN] == wanted.0
}

/// What an info dictionary says that was fetched for a hash.
pub(super) fn parse(info: &[u8], wanted: Sha1Digest) -> Result<Metainfo, MetainfoError> {
    let info_hashes = match sha1(info) == wanted {
        true => InfoHashes::v1_only(wanted),
        false => InfoHashes::v2_only(sha256(info)),
    };
    let (name, trackers, web_seeds, peers, select) = Default::default();
    Metainfo::from_info(info, &Magnet { info_hashes, name, trackers, web_seeds, peers, select })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::line::Link;
    use bytes::Bytes;
    use tokio::io::DuplexStream;

    fn line(stream: DuplexStream) -> Line<DuplexStream> {
        Line { stream, link: Link::default() }
    }

    fn info() -> Vec<u8> {
        (0..40_000u32).map(|at| at as u8).collect()
    }

    /// A peer that answers with `info`, with whatever it does to each message.
    async fn peer(stream: DuplexStream, info: Vec<u8>, size: u32, change: fn(&mut Vec<u8>)) {
        let mut line = line(stream);
        let hello = ExtensionHandshake {
            extensions: [(UT_METADATA.to_vec(), 7)].into(),
            metadata_size: Some(size),
            ..ExtensionHandshake::default()
        };
        // What it says besides is not looked at.
        let mut bytes = Vec::new();
        Message::HaveNone.encode(&mut bytes);
        Message::Unchoke.encode(&mut bytes);
        line.write(&bytes).await.expect("it is written");
        say(&mut line, 0, hello.encode()).await.expect("it is written");
        let mut buffer = Vec::new();
        let mut chunk = vec![0; 1_000];
        while let Ok(len @ 1..) = line.read(&mut chunk).await {
            buffer.extend_from_slice(&chunk[..len]);
            while let Ok(Decoded::Message { message, consumed }) =
                decode(&buffer, &DecodeLimits::default())
            {
                buffer.drain(..consumed);
                let Message::Extended { id: 7, payload } = message else { continue };
                let Ok(MetadataMessage::Request { piece }) = MetadataMessage::parse(&payload)
                else {
                    panic!("it asks for something else")
                };
                let start = piece as usize * METADATA_PIECE_LEN;
                let mut part = info[start..info.len().min(start + METADATA_PIECE_LEN)].to_vec();
                change(&mut part);
                let payload = Bytes::from(part);
                let data = MetadataMessage::Data { piece, total_size: None, payload };
                let _ = say(&mut line, OURS, data.encode()).await;
            }
        }
    }

    async fn fetched(
        size: u32,
        wanted: Sha1Digest,
        change: fn(&mut Vec<u8>),
    ) -> Result<Vec<u8>, FetchError> {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let serving = tokio::spawn(peer(theirs, info(), size, change));
        let mut line = line(ours);
        let result = fetch(&mut line, wanted).await;
        drop(line);
        serving.await.expect("the peer is honest about what it was asked");
        result
    }

    #[tokio::test]
    async fn it_is_fetched_by_either_name() {
        let info = info();
        let v2 = Sha1Digest::from_slice(&sha256(&info).0[..20]).expect("as long");
        for wanted in [sha1(&info), v2] {
            let got = fetched(40_000, wanted, |_| {}).await.expect("it is given");
            assert!(got == info);
        }
    }

    #[tokio::test]
    async fn what_is_not_it_is_refused() {
        let other = fetched(40_000, sha1(b"another"), |_| {}).await;
        assert!(matches!(other, Err(FetchError::Other)), "{other:?}");
        let wanted = sha1(&info());
        let changed = fetched(40_000, wanted, |part| part[5] ^= 1).await;
        assert!(matches!(changed, Err(FetchError::Other)), "{changed:?}");
        let large = fetched(INFO_BYTES_MAX + 1, wanted, |_| {}).await;
        assert!(matches!(large, Err(FetchError::NotGiven)), "{large:?}");
    }

    #[tokio::test]
    async fn who_talks_of_other_things_is_not_listened_to_for_ever() {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let talking = tokio::spawn(async move {
            let mut line = line(theirs);
            let mut haves = Vec::new();
            (0..5_000).for_each(|_| Message::KeepAlive.encode(&mut haves));
            while line.write(&haves).await.is_ok() {}
        });
        let result = fetch(&mut line(ours), sha1(b"x")).await;
        assert!(matches!(result, Err(FetchError::TooMuch)), "{result:?}");
        talking.await.expect("it ends");
    }
}
