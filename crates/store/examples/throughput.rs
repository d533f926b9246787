//! How fast the store is, against plain hashing and writing of the same bytes.
//!
//! `cargo run --release -p althing-store --example throughput -- [store|scan|records|all] [FOLDER]
//! [MIB]`; by default all of them, in a temporary folder, with 1024 MiB. Figures are medians of
//! five runs, ours and the plain way in turns.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use althing_base::{Rng, Seed, UnixTime};
use althing_bittorrent::metainfo::{Builder, Format, Metainfo, PieceDigests};
use althing_bittorrent::{Bitfield, PieceIndex};
use althing_store::create::{Content, Hashing};
use althing_store::files::{DiskFiles, Location, Root};
use althing_store::pieces::{Event, Opening, Pool, PoolConfig, Torrent, TorrentKey};
use althing_store::records::{Record, Records, assess};
use bytes::Bytes;
use std::error::Error;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const RUNS: usize = 5;
const BLOCK: usize = 16 << 10;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let what = args.next().unwrap_or_else(|| "all".to_owned());
    let temporary = tempfile::tempdir()?;
    let folder = args.next().map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let size = args.next().map_or(Ok(1024), |mib| mib.parse::<usize>())? << 20;
    let is = |name: &str| what == "all" || what == name;
    if is("store") {
        store(&folder, size)?;
    }
    if is("scan") {
        scan(&folder, size)?;
    }
    if is("records") {
        records(&folder)?;
    }
    Ok(())
}

/// Random bytes, larger than the processor's caches, of which the content is made over and over.
fn slab() -> Bytes {
    let mut slab = vec![0; 128 << 20];
    Rng::new(Seed::from_u64(1)).fill(&mut slab);
    slab.into()
}

fn torrent(
    slab: &Bytes,
    size: usize,
    piece_length: usize,
    format: Format,
) -> Result<Arc<Metainfo>> {
    let mut builder = Builder::file("content", size as u64);
    builder.format = format;
    builder.piece_length = Some(u32::try_from(piece_length)?);
    let plan = builder.plan()?;
    let mut digests = PieceDigests::default();
    let count = plan.layout().piece_count();
    let distinct = (slab.len() / piece_length).max(1);
    let mut known = Vec::new();
    for piece in 0..count as usize {
        if piece < distinct {
            let at = piece * piece_length;
            known.push(plan.hash_piece(PieceIndex(piece as u32), &slab[at..at + piece_length])?);
        }
        digests.push(known[piece % distinct]);
    }
    Ok(Arc::new(plan.finish(&digests)?))
}

struct Sink {
    pool: Pool,
    events: Receiver<Event>,
    torrent: Torrent,
}

fn open(metainfo: &Arc<Metainfo>, location: Location, workers: usize) -> Result<Sink> {
    let pool = Pool::new(&PoolConfig { workers, ..PoolConfig::default() })?;
    let (sender, events) = mpsc::channel();
    let sender = Mutex::new(sender);
    let torrent = pool.open(Opening {
        key: TorrentKey(1),
        metainfo: Arc::clone(metainfo),
        location,
        sink: Arc::new(move |_, event| {
            if let Ok(sender) = sender.lock() {
                let _ = sender.send(event);
            }
        }),
        before_write: None,
    });
    Ok(Sink { pool, events, torrent })
}

fn store(folder: &Path, size: usize) -> Result<()> {
    let slab = slab();
    let path = folder.join("content");
    for piece_length in [256 << 10, 1 << 20, 4 << 20] {
        for (format, name) in [(Format::V1, "v1"), (Format::Hybrid, "hybrid")] {
            let metainfo = torrent(&slab, size, piece_length, format)?;
            let mut ours = Vec::new();
            let mut plain = Vec::new();
            for _ in 0..RUNS {
                let _ = fs::remove_file(&path);
                ours.push(measure(|| store_ours(&metainfo, &slab, folder))?);
                let _ = fs::remove_file(&path);
                plain.push(measure(|| store_plainly(&slab, size, piece_length, format, &path))?);
            }
            println!("store {name}, pieces of {} KiB:", piece_length >> 10);
            print_figures("  pool", size, &mut ours);
            print_figures("  one thread, plain", size, &mut plain);
        }
    }
    let _ = fs::remove_file(&path);
    Ok(())
}

