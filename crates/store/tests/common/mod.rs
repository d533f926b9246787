//! Torrents made up for tests, a pool that is waited for, and a file system that fails on demand.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(unreachable_pub, reason = "a module of test binaries")]
#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

pub mod faulty;

use althing_base::bencode::Encoder;
use althing_base::hash::{sha1, sha256};
use althing_base::{Rng, Seed, Sha256Digest};
use althing_bittorrent::metainfo::{File, Metainfo};
use althing_bittorrent::types::BLOCK_SIZE;
use althing_bittorrent::{BlockRef, PieceIndex};
use althing_store::files::{DiskFiles, Files, Location};
use althing_store::pieces::{Event, Opening, Pool, PoolConfig, Sink, Torrent, TorrentKey};
use bytes::Bytes;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Which hashes a torrent has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    V1,
    V2,
    Hybrid,
}

/// A file of a made-up torrent.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Components below the torrent's own folder.
    pub path: Vec<String>,
    pub data: Vec<u8>,
    /// BEP 47: `p`, `x`, `l`.
    pub attr: &'static str,
    /// Of a link: the components of its target.
    pub link: Vec<String>,
}

impl Entry {
    pub fn new(path: &str, data: Vec<u8>) -> Entry {
        let path = path.split('/').map(str::to_owned).collect();
        Entry { path, data, attr: "", link: Vec::new() }
    }

    pub fn attr(mut self, attr: &'static str) -> Entry {
        self.attr = attr;
        self
    }
}

/// A torrent and its bytes.
pub struct Sample {
    pub metainfo: Arc<Metainfo>,
    /// The whole space of the torrent, padding included.
    pub space: Vec<u8>,
}

impl Sample {
    /// A torrent of several files, called `t`. For v2 and hybrid, entries have to be sorted by
    /// path and without padding, which is added.
    pub fn new(kind: Kind, piece_length: u32, entries: &[Entry]) -> Sample {
        let entries =
            if kind == Kind::Hybrid { aligned(entries, piece_length) } else { entries.to_vec() };
        let torrent = torrent(kind, piece_length, &entries, "t");
        Sample::parse(&torrent, &entries)
    }

    /// A torrent of a single file (v1).
    pub fn single(piece_length: u32, name: &str, data: Vec<u8>) -> Sample {
        let mut out = Encoder::new();
        out.dict(|out| {
            out.key(b"info").dict(|out| {
                out.key(b"length").int(data.len() as i64);
                out.key(b"name").bytes(name.as_bytes());
                out.key(b"piece length").int(i64::from(piece_length));
                out.key(b"pieces").bytes(&v1_pieces(&data, piece_length));
            });
        });
        Sample::parse(&out.finish(), &[Entry::new(name, data)])
    }

    fn parse(torrent: &[u8], entries: &[Entry]) -> Sample {
        let metainfo = Metainfo::parse(torrent).expect("a valid torrent");
        let mut data = entries.iter().filter(|entry| !entry.attr.contains('p'));
        let mut space = Vec::new();
        for file in metainfo.files() {
            if file.is_pad() {
                space.resize(space.len() + file.size() as usize, 0);
            } else {
                space.extend(&data.next().expect("a file for each entry").data);
            }
        }
        assert_eq!(space.len() as u64, metainfo.total_size());
        Sample { metainfo: Arc::new(metainfo), space }
    }

    pub fn pieces(&self) -> impl Iterator<Item = PieceIndex> + use<> {
        (0..self.metainfo.piece_count()).map(PieceIndex)
    }

