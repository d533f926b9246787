//! The first bytes of both sides: whether they are encrypted, the handshake itself (BEP 3), and which of
//! a hybrid torrent's two names is spoken (BEP 52).

use super::line::{Line, Link, feed};
use crate::config::Encryption;
use althing_base::{Seed, Sha1Digest};
use althing_bittorrent::InfoHashes;
use althing_bittorrent::wire::mse::{Initiator, Methods, MseError, Responder, Want};
use althing_bittorrent::wire::{HANDSHAKE_LEN, Handshake, WireError};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

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
    /// What came is not an encrypted handshake.
    #[error(transparent)]
    Mse(#[from] MseError),
    /// The peer speaks of another torrent.
    #[error("the peer answered for another torrent")]
    OtherTorrent,
    /// The peer speaks plainly, and the settings do not allow that.
    #[error("the connection is not encrypted, and network.encryption is \"required\"")]
    NotEncrypted,
    /// Its place went to a newer connection.
    #[error("too many connections at once, and this one was the oldest")]
    Evicted,
    /// One address has us compute more keys than any peer needs.
    #[error("too many encrypted handshakes from there")]
    TooManyKeys,
}

/// What who accepts connections brings to an encrypted handshake.
pub(crate) trait Gate {
    /// What is allowed.
    fn encryption(&self) -> Encryption;
    /// The seed of this handshake's keys.
    fn seed(&self) -> Seed;
    /// Waits until keys may be computed for this peer.
    async fn key_exchange(&self) -> Result<(), HandshakeError>;
    /// The torrent with that lookup key.
    fn find(&self, key: Sha1Digest) -> Option<Sha1Digest>;
}

/// What has come of a handshake so far.
#[derive(Clone, Copy)]
pub(crate) struct Incoming {
    bytes: [u8; HANDSHAKE_LEN],
    filled: usize,
}

impl Incoming {
    fn nothing() -> Self {
        Incoming { bytes: [0; HANDSHAKE_LEN], filled: 0 }
    }

    /// Reads the rest.
    async fn read_all(
        mut self,
        line: &mut Line<impl AsyncRead + AsyncWrite + Unpin>,
    ) -> Result<Handshake, HandshakeError> {
        self.read_until(line, HANDSHAKE_LEN).await?;
        let handshake = Handshake::parse(&self.bytes)?;
        Ok(handshake.expect("as many bytes as there are in one have been read"))
    }

    /// Reads until there are at least `enough` bytes, never past the handshake's end.
    async fn read_until(
        &mut self,
        line: &mut Line<impl AsyncRead + AsyncWrite + Unpin>,
        enough: usize,
    ) -> Result<(), HandshakeError> {
        while self.filled < enough {
            let len = line.read(&mut self.bytes[self.filled..]).await?;
            if len == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            self.filled += len;
            Handshake::parse(&self.bytes[..self.filled])?;
        }
        Ok(())
    }

    /// The torrent's name; there are enough bytes.
    fn name(&self) -> Sha1Digest {
        Handshake::peek_info_hash(&self.bytes[..self.filled])
            .expect("as many bytes as name it have been read")
    }

    /// The reserved bits say whether the peer can go on in v2; they stand before the name.
    fn supports_v2(&self) -> bool {
        let mut whole = self.bytes;
        whole[NAMED_BYTES..].fill(0);
        matches!(Handshake::parse(&whole), Ok(Some(handshake)) if handshake.supports_v2())
    }
}

/// Reads as much of what a peer says as tells which torrent it means, whether it says so plainly or
/// under encryption. Nothing of ours that tells whether the torrent is here has been written yet.
pub(crate) async fn meet(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    gate: &impl Gate,
) -> Result<(Link, Incoming, Sha1Digest), HandshakeError> {
    let mut incoming = Incoming::nothing();
    while incoming.filled < NAMED_BYTES {
        let len = stream.read(&mut incoming.bytes[incoming.filled..]).await?;
        if len == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        incoming.filled += len;
        let came = &incoming.bytes[..incoming.filled];
        // A key begins like a plain handshake by chance only, and soon goes on in another way.
        if let Err(error) = Handshake::parse(came) {
            let methods = gate.encryption().methods().ok_or(error)?;
            return respond(stream, came, methods, gate).await;
        }
    }
    if gate.encryption() == Encryption::Required {
        return Err(HandshakeError::NotEncrypted);
    }
    let name = incoming.name();
    Ok((Link::default(), incoming, name))
}