fn store_ours(metainfo: &Arc<Metainfo>, slab: &Bytes, folder: &Path) -> Result<()> {
    let workers = PoolConfig::default().workers;
    let open = open(metainfo, Location::Under(folder.to_owned()), workers)?;
    let mut at = 0;
    for piece in (0..metainfo.piece_count()).map(PieceIndex) {
        for block in (0..).map_while(|number| metainfo.block(piece, number)) {
            open.torrent.store_block(block, slab.slice(at..at + block.len as usize));
            at = (at + block.len as usize) % slab.len();
        }
        let expected = metainfo.piece_hash(piece).ok_or("no hash")?;
        open.torrent.complete_piece(piece, expected, false);
    }
    let stored = |event: &Event| matches!(event, Event::PieceStored { .. });
    let good = open.events.iter().take(metainfo.piece_count() as usize).filter(stored).count();
    if good != metainfo.piece_count() as usize {
        return Err("a piece was not stored".into());
    }
    drop(open.pool);
    Ok(())
}

/// What has to be done at least: hash each block, write each piece, in one thread.
fn store_plainly(
    slab: &Bytes,
    size: usize,
    piece_length: usize,
    format: Format,
    path: &Path,
) -> Result<()> {
    let file = File::create(path)?;
    let mut total = 0;
    while total < size {
        let at = total % slab.len();
        let piece = &slab[at..at + piece_length];
        let mut sha1 = althing_base::hash::Sha1::new();
        for block in piece.chunks(BLOCK) {
            sha1.update(block);
            if format.has_v2() {
                std::hint::black_box(althing_base::hash::sha256(block));
            }
        }
        std::hint::black_box(sha1.finish());
        file.write_all_at(piece, total as u64)?;
        total += piece_length;
    }
    Ok(())
}

fn scan(folder: &Path, size: usize) -> Result<()> {
    let slab = slab();
    let path = folder.join("content");
    {
        let file = File::create(&path)?;
        for at in (0..size).step_by(slab.len()) {
            file.write_all_at(&slab, at as u64)?;
        }
        file.sync_all()?;
    }
    for (format, name) in [(Format::V1, "v1"), (Format::V2, "v2"), (Format::Hybrid, "hybrid")] {
        for piece_length in [16 << 10, 1 << 20, 16 << 20] {
            let metainfo = torrent(&slab, size, piece_length, format)?;
            let all = PoolConfig::default().workers;
            for (workers, cold) in [(1, false), (all, false), (all, true)] {
                let mut figures = Vec::new();
                for _ in 0..RUNS {
                    if cold {
                        drop_from_cache(&path)?;
                    }
                    figures.push(measure(|| verify(&metainfo, folder, workers))?);
                }
                let kib = piece_length >> 10;
                let cold = if cold { ", cold" } else { "" };
                let what = format!("verify {name}, pieces of {kib} KiB, {workers} thread(s){cold}");
                print_figures(&what, size, &mut figures);
            }
        }
        let mut figures = Vec::new();
        for _ in 0..RUNS {
            figures.push(measure(|| {
                let content = Content::find(&path)?;
                let mut builder = content.builder(None);
                builder.format = format;
                content.hash(builder.plan()?, &Hashing::default())?;
                Ok(())
            })?);
        }
        print_figures(&format!("create {name}"), size, &mut figures);
    }
    fs::remove_file(&path)?;
    Ok(())
}

/// Has the system forget the file's bytes, so that they are read from the disk again.
fn drop_from_cache(path: &Path) -> Result<()> {
    let status = std::process::Command::new("dd")
        .arg(format!("if={}", path.display()))
        .args(["iflag=nocache", "count=0", "status=none"])
        .status()?;
    if status.success() { Ok(()) } else { Err("dd failed".into()) }
}

fn verify(metainfo: &Arc<Metainfo>, folder: &Path, workers: usize) -> Result<()> {
    let open = open(metainfo, Location::Under(folder.to_owned()), workers)?;
    open.torrent.verify(Bitfield::full(metainfo.piece_count()));
    let have = open.events.iter().find_map(|event| match event {
        Event::Verified { have, .. } => Some(have),
        _ => None,
    });
    if !have.is_some_and(|have| have.is_full()) {
        return Err("not all pieces were found".into());
    }
    Ok(())
}