    pub fn blocks(&self, piece: PieceIndex) -> impl Iterator<Item = BlockRef> + '_ {
        (0..).map_while(move |number| self.metainfo.block(piece, number))
    }

    /// The bytes that a block has.
    pub fn bytes(&self, block: BlockRef) -> Bytes {
        let at = self.metainfo.layout().piece_offset(block.piece) as usize + block.begin as usize;
        Bytes::copy_from_slice(&self.space[at..at + block.len as usize])
    }

    pub fn digests(&self, piece: PieceIndex) -> Vec<Sha256Digest> {
        self.blocks(piece).map(|block| sha256(&self.bytes(block))).collect()
    }

    pub fn store(&self, torrent: &Torrent, piece: PieceIndex) {
        for block in self.blocks(piece) {
            torrent.store_block(block, self.bytes(block));
        }
        self.complete(torrent, piece, false);
    }

    pub fn complete(&self, torrent: &Torrent, piece: PieceIndex, want_digests: bool) {
        let expected = self.metainfo.piece_hash(piece).expect("a hash");
        torrent.complete_piece(piece, expected, want_digests);
    }

    /// The bytes of a file.
    pub fn file(&self, file: &File) -> &[u8] {
        &self.space[file.offset() as usize..][..file.size() as usize]
    }

    /// Writes all files under `folder`, as another client would have.
    pub fn write_files(&self, folder: &Path) {
        for file in self.metainfo.files().iter().filter(|file| !file.is_pad()) {
            let path = folder.join(file.path());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, self.file(file)).unwrap();
        }
    }

    /// All files are under `folder` as they should be, and padding is not.
    pub fn assert_files(&self, folder: &Path) {
        for file in self.metainfo.files() {
            let path = folder.join(file.path());
            if file.is_pad() {
                assert!(!path.exists(), "padding on disk: {}", path.display());
            } else if file.size() > 0 {
                assert!(std::fs::read(&path).unwrap() == self.file(file), "{}", path.display());
            }
        }
    }
}

/// `len` random bytes.
pub fn random(rng: &mut Rng, len: usize) -> Vec<u8> {
    let mut data = vec![0; len];
    rng.fill(&mut data);
    data
}

/// Adds padding after each file but the last, so that each starts at a piece.
fn aligned(entries: &[Entry], piece_length: u32) -> Vec<Entry> {
    let mut out: Vec<Entry> = Vec::new();
    let last = entries.iter().rposition(|entry| !entry.data.is_empty());
    for (at, entry) in entries.iter().enumerate() {
        out.push(entry.clone());
        let short = entry.data.len() % piece_length as usize;
        if short > 0 && Some(at) != last {
            let pad = piece_length as usize - short;
            out.push(Entry::new(&format!(".pad/{pad}"), vec![0; pad]).attr("p"));
        }
    }
    out
}

fn v1_pieces(space: &[u8], piece_length: u32) -> Vec<u8> {
    space.chunks(piece_length as usize).flat_map(|piece| sha1(piece).0).collect()
}

fn torrent(kind: Kind, piece_length: u32, entries: &[Entry], name: &str) -> Vec<u8> {
    let v1 = kind != Kind::V2;
    let v2 = kind != Kind::V1;
    let space: Vec<u8> = entries.iter().flat_map(|entry| entry.data.clone()).collect();
    let mut layers = Vec::new();
    let mut out = Encoder::new();
    out.dict(|out| {
        out.key(b"info").dict(|out| {
            if v2 {
                out.key(b"file tree").dict(|out| {
                    let real = entries.iter().filter(|entry| !entry.attr.contains('p'));
                    tree(out, &real.collect::<Vec<_>>(), 0, piece_length, &mut layers);
                });
            }
            if v1 {
                out.key(b"files").list(|out| entries.iter().for_each(|entry| v1_file(out, entry)));
            }
            if v2 {
                out.key(b"meta version").int(2);
            }
            out.key(b"name").bytes(name.as_bytes());
            out.key(b"piece length").int(i64::from(piece_length));
            if v1 {
                out.key(b"pieces").bytes(&v1_pieces(&space, piece_length));
            }
        });
        layers.sort();
        layers.dedup();
        if v2 {
            out.key(b"piece layers").dict(|out| {
                for (root, layer) in &layers {
                    out.key(&root.0).bytes(layer);
                }
            });
        }
    });
    out.finish()
}

fn v1_file(out: &mut Encoder, entry: &Entry) {
    out.dict(|out| {
        if !entry.attr.is_empty() {
            out.key(b"attr").bytes(entry.attr.as_bytes());
        }
        out.key(b"length").int(entry.data.len() as i64);
        out.key(b"path").list(|out| entry.path.iter().for_each(|part| out.bytes(part.as_bytes())));
        if !entry.link.is_empty() {
            let link =
                |out: &mut Encoder| entry.link.iter().for_each(|part| out.bytes(part.as_bytes()));
            out.key(b"symlink path").list(link);
        }
    });
}