/// Goes through an encrypted handshake that begins with the bytes that `came`.
async fn respond(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    came: &[u8],
    methods: Methods,
    gate: &impl Gate,
) -> Result<(Link, Incoming, Sha1Digest), HandshakeError> {
    let mut side = Box::new(Responder::new(methods, gate.seed()));
    let mut torrent = Sha1Digest::ZERO;
    side.receive(came)?;
    loop {
        match side.want() {
            Want::Bytes => feed(stream, &mut *side).await?,
            Want::Exchange => {
                gate.key_exchange().await?;
                side.exchange()?;
                stream.write_all(&side.take_output()).await?;
            }
            Want::Torrent(key) => {
                let found = gate.find(key);
                torrent = found.unwrap_or(torrent);
                side.torrent(found)?;
            }
            Want::Nothing => break,
        }
    }
    let held = side.take_output();
    let established = side.finish().ok_or(io::ErrorKind::InvalidData).map_err(io::Error::from)?;
    Ok((Link::encrypted(established, held), Incoming::nothing(), torrent))
}

/// Answers a peer that connected and meant a torrent of ours. The handshake that comes back names
/// the info-hash that the connection speaks.
pub(crate) async fn answer(
    line: &mut Line<impl AsyncRead + AsyncWrite + Unpin>,
    mut incoming: Incoming,
    hashes: InfoHashes,
    ours: Handshake,
) -> Result<Handshake, HandshakeError> {
    if incoming.filled < NAMED_BYTES {
        // Most often it came along with the rest; if not, it waits for what we have held back.
        if !line.has_come(NAMED_BYTES) {
            line.write(&[]).await?;
        }
        incoming.read_until(line, NAMED_BYTES).await?;
    }
    let named = incoming.name();
    if !hashes.matches(named) {
        return Err(HandshakeError::OtherTorrent);
    }
    let spoken = spoken(named, hashes, incoming.supports_v2());
    let ours = Handshake { info_hash: spoken, ..ours };
    line.write(&ours.encode()).await?;
    let theirs = incoming.read_all(line).await?;
    Ok(Handshake { info_hash: spoken, ..theirs })
}

/// Opens the conversation on a connection of ours.
pub(crate) async fn greet(
    line: &mut Line<impl AsyncRead + AsyncWrite + Unpin>,
    hashes: InfoHashes,
    ours: Handshake,
) -> Result<Handshake, HandshakeError> {
    line.write(&ours.encode()).await?;
    hear(line, hashes, ours).await
}

/// The same under encryption. `answered` tells whether the peer could make anything of it.
pub(crate) async fn greet_encrypted<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    hashes: InfoHashes,
    ours: Handshake,
    methods: Methods,
    seed: Seed,
    answered: &mut bool,
) -> Result<(Line<S>, Handshake), HandshakeError> {
    let mut side = Box::new(Initiator::new(ours.info_hash, methods, &ours.encode(), seed));
    loop {
        let output = side.take_output();
        if !output.is_empty() {
            stream.write_all(&output).await?;
        }
        match side.want() {
            Want::Bytes => feed(&mut stream, &mut *side).await?,
            Want::Exchange => {
                *answered = true;
                side.exchange()?;
            }
            Want::Torrent(_) | Want::Nothing => break,
        }
    }
    let established = side.finish().ok_or(io::ErrorKind::InvalidData).map_err(io::Error::from)?;
    let mut line = Line { stream, link: Link::encrypted(established, Vec::new()) };
    let theirs = hear(&mut line, hashes, ours).await?;
    Ok((line, theirs))
}

