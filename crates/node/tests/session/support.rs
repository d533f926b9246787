//! Sessions, content and torrents for the tests.

use althing_base::{Rng, Seed};
use althing_bittorrent::PieceIndex;
use althing_bittorrent::metainfo::{Builder, Format, Metainfo, NewFile, PieceDigests};
use althing_node::config::Reach;
use althing_node::session::{
    AddOptions, AddSource, Event, TorrentId, TorrentSnapshot, TorrentState,
};
use althing_node::{Config, Session};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Longer than anything here takes, on the slowest machine that runs the tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder's worth of files: path below the torrent's own folder, and bytes.
pub(crate) type Files = Vec<(&'static str, Vec<u8>)>;

/// Bytes that no other file has and that do not compress.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Rng::new(Seed::from_u64(seed)).fill(&mut bytes);
    bytes
}

/// Some files of awkward sizes.
pub(crate) fn some_files() -> Files {
    vec![
        ("a/first.bin", noise(1, 300_000)),
        ("a/empty", Vec::new()),
        ("b/one-byte", noise(2, 1)),
        ("b/second.bin", noise(3, 1_000_003)),
        ("third.bin", noise(4, 16_384)),
    ]
}

/// A torrent of `files` in a folder called `name`.
pub(crate) fn torrent(name: &str, format: Format, files: &Files) -> Metainfo {
    torrent_on_the_web(name, format, files, &[])
}

/// The same in pieces of so many bytes.
pub(crate) fn torrent_in_pieces(name: &str, format: Format, files: &Files, piece: u32) -> Metainfo {
    let mut builder = Builder::folder(name);
    builder.format = format;
    builder.piece_length = Some(piece);
    for (path, bytes) in files {
        builder.add(NewFile::new(path.split('/'), bytes.len() as u64));
    }
    finish(builder, |at| files[at].1.clone())
}

/// The same, which servers under `urls` have too.
pub(crate) fn torrent_on_the_web(
    name: &str,
    format: Format,
    files: &Files,
    urls: &[String],
) -> Metainfo {
    let mut builder = Builder::folder(name);
    builder.format = format;
    builder.web_seeds = urls.to_vec();
    builder.piece_length = Some(32 * 1024);
    for (path, bytes) in files {
        builder.add(NewFile::new(path.split('/'), bytes.len() as u64));
    }
    finish(builder, |at| files[at].1.clone())
}

/// A torrent of one file.
pub(crate) fn torrent_of_file(name: &str, format: Format, bytes: &[u8], piece: u32) -> Metainfo {
    let mut builder = Builder::file(name, bytes.len() as u64);
    builder.format = format;
    builder.piece_length = Some(piece);
    finish(builder, |_| bytes.to_vec())
}

fn finish(builder: Builder, content: impl Fn(usize) -> Vec<u8>) -> Metainfo {
    let plan = builder.plan().expect("a plan");
    let layout = plan.layout().clone();
    let mut all = vec![0; layout.total_size() as usize];
    for (at, file) in layout.files().iter().enumerate() {
        let origin = plan.origin(althing_bittorrent::metainfo::FileIndex(at as u32));
        if let Some(origin) = origin {
            let start = file.offset() as usize;
            all[start..start + file.size() as usize].copy_from_slice(&content(origin));
        }
    }
    let mut digests = PieceDigests::default();
    for piece in (0..layout.piece_count()).map(PieceIndex) {
        let start = layout.piece_offset(piece) as usize;
        let data = &all[start..start + layout.piece_data_size(piece) as usize];
        digests.push(plan.hash_piece(piece, data).expect("as many bytes as the piece has"));
    }
    plan.finish(&digests).expect("a torrent")
}

/// Writes `files` below `folder`.
pub(crate) fn write_files(folder: &Path, files: &Files) {
    for (path, bytes) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }
}

/// Panics unless `files` are below `folder`, byte for byte.
pub(crate) fn assert_files(folder: &Path, files: &Files) {
    for (path, bytes) in files {
        let found =
            std::fs::read(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(found == *bytes, "{path} differs");
    }
}

/// A session with a data folder of its own.
pub(crate) struct Node {
    pub(crate) session: Session,
    pub(crate) dir: TempDir,
    config: Config,
}

/// Settings of a session that reaches no further than this machine.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.network.port = 0;
    config.network.reach = Reach::Loopback;
    config.api.enabled = false;
    // Who meets whom is each test's own business.
    config.dht.enabled = false;
    config.overlay.enabled = false;
    config.runtime.shards = 2;
    config.storage.threads = 2;
    config
}