/// Ten thousand small torrents: written, then read at a start, and assessed.
fn records(folder: &Path) -> Result<()> {
    const COUNT: u32 = 10_000;
    let path = folder.join("records");
    let data = folder.join("small");
    fs::create_dir(&data)?;
    let slab = slab();
    let before = resident()?;
    let pool = Pool::new(&PoolConfig::default())?;
    let metainfo = torrent(&slab, 128 << 20, 1 << 20, Format::V1)?;
    let sink: althing_store::pieces::Sink = Arc::new(|_, _| {});
    let mut torrents = Vec::new();
    let mut opened = [measure(|| {
        for key in 0..u64::from(COUNT) {
            torrents.push(pool.open(Opening {
                key: TorrentKey(key),
                metainfo: Arc::clone(&metainfo),
                location: Location::Under(data.clone()),
                sink: Arc::clone(&sink),
                before_write: None,
            }));
        }
        Ok(())
    })?];
    let each = (resident()? - before) / torrents.len();
    println!("ten thousand idle torrents in the pool: {each} bytes each");
    print_figures("  open", 0, &mut opened);
    drop(torrents);
    let mut ids = Vec::new();
    let write = measure(|| {
        let records = Records::open(&path)?;
        for number in 0..COUNT {
            let bytes = &slab[number as usize * 1000..][..BLOCK];
            let mut builder = Builder::file(format!("{number}"), BLOCK as u64);
            builder.piece_length = Some(BLOCK as u32);
            let plan = builder.plan()?;
            let mut digests = PieceDigests::default();
            digests.push(plan.hash_piece(PieceIndex(0), bytes)?);
            let metainfo = plan.finish(&digests)?;
            let id = metainfo.info_hashes().primary();
            fs::write(data.join(metainfo.name()), bytes)?;
            records.put_torrent(id, &metainfo.to_torrent())?;
            let record = Record::new(Location::Under(data.clone()), UnixTime(1_700_000_000));
            records.put(id, &record)?;
            records.claim(id, 1, &Default::default(), true)?;
            ids.push(id);
        }
        records.flush()?;
        Ok(())
    })?;
    print_figures("records: ten thousand written", 0, &mut [write]);
    for round in 0..3 {
        let before = resident()?;
        let mut records = None;
        let mut open = [measure(|| {
            records = Some(Records::open(&path)?);
            Ok(())
        })?];
        let records = records.ok_or("no records")?;
        let mut all = Vec::new();
        let mut read = [measure(|| {
            for stored in records.iter() {
                all.push(stored?);
            }
            Ok(())
        })?];
        let mut parsed = Vec::new();
        let mut parse = [measure(|| {
            for stored in &all {
                let torrent = stored.torrent.as_deref().ok_or("no torrent")?;
                parsed.push(Metainfo::parse(torrent)?);
            }
            Ok(())
        })?];
        let mut assessed = [measure(|| {
            for (stored, metainfo) in all.iter().zip(&parsed) {
                let root = Root::new(&stored.record.location, metainfo.files());
                std::hint::black_box(assess(stored.resume.as_ref(), metainfo, &root, &DiskFiles));
            }
            Ok(())
        })?];
        println!(
            "records, round {round}: {} torrents, {} KiB more resident",
            all.len(),
            (resident()? - before) >> 10
        );
        print_figures("  open", 0, &mut open);
        print_figures("  read all", 0, &mut read);
        print_figures("  parse all", 0, &mut parse);
        print_figures("  assess all", 0, &mut assessed);
        drop(all);
        drop(parsed);
    }
    fs::remove_dir_all(&data)?;
    fs::remove_dir_all(&path)?;
    Ok(())
}

/// Seconds by the clock, and of processors.
#[derive(Clone, Copy)]
struct Figures {
    wall: f64,
    cpu: f64,
}

fn measure(run: impl FnOnce() -> Result<()>) -> Result<Figures> {
    let cpu = cpu_seconds()?;
    #[expect(clippy::disallowed_methods, reason = "this is what it measures")]
    let start = std::time::Instant::now();
    run()?;
    Ok(Figures { wall: start.elapsed().as_secs_f64(), cpu: cpu_seconds()? - cpu })
}

fn print_figures(what: &str, size: usize, figures: &mut [Figures]) {
    figures.sort_by(|a, b| a.wall.total_cmp(&b.wall));
    let median = figures[figures.len() / 2];
    let wall = Duration::from_secs_f64(median.wall);
    print!("{what:50} {wall:>12.3?} wall {:>6.2} s CPU", median.cpu);
    if size > 0 {
        let rate = |seconds: f64| size as f64 / seconds / 1e6;
        print!(" {:>6.0} MB/s {:>6.0} MB per CPU s", rate(median.wall), rate(median.cpu));
    }
    println!();
}

/// Seconds that all threads of this process have run, dead ones too.
fn cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit_once(')').ok_or("stat")?.1.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    // `USER_HZ` is 100 on every Linux there is.
    Ok(ticks / 100.0)
}

/// Bytes of memory this process has.
fn resident() -> Result<usize> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    Ok(statm.split_whitespace().nth(1).ok_or("statm")?.parse::<usize>()? * 4096)
}