fn tree(
    out: &mut Encoder,
    entries: &[&Entry],
    depth: usize,
    piece_length: u32,
    layers: &mut Vec<(Sha256Digest, Vec<u8>)>,
) {
    for group in entries.chunk_by(|a, b| a.path[depth] == b.path[depth]) {
        let part = group[0].path[depth].as_bytes();
        if group[0].path.len() > depth + 1 {
            out.key(part).dict(|out| tree(out, group, depth + 1, piece_length, layers));
            continue;
        }
        let entry = group[0];
        out.key(part).dict(|out| {
            out.key(b"").dict(|out| {
                if !entry.attr.is_empty() {
                    out.key(b"attr").bytes(entry.attr.as_bytes());
                }
                out.key(b"length").int(entry.data.len() as i64);
                if !entry.data.is_empty() {
                    let (root, layer) = pieces_root(&entry.data, piece_length);
                    out.key(b"pieces root").bytes(&root.0);
                    layers.extend(layer.map(|layer| (root, layer)));
                }
                if !entry.link.is_empty() {
                    out.key(b"symlink path").list(|out| {
                        entry.link.iter().for_each(|part| out.bytes(part.as_bytes()));
                    });
                }
            });
        });
    }
}

/// BEP 52, the slow and plain way: the whole tree of zero-padded leaves.
fn pieces_root(data: &[u8], piece_length: u32) -> (Sha256Digest, Option<Vec<u8>>) {
    let mut level: Vec<Sha256Digest> = data.chunks(BLOCK_SIZE as usize).map(sha256).collect();
    let pieces = data.len().div_ceil(piece_length as usize);
    let width = level.len().next_power_of_two();
    level.resize(width, Sha256Digest::ZERO);
    let mut leaves_each = BLOCK_SIZE;
    let mut layer = None;
    loop {
        if leaves_each == piece_length && pieces > 1 {
            layer = Some(level[..pieces].iter().flat_map(|node| node.0).collect());
        }
        if level.len() == 1 {
            return (level[0], layer);
        }
        let parent = |pair: &[Sha256Digest]| sha256(&[pair[0].0, pair[1].0].concat());
        level = level.chunks(2).map(parent).collect();
        leaves_each *= 2;
    }
}

/// Length of a block in bytes.
pub const BLOCK: u32 = BLOCK_SIZE;

/// The same draws for everyone.
pub fn rng() -> Rng {
    Rng::new(Seed::from_u64(1))
}

/// Three files and two and a half pieces of four blocks.
pub fn small(kind: Kind) -> Sample {
    let rng = &mut rng();
    let entries = [
        Entry::new("a/one", random(rng, 100_000)),
        Entry::new("b", random(rng, 1000)),
        Entry::new("c", random(rng, 50_000)),
    ];
    Sample::new(kind, 4 * BLOCK, &entries)
}

/// The answer for a piece whose digests were not asked for.
pub fn stored(piece: u32) -> Event {
    Event::PieceStored { piece: PieceIndex(piece), block_digests: None }
}

/// A pool and the events of one torrent after the other.
pub struct Bench {
    pub pool: Pool,
    sink: Sink,
    events: Mutex<Receiver<Event>>,
}

impl Bench {
    pub fn new(workers: usize, held_bytes_max: usize) -> Bench {
        Bench::with_files(workers, held_bytes_max, Arc::new(DiskFiles))
    }

    pub fn with_files(workers: usize, held_bytes_max: usize, files: Arc<dyn Files>) -> Bench {
        let config =
            PoolConfig { workers, held_bytes_max, open_files_max: 4, ..PoolConfig::default() };
        let (sender, events) = mpsc::channel();
        let sender = Mutex::new(sender);
        let sink = move |_: TorrentKey, event| sender.lock().unwrap().send(event).unwrap_or(());
        Bench {
            pool: Pool::with_files(&config, files).unwrap(),
            sink: Arc::new(sink),
            events: Mutex::new(events),
        }
    }

    pub fn sink(&self) -> Sink {
        Arc::clone(&self.sink)
    }

    pub fn open(&self, sample: &Sample, folder: &Path) -> Torrent {
        self.open_at(sample, Location::Under(folder.to_owned()))
    }

    pub fn open_at(&self, sample: &Sample, location: Location) -> Torrent {
        self.pool.open(Opening {
            key: TorrentKey(7),
            metainfo: Arc::clone(&sample.metainfo),
            location,
            sink: Arc::clone(&self.sink),
            before_write: None,
        })
    }

    /// The next event that is not about progress.
    pub fn event(&self) -> Event {
        let events = self.events.lock().unwrap();
        loop {
            let event = events.recv_timeout(Duration::from_secs(60)).expect("an event in time");
            if !matches!(event, Event::VerifyProgress(_)) {
                return event;
            }
        }
    }

    /// Nothing is left to be heard.
    pub fn assert_quiet(&self) {
        assert_eq!(self.events.lock().unwrap().try_recv().ok(), None);
    }
}
