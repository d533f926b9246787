//! Hostile peers in large numbers: one process that is thousands of strangers, each with an address
//! of its own. [`kinds`] has what they do; here is how they come, are counted, and come again.

mod kinds;

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use althing_base::hash::{Sha1Digest, Sha256Digest};
use althing_base::{Rng, Seed};
use althing_bittorrent::metainfo::Metainfo;
use althing_bittorrent::wire::{HANDSHAKE_LEN, Handshake, Message};
use althing_bittorrent::{BlockRef, PeerId, PieceIndex};
use althing_tests::wait::now;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{sleep, timeout};

use crate::load::source;

pub(crate) use kinds::Kind;

/// How long one connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long a stranger stays away after its connection has ended.
pub(crate) const AWAY: Duration = Duration::from_millis(500);

/// Strangers that shake hands at a time, of those that go on after that: one process that is all of
/// them would else be too slow for each.
const HANDSHAKES_AT_ONCE: usize = 64;

/// How often what has been done so far is said.
const SAID_EVERY: Duration = Duration::from_millis(100);

/// Strangers that begin at a time, so that the system's queue of connections holds them.
const AT_ONCE: usize = 500;

/// The attack in numbers.
#[derive(Debug, Default)]
struct Counts {
    /// Connections that stood.
    connected: Cell<u64>,
    /// Those of them that stand now.
    open: Cell<u64>,
    /// Bytes given to the system.
    sent: Cell<u64>,
    /// Bytes that came.
    came: Cell<u64>,
}

fn add(cell: &Cell<u64>, more: u64) {
    cell.set(cell.get() + more);
}

/// What all strangers share.
struct Shared {
    kind: Kind,
    to: SocketAddr,
    name: Sha1Digest,
    pieces: u32,
    piece_bytes: u32,
    /// The root of a v2 torrent's first file.
    root: Option<Sha256Digest>,
    counts: Counts,
    handshakes: Semaphore,
}

/// `attack KIND TARGET TORRENT COUNT`: attacks until it is killed, and says
/// `did CONNECTED OPEN SENT CAME SECONDS` again and again.
pub(crate) fn run(words: &[&str]) -> Result<(), String> {
    let [kind, target, torrent, count] = words else {
        return Err("attack KIND TARGET TORRENT COUNT".to_owned());
    };
    let bad = |word: &str| format!("{word:?} cannot be understood");
    let bytes = std::fs::read(torrent).map_err(|error| format!("{torrent}: {error}"))?;
    let metainfo = Metainfo::parse(&bytes).map_err(|error| format!("{torrent}: {error}"))?;
    let hashes = metainfo.info_hashes();
    let shared = Shared {
        kind: Kind::named(kind).ok_or_else(|| bad(kind))?,
        to: target.parse().map_err(|_| bad(target))?,
        name: hashes.short_hashes().next().ok_or("a torrent without a name")?,
        pieces: metainfo.piece_count(),
        piece_bytes: metainfo.piece_length(),
        root: metainfo.files().first().and_then(|file| file.pieces_root()),
        counts: Counts::default(),
        handshakes: Semaphore::new(HANDSHAKES_AT_ONCE),
    };
    let count = count.parse().map_err(|_| bad(count))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    tokio::task::LocalSet::new().block_on(&runtime, attack(Rc::new(shared), count))
}

async fn attack(shared: Rc<Shared>, count: usize) -> Result<(), String> {
    let start = now();
    for number in 0..count {
        let shared = Rc::clone(&shared);
        tokio::task::spawn_local(async move {
            sleep(Duration::from_millis((number / AT_ONCE * 20) as u64)).await;
            let mut visits = 0;
            loop {
                // Being hung up on is what strangers are used to.
                let _ = visit(&shared, number, visits).await;
                visits += 1;
                sleep(AWAY).await;
            }
        });
    }
    loop {
        sleep(SAID_EVERY).await;
        let Counts { connected, open, sent, came } = &shared.counts;
        let took = start.elapsed().as_secs_f64();
        let [connected, open, sent, came] = [connected, open, sent, came].map(Cell::get);
        println!("did {connected} {open} {sent} {came} {took:.3}");
    }
}