/// A figure of a session's metrics.
pub(crate) fn gauge(node: &Node, name: &str) -> u64 {
    let metrics = node.session.metrics();
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {metrics}"))
}

/// Whether this machine has IPv6 on its loopback.
pub(crate) fn has_ipv6() -> bool {
    std::net::TcpListener::bind("[::1]:0").is_ok()
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::with(config()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let session = Session::start(config.clone(), dir.path()).await.expect("it starts");
        Node { session, dir, config }
    }

    /// A session that was started elsewhere.
    pub(crate) fn around(session: Session, dir: TempDir) -> Self {
        Node { session, dir, config: config() }
    }

    /// The states that a torrent went through since the session started, until it seeds.
    pub(crate) async fn states_until_seeding(&self, id: TorrentId) -> Vec<TorrentState> {
        let mut events = self.session.subscribe();
        let mut states: Vec<_> = self.session.snapshot(id).iter().map(|one| one.state).collect();
        while states.last() != Some(&TorrentState::Seeding) {
            let next = tokio::time::timeout(PATIENCE, events.recv()).await.expect("it gets there");
            match next.expect("the session runs") {
                Event::StateChanged { id: other, state } if other == id => states.push(state),
                _ => {}
            }
        }
        states
    }

    /// Stops it and starts another one with the same data folder.
    pub(crate) async fn restart(self) -> Self {
        self.session.shutdown().await;
        self.start_again().await
    }

    /// Starts another one with the same data folder.
    pub(crate) async fn start_again(self) -> Self {
        let Node { session, dir, config } = self;
        drop(session);
        let session = Session::start(config.clone(), dir.path()).await.expect("it starts again");
        Node { session, dir, config }
    }

    /// The same with other settings.
    pub(crate) async fn start_again_with(self, config: Config) -> Self {
        Node { config, ..self }.start_again().await
    }

    /// Where downloads go.
    pub(crate) fn downloads(&self) -> PathBuf {
        self.dir.path().join("files")
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        let addrs = self.session.peer_addrs();
        *addrs.iter().find(|addr| addr.is_ipv4()).expect("it listens")
    }

    /// Writes the files of a torrent and seeds them.
    pub(crate) async fn seed(&self, metainfo: &Metainfo, files: &Files) -> TorrentId {
        write_files(&self.downloads().join(metainfo.name()), files);
        let id = self.add(metainfo, AddOptions::default()).await;
        self.until(id, |torrent| torrent.state == TorrentState::Seeding).await;
        id
    }

    pub(crate) async fn add(&self, metainfo: &Metainfo, options: AddOptions) -> TorrentId {
        let source = AddSource::Torrent(metainfo.to_torrent());
        self.session.add(source, options).await.expect("it is added")
    }

    /// Fetches a torrent from `peers`.
    pub(crate) async fn fetch(&self, metainfo: &Metainfo, peers: &[SocketAddr]) -> TorrentId {
        let options = AddOptions { peers: peers.to_vec(), ..AddOptions::default() };
        self.add(metainfo, options).await
    }

    /// Bytes of payload that a torrent has received, asked of its shard.
    pub(crate) async fn downloaded(&self, id: TorrentId) -> u64 {
        self.session.show(id).await.expect("it is there").torrent.downloaded_bytes
    }

    pub(crate) async fn complete(&self, id: TorrentId) -> TorrentSnapshot {
        self.until(id, |torrent| torrent.state == TorrentState::Seeding).await
    }

    /// Waits until a torrent is as `wanted` says.
    pub(crate) async fn until(
        &self,
        id: TorrentId,
        wanted: impl Fn(&TorrentSnapshot) -> bool,
    ) -> TorrentSnapshot {
        let mut events = self.session.subscribe();
        let waiting = async {
            loop {
                let torrent = self.session.snapshot(id).expect("it is there");
                if wanted(&torrent) {
                    return torrent;
                }
                // Whatever happened, the next look tells.
                let _ = events.recv().await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(torrent) => torrent,
            Err(_) => panic!("it never came to that: {:#?}", self.session.show(id).await),
        }
    }

    /// Waits for an event.
    pub(crate) async fn event(
        &self,
        mut events: tokio::sync::broadcast::Receiver<Event>,
        wanted: impl Fn(&Event) -> bool,
    ) -> Event {
        let waiting = async {
            loop {
                let event = events.recv().await.expect("the session runs");
                if wanted(&event) {
                    return event;
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("it never happened")
    }
}
