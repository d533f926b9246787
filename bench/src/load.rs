//! Many peers on one torrent: as little of a peer as can fetch, many times in one process. It asks
//! for blocks, reads them as the wire module does, counts them and drops them.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use althing_base::hash::Sha1Digest;
use althing_bittorrent::wire::{DecodeLimits, Decoded, HANDSHAKE_LEN, Handshake, Message, decode};
use althing_bittorrent::{BlockRef, PeerId, PieceIndex};
use althing_tests::wait::now;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

/// Blocks each peer has asked for at a time.
const PIPELINE: u32 = 16;

/// Bytes of a block.
const BLOCK: u32 = 16 << 10;

/// How much one read may bring, bytes.
const READ_BYTES: usize = 64 << 10;

/// How long all peers may take until they are served.
const SERVED_LIMIT: Duration = Duration::from_secs(20);

/// How long one connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// What all peers share.
struct Shared {
    seed: SocketAddr,
    info_hash: Sha1Digest,
    pieces: u32,
    piece_bytes: u32,
    counts: RefCell<Counts>,
}

#[derive(Default)]
struct Counts {
    connected: usize,
    unchoked: usize,
    /// Bytes of blocks that each peer has had.
    bytes: Vec<u64>,
    failed: Vec<String>,
}

impl Counts {
    /// How many are served, or will not be any more.
    fn settled(&self) -> usize {
        self.unchoked + self.failed.len()
    }
}

/// The address that peer number `number` connects from; 10.78.0.0/16 holds all.
pub(crate) fn source(number: usize) -> Ipv4Addr {
    let number = u16::try_from(number + 256).unwrap_or(u16::MAX);
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(10, 78, high, low)
}

/// `load SEED INFO-HASH PIECES PIECE-BYTES PEERS SECONDS`: says `served N` when all peers are
/// served or will not be any more, then `had BYTES SECONDS PEERS` of what came since.
pub(crate) fn run(words: &[&str]) -> Result<(), String> {
    let [seed, info_hash, pieces, piece_bytes, peers, seconds] = words else {
        return Err("load SEED INFO-HASH PIECES PIECE-BYTES PEERS SECONDS".to_owned());
    };
    let bad = |word: &str| format!("{word:?} is no number of this kind");
    let number = |word: &str| word.parse::<u32>().map_err(|_| bad(word));
    let mut hash = [0; 20];
    for (at, byte) in hash.iter_mut().enumerate() {
        let digits = info_hash.get(at * 2..at * 2 + 2).ok_or_else(|| bad(info_hash))?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| bad(info_hash))?;
    }
    let shared = Shared {
        seed: seed.parse().map_err(|_| bad(seed))?,
        info_hash: Sha1Digest(hash),
        pieces: number(pieces)?,
        piece_bytes: number(piece_bytes)?,
        counts: RefCell::default(),
    };
    let (peers, seconds) = (number(peers)? as usize, number(seconds)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, load(Rc::new(shared), peers, seconds))
}