async fn visit(shared: &Shared, number: usize, visits: u64) -> std::io::Result<()> {
    let permit = match shared.kind.shakes_hands() {
        true => shared.handshakes.acquire().await.ok(),
        false => None,
    };
    let socket = TcpSocket::new_v4()?;
    // Thousands of sources: a port need only be free towards this one target.
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((source(number), 0)))?;
    let stream = timeout(CONNECT_LIMIT, socket.connect(shared.to)).await??;
    add(&shared.counts.connected, 1);
    add(&shared.counts.open, 1);
    let seed = Seed::from_u64(number as u64).fork("visit", visits);
    let rng = Rng::new(seed);
    let mut stranger = Stranger { shared, stream, number, visits, rng, permit };
    let left = shared.kind.visit(&mut stranger).await;
    shared.counts.open.set(shared.counts.open.get() - 1);
    left
}

/// One connection of one stranger.
struct Stranger<'a> {
    shared: &'a Shared,
    stream: TcpStream,
    number: usize,
    visits: u64,
    rng: Rng,
    /// Until its handshake is through.
    permit: Option<SemaphorePermit<'a>>,
}

impl Stranger<'_> {
    async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await?;
        add(&self.shared.counts.sent, bytes.len() as u64);
        Ok(())
    }

    /// Says them in one go.
    async fn say(&mut self, messages: &[Message]) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        messages.iter().for_each(|message| message.encode(&mut bytes));
        self.send(&bytes).await
    }

    /// Reads what there is; the end is an error.
    async fn hear(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.stream.read(buffer).await?;
        add(&self.shared.counts.came, len as u64);
        match len {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            len => Ok(len),
        }
    }

    /// Reads and forgets until the other side hangs up.
    async fn listen(&mut self) -> std::io::Result<()> {
        let mut buffer = [0; 2048];
        loop {
            self.hear(&mut buffer).await?;
        }
    }

    /// Sends the same again and again as fast as it is taken, and reads what comes.
    async fn flood(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let mut buffer = vec![0; 16 << 10];
        let (mut reads, mut writes) = self.stream.split();
        let counts = &self.shared.counts;
        let writing = async {
            loop {
                writes.write_all(bytes).await?;
                add(&counts.sent, bytes.len() as u64);
            }
        };
        let reading = async {
            loop {
                let len = reads.read(&mut buffer).await?;
                add(&counts.came, len as u64);
                if len == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
            }
        };
        tokio::select! {
            ended = writing => ended,
            ended = reading => ended,
        }
    }

    fn handshake(&self) -> [u8; HANDSHAKE_LEN] {
        let mut id = [b'-'; 20];
        id[..8].copy_from_slice(b"-XX0001-");
        id[8..]
            .copy_from_slice(format!("{:06}{:06}", self.number, self.visits % 999_999).as_bytes());
        let v2 = self.shared.root.is_some();
        Handshake::new(self.shared.name, PeerId(id), v2).encode()
    }

    /// Both handshakes.
    async fn meet(&mut self) -> std::io::Result<()> {
        let ours = self.handshake();
        self.send(&ours).await?;
        let mut theirs = [0; HANDSHAKE_LEN];
        let heard = timeout(CONNECT_LIMIT, self.stream.read_exact(&mut theirs)).await;
        self.permit = None;
        heard??;
        Ok(())
    }

    /// A whole block of the torrent, drawn.
    fn block(&mut self) -> BlockRef {
        let piece = PieceIndex(self.rng.below(u64::from(self.shared.pieces)) as u32);
        let blocks = u64::from(self.shared.piece_bytes >> 14).max(1);
        BlockRef { piece, begin: (self.rng.below(blocks) as u32) << 14, len: 1 << 14 }
    }
}