/// Reads the answer to our handshake.
async fn hear(
    line: &mut Line<impl AsyncRead + AsyncWrite + Unpin>,
    hashes: InfoHashes,
    ours: Handshake,
) -> Result<Handshake, HandshakeError> {
    let mut incoming = Incoming::nothing();
    incoming.read_until(line, NAMED_BYTES).await?;
    let named = incoming.name();
    // A peer may move on from v1 to v2, but not back, and not to another torrent.
    let moved_on = ours.supports_v2() && hashes.v2_short() == Some(named);
    if named != ours.info_hash && !moved_on {
        return Err(HandshakeError::OtherTorrent);
    }
    incoming.read_all(line).await
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
    use crate::peer::line::Encrypted;
    use althing_base::Sha256Digest;
    use althing_bittorrent::PeerId;
    use althing_bittorrent::wire::mse::lookup_key;
    use tokio::io::DuplexStream;

    const V1: Sha1Digest = Sha1Digest([1; 20]);
    const V2: Sha1Digest = Sha1Digest([2; 20]);

    fn hybrid() -> InfoHashes {
        InfoHashes::hybrid(V1, Sha256Digest([2; 32]))
    }

    fn handshake(name: Sha1Digest, id: u8, v2: bool) -> Handshake {
        Handshake::new(name, PeerId([id; 20]), v2)
    }

    /// Knows both names.
    struct Door(Encryption);

    impl Gate for Door {
        fn encryption(&self) -> Encryption {
            self.0
        }

        fn seed(&self) -> Seed {
            Seed::from_u64(1)
        }

        async fn key_exchange(&self) -> Result<(), HandshakeError> {
            Ok(())
        }

        fn find(&self, key: Sha1Digest) -> Option<Sha1Digest> {
            [V1, V2].into_iter().find(|name| lookup_key(*name) == key)
        }
    }

    /// Both sides may write their first halves before they read, as sockets let them.
    const PIPE_BYTES: usize = 2048;

    type Met = Result<(Encrypted, Handshake), HandshakeError>;

    async fn answering(mut near: DuplexStream, door: Encryption, hashes: InfoHashes) -> Met {
        let (link, incoming, named) = meet(&mut near, &Door(door)).await?;
        let ours = handshake(named, 9, hashes.v2().is_some());
        let mut line = Line { stream: near, link };
        let theirs = answer(&mut line, incoming, hashes, ours).await?;
        // Whatever was agreed on carries bytes both ways.
        line.write(b"from the answering side").await?;
        let mut heard = [0; 22];
        read_exact(&mut line, &mut heard).await?;
        assert_eq!(&heard, b"from the greeting side");
        Ok((line.link.encrypted, theirs))
    }

    async fn greeting(far: DuplexStream, methods: Option<Methods>, ours: Handshake) -> Met {
        let (mut line, theirs) = match methods {
            Some(methods) => {
                let mut answered = false;
                let seed = Seed::from_u64(2);
                greet_encrypted(far, hybrid(), ours, methods, seed, &mut answered).await?
            }
            None => {
                let mut line = Line { stream: far, link: Link::default() };
                let theirs = greet(&mut line, hybrid(), ours).await?;
                (line, theirs)
            }
        };
        line.write(b"from the greeting side").await?;
        let mut heard = [0; 23];
        read_exact(&mut line, &mut heard).await?;
        assert_eq!(&heard, b"from the answering side");
        Ok((line.link.encrypted, theirs))
    }

    async fn read_exact(line: &mut Line<DuplexStream>, bytes: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < bytes.len() {
            let len = line.read(&mut bytes[filled..]).await?;
            assert_ne!(len, 0, "the other side hung up");
            filled += len;
        }
        Ok(())
    }

    /// The two ends of a connection, each with what it says: what each of them learns.
    async fn meeting(
        theirs: Handshake,
        hashes: InfoHashes,
        methods: Option<Methods>,
        door: Encryption,
    ) -> (Met, Met) {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        tokio::join!(greeting(far, methods, theirs), answering(near, door, hashes))
    }

    #[tokio::test]
    async fn each_learns_who_the_other_is() {
        let hashes = InfoHashes::v1_only(V1);
        let (either, rc4) = (Some(Methods::Either), Some(Methods::Rc4));
        for (methods, door, encrypted) in [
            (None, Encryption::Plain, Encrypted::No),
            (None, Encryption::Preferred, Encrypted::No),
            (either, Encryption::Preferred, Encrypted::Handshake),
            (rc4, Encryption::Preferred, Encrypted::All),
            (either, Encryption::Required, Encrypted::All),
            (rc4, Encryption::Required, Encrypted::All),
        ] {
            let (greeted, answered) = meeting(handshake(V1, 7, false), hashes, methods, door).await;
            assert_eq!(greeted.expect("it answers"), (encrypted, handshake(V1, 9, false)));
            assert_eq!(answered.expect("it greets"), (encrypted, handshake(V1, 7, false)));
        }
    }

    #[tokio::test]
    async fn settings_that_exclude_each_other_do_not_meet() {
        let hashes = InfoHashes::v1_only(V1);
        let theirs = handshake(V1, 7, false);
        let (greeted, answered) = meeting(theirs, hashes, None, Encryption::Required).await;
        assert!(greeted.is_err());
        assert!(matches!(answered, Err(HandshakeError::NotEncrypted)), "{answered:?}");
        let methods = Some(Methods::Either);
        let (greeted, answered) = meeting(theirs, hashes, methods, Encryption::Plain).await;
        assert!(greeted.is_err());
        assert!(matches!(answered, Err(HandshakeError::Wire(_))), "{answered:?}");
    }

    #[tokio::test]
    async fn hybrid_torrents_move_on_to_v2_if_both_can() {
        for methods in [None, Some(Methods::Either), Some(Methods::Rc4)] {
            let spoken = |theirs| async move {
                let (greeted, answered) =
                    meeting(theirs, hybrid(), methods, Encryption::Preferred).await;
                let spoken = greeted.expect("it answers").1.info_hash;
                assert_eq!(answered.expect("it greets").1.info_hash, spoken);
                spoken
            };
            assert_eq!(spoken(handshake(V1, 7, true)).await, V2);
            assert_eq!(spoken(handshake(V1, 7, false)).await, V1);
            assert_eq!(spoken(handshake(V2, 7, true)).await, V2);
        }
    }

    #[tokio::test]
    async fn an_answer_for_another_torrent_is_refused() {
        let (mut near, far) = tokio::io::duplex(256);
        let other = handshake(Sha1Digest([3; 20]), 9, true).encode();
        near.write_all(&other).await.expect("it fits the pipe");
        let mut line = Line { stream: far, link: Link::default() };
        let greeted = greet(&mut line, hybrid(), handshake(V1, 7, true)).await;
        assert!(matches!(greeted, Err(HandshakeError::OtherTorrent)));
    }

    #[tokio::test]
    async fn who_means_one_torrent_and_names_another_is_refused() {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let answering = answering(near, Encryption::Preferred, InfoHashes::v1_only(V1));
        let lying = async {
            let mut far = far;
            let said = handshake(V2, 7, false).encode();
            let mut side = Initiator::new(V1, Methods::Rc4, &said, Seed::from_u64(3));
            while side.want() != Want::Nothing {
                far.write_all(&side.take_output()).await?;
                side.exchange()?;
                far.write_all(&side.take_output()).await?;
                feed(&mut far, &mut side).await?;
            }
            Ok::<_, HandshakeError>(())
        };
        let (answered, lied) = tokio::join!(answering, lying);
        assert!(matches!(answered, Err(HandshakeError::OtherTorrent)), "{answered:?}");
        assert!(lied.is_err(), "it says nothing before it hangs up");
    }

    #[tokio::test]
    async fn who_waits_with_the_handshake_is_answered_too() {
        let (near, far) = tokio::io::duplex(2048);
        let answering = answering(near, Encryption::Preferred, InfoHashes::v1_only(V1));
        let waiting = async {
            let mut far = far;
            let mut side = Initiator::new(V1, Methods::Rc4, &[], Seed::from_u64(3));
            while side.want() != Want::Nothing {
                far.write_all(&side.take_output()).await?;
                side.exchange()?;
                far.write_all(&side.take_output()).await?;
                if side.want() == Want::Bytes {
                    feed(&mut far, &mut side).await?;
                }
            }
            let link = Link::encrypted(side.finish().expect("it is done"), Vec::new());
            let mut line = Line { stream: far, link };
            let theirs = greet(&mut line, hybrid(), handshake(V1, 7, false)).await?;
            line.write(b"from the greeting side").await?;
            Ok::<_, HandshakeError>(theirs)
        };
        let (answered, theirs) = tokio::join!(answering, waiting);
        assert_eq!(answered.expect("it greets").0, Encrypted::All);
        assert_eq!(theirs.expect("it answers"), handshake(V1, 9, false));
    }

    #[tokio::test]
    async fn strangers_are_turned_away() {
        let (mut near, mut far) = tokio::io::duplex(256);
        near.write_all(b"GET / HTTP").await.expect("it fits the pipe");
        let met = meet(&mut far, &Door(Encryption::Plain)).await;
        assert!(matches!(met, Err(HandshakeError::Wire(_))), "at the first wrong byte");
        let (mut near, mut far) = tokio::io::duplex(2048);
        near.write_all(&[0x55; 2000]).await.expect("it fits the pipe");
        let met = meet(&mut far, &Door(Encryption::Preferred)).await;
        assert!(matches!(met, Err(HandshakeError::Mse(_))), "once it cannot be encryption either");
        let (mut near, mut far) = tokio::io::duplex(256);
        near.write_all(&handshake(V1, 7, false).encode()[..30]).await.expect("it fits the pipe");
        drop(near);
        let met = meet(&mut far, &Door(Encryption::Preferred)).await;
        assert!(matches!(met, Err(HandshakeError::Io(_))));
    }
}