async fn load(shared: Rc<Shared>, peers: usize, seconds: u32) -> Result<(), String> {
    shared.counts.borrow_mut().bytes = vec![0; peers];
    for number in 0..peers {
        let shared = Rc::clone(&shared);
        tokio::task::spawn_local(async move {
            if let Err(error) = fetch(&shared, number).await {
                shared.counts.borrow_mut().failed.push(error.to_string());
            }
        });
    }
    let begun = now();
    while begun.elapsed() < SERVED_LIMIT {
        if shared.counts.borrow().settled() >= peers {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    let (before, connected) = {
        let counts = shared.counts.borrow();
        println!("served {}", counts.unchoked);
        (counts.bytes.clone(), counts.connected)
    };
    let start = now();
    sleep(Duration::from_secs(u64::from(seconds))).await;
    let took = start.elapsed().as_secs_f64();
    let counts = shared.counts.borrow();
    let had = counts.bytes.iter().zip(&before).map(|(after, before)| after - before);
    let (bytes, fed) =
        had.fold((0, 0), |(bytes, fed), had| (bytes + had, fed + usize::from(had > 0)));
    println!("had {bytes} {took:.4} {fed}");
    if let Some(error) = counts.failed.first() {
        eprintln!("{connected} connected, {} ended; the first by {error}", counts.failed.len());
    }
    Ok(())
}

/// One peer: it asks for one block after the other from a place of its own, and never stops.
async fn fetch(shared: &Shared, number: usize) -> std::io::Result<()> {
    let mut stream = connect(shared, number).await?;
    let mut id = [b'-'; 20];
    id[..8].copy_from_slice(b"-BE0001-");
    id[12..].copy_from_slice(format!("{number:08}").as_bytes());
    let handshake =
        Handshake { info_hash: shared.info_hash, peer_id: PeerId(id), reserved: [0; 8] };
    let mut out = handshake.encode().to_vec();
    Message::Interested.encode(&mut out);
    stream.write_all(&out).await?;

    let mut hello = [0; HANDSHAKE_LEN];
    stream.read_exact(&mut hello).await?;
    shared.counts.borrow_mut().connected += 1;
    let mut next = u64::try_from(number).unwrap_or(0) * 7919;
    let (mut buffer, mut filled) = (vec![0; READ_BYTES], 0);
    let (mut asked, mut served, mut open) = (0, false, false);
    loop {
        if open && asked <= PIPELINE / 2 {
            out.clear();
            while asked < PIPELINE {
                Message::Request(shared.block(next)).encode(&mut out);
                (next, asked) = (next + 1, asked + 1);
            }
            stream.write_all(&out).await?;
        }
        let room = buffer.get_mut(filled..).unwrap_or_default();
        let count = stream.read(room).await?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        filled += count;
        let mut at = 0;
        loop {
            let rest = buffer.get(at..filled).unwrap_or_default();
            match decode(rest, &DecodeLimits::default()).map_err(std::io::Error::other)? {
                Decoded::Incomplete { need } => {
                    if need > buffer.len() {
                        buffer.resize(need, 0);
                    }
                    break;
                }
                Decoded::Block { block, consumed, .. } => {
                    let mut counts = shared.counts.borrow_mut();
                    if let Some(bytes) = counts.bytes.get_mut(number) {
                        *bytes += u64::from(block.len);
                    }
                    (asked, at) = (asked.saturating_sub(1), at + consumed);
                }
                Decoded::Message { message, consumed } => {
                    match message {
                        Message::Unchoke => {
                            shared.counts.borrow_mut().unchoked += usize::from(!served);
                            (open, served) = (true, true);
                        }
                        // What was asked for is dropped (BEP 3).
                        Message::Choke => (open, asked) = (false, 0),
                        _ => {}
                    }
                    at += consumed;
                }
            }
        }
        buffer.copy_within(at..filled, 0);
        filled -= at;
    }
}

async fn connect(shared: &Shared, number: usize) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((source(number), 0)))?;
    timeout(CONNECT_LIMIT, socket.connect(shared.seed)).await?
}

impl Shared {
    fn block(&self, number: u64) -> BlockRef {
        let of_piece = u64::from(self.piece_bytes / BLOCK);
        let piece = (number / of_piece) % u64::from(self.pieces);
        BlockRef {
            piece: PieceIndex(piece as u32),
            begin: (number % of_piece) as u32 * BLOCK,
            len: BLOCK,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_an_address_of_its_own_within_the_network() {
        assert_eq!(source(0), Ipv4Addr::new(10, 78, 1, 0));
        assert_eq!(source(499), Ipv4Addr::new(10, 78, 2, 243));
    }

    #[test]
    fn blocks_stay_within_the_torrent() {
        let shared = Shared {
            seed: SocketAddr::from(([127, 0, 0, 1], 1)),
            info_hash: Sha1Digest([0; 20]),
            pieces: 3,
            piece_bytes: 4 * BLOCK,
            counts: RefCell::default(),
        };
        let block = |number| (shared.block(number).piece.0, shared.block(number).begin);
        assert_eq!(
            [block(0), block(3), block(4), block(12)],
            [(0, 0), (0, 3 * BLOCK), (1, 0), (0, 0)]
        );
    }
}
