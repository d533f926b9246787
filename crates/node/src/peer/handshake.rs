//! The first 68 bytes of both sides (BEP 3), and which of a hybrid torrent's two names is spoken
//! (BEP 52).

use althing_base::Sha1Digest;
use althing_bittorrent::InfoHashes;
use althing_bittorrent::wire::{HANDSHAKE_LEN, Handshake, WireError};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of a handshake that name the torrent; enough to answer.
const NAMED_BYTES: usize = 48;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// The socket failed, or the peer hung up.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What came is not BitTorrent's handshake.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The peer speaks of another torrent.
    #[error("the peer answered for another torrent")]
    OtherTorrent,
}

/// What has come of a handshake so far.
#[derive(Clone, Copy)]
pub(crate) struct Incoming {
    bytes: [u8; HANDSHAKE_LEN],
    filled: usize,
}

impl Incoming {
    /// Reads as much of a peer's handshake as tells which torrent it means.
    pub(crate) async fn read_name(
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Result<(Self, Sha1Digest), HandshakeError> {
        let mut incoming = Incoming { bytes: [0; HANDSHAKE_LEN], filled: 0 };
        incoming.read_until(stream, NAMED_BYTES).await?;
        let name = Handshake::peek_info_hash(&incoming.bytes[..incoming.filled])
            .expect("as many bytes as name it have been read");
        Ok((incoming, name))
    }

    /// Reads the rest.
    async fn read_all(
        mut self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Result<Handshake, HandshakeError> {
        self.read_until(stream, HANDSHAKE_LEN).await?;
        let handshake = Handshake::parse(&self.bytes)?;
        Ok(handshake.expect("as many bytes as there are in one have been read"))
    }

    /// Reads until there are at least `enough` bytes, never past the handshake's end.
    async fn read_until(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        enough: usize,
    ) -> Result<(), HandshakeError> {
        while self.filled < enough {
            let len = stream.read(&mut self.bytes[self.filled..]).await?;
            if len == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            self.filled += len;
            Handshake::parse(&self.bytes[..self.filled])?;
        }
        Ok(())
    }

    /// The reserved bits say whether the peer can go on in v2; they stand before the name.
    fn supports_v2(&self) -> bool {
        let mut whole = self.bytes;
        whole[NAMED_BYTES..].fill(0);
        matches!(Handshake::parse(&whole), Ok(Some(handshake)) if handshake.supports_v2())
    }
}

/// Answers a peer that connected and meant a torrent of ours. The handshake that comes back names
/// the info-hash that the connection speaks.
pub(crate) async fn answer(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    incoming: Incoming,
    named: Sha1Digest,
    hashes: InfoHashes,
    ours: Handshake,
) -> Result<Handshake, HandshakeError> {
    let spoken = spoken(named, hashes, incoming.supports_v2());
    let ours = Handshake { info_hash: spoken, ..ours };
    stream.write_all(&ours.encode()).await?;
    let theirs = incoming.read_all(stream).await?;
    Ok(Handshake { info_hash: spoken, ..theirs })
}

/// Opens the conversation on a connection of ours.
pub(crate) async fn greet(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    hashes: InfoHashes,
    ours: Handshake,
) -> Result<Handshake, HandshakeError> {
    stream.write_all(&ours.encode()).await?;
    let (incoming, named) = Incoming::read_name(stream).await?;
    // A peer may move on from v1 to v2, but not back, and not to another torrent.
    let moved_on = ours.supports_v2() && hashes.v2_short() == Some(named);
    if named != ours.info_hash && !moved_on {
        return Err(HandshakeError::OtherTorrent);
    }
    incoming.read_all(stream).await
}

/// Which info-hash to answer with (BEP 52): the one that was named; of a hybrid torrent the v2 one if
/// the peer came by v1 and can move on.
fn spoken(named: Sha1Digest, hashes: InfoHashes, peer_supports_v2: bool) -> Sha1Digest {
    match hashes.v2_short() {
        Some(v2) if peer_supports_v2 && hashes.v1() == Some(named) => v2,
        _ => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use althing_base::Sha256Digest;
    use althing_bittorrent::PeerId;

    const V1: Sha1Digest = Sha1Digest([1; 20]);
    const V2: Sha1Digest = Sha1Digest([2; 20]);

    fn hybrid() -> InfoHashes {
        InfoHashes::hybrid(V1, Sha256Digest([2; 32]))
    }

    fn handshake(name: Sha1Digest, id: u8, v2: bool) -> Handshake {
        Handshake::new(name, PeerId([id; 20]), v2)
    }

    /// The two ends of a connection, each with what it says: what each of them learns.
    async fn meet(
        theirs: Handshake,
        hashes: InfoHashes,
    ) -> (Result<Handshake, HandshakeError>, Result<Handshake, HandshakeError>) {
        let (mut near, mut far) = tokio::io::duplex(256);
        let answering = async {
            let (incoming, named) = Incoming::read_name(&mut near).await?;
            let ours = handshake(named, 9, hashes.v2().is_some());
            answer(&mut near, incoming, named, hashes, ours).await
        };
        tokio::join!(greet(&mut far, hybrid(), theirs), answering)
    }

    #[tokio::test]
    async fn each_learns_who_the_other_is() {
        let hashes = InfoHashes::v1_only(V1);
        let (greeted, answered) = meet(handshake(V1, 7, false), hashes).await;
        assert_eq!(greeted.expect("it answers"), handshake(V1, 9, false));
        assert_eq!(answered.expect("it greets"), handshake(V1, 7, false));
    }

    #[tokio::test]
    async fn hybrid_torrents_move_on_to_v2_if_both_can() {
        let spoken = |theirs| async move {
            let (greeted, answered) = meet(theirs, hybrid()).await;
            let spoken = greeted.expect("it answers").info_hash;
            assert_eq!(answered.expect("it greets").info_hash, spoken);
            spoken
        };
        assert_eq!(spoken(handshake(V1, 7, true)).await, V2);
        assert_eq!(spoken(handshake(V1, 7, false)).await, V1);
        assert_eq!(spoken(handshake(V2, 7, true)).await, V2);
    }

    #[tokio::test]
    async fn an_answer_for_another_torrent_is_refused() {
        let (mut near, mut far) = tokio::io::duplex(256);
        let other = handshake(Sha1Digest([3; 20]), 9, true).encode();
        near.write_all(&other).await.expect("it fits the pipe");
        let greeted = greet(&mut far, hybrid(), handshake(V1, 7, true)).await;
        assert!(matches!(greeted, Err(HandshakeError::OtherTorrent)));
    }

    #[tokio::test]
    async fn strangers_are_turned_away_at_the_first_wrong_byte() {
        let (mut near, mut far) = tokio::io::duplex(256);
        near.write_all(b"GET / HTTP").await.expect("it fits the pipe");
        let named = Incoming::read_name(&mut far).await;
        assert!(matches!(named, Err(HandshakeError::Wire(_))));
        drop(far);
        let (mut near, mut far) = tokio::io::duplex(256);
        near.write_all(&handshake(V1, 7, false).encode()[..30]).await.expect("it fits the pipe");
        drop(near);
        assert!(matches!(Incoming::read_name(&mut far).await, Err(HandshakeError::Io(_))));
    }
}
