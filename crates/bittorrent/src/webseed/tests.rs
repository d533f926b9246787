//! The web seeds of a torrent against a model of a driver and its servers.

use super::*;
use crate::types::BLOCK_SIZE;
use proptest::prelude::*;
use std::ops::Range;

/// A v1 torrent of these files; one without a folder is a torrent of a single file, negative sizes
/// are padding.
pub(super) fn torrent(piece_length: u32, files: &[(&str, i64)]) -> Metainfo {
    torrent_at(piece_length, files, &["http://one/", "http://two"])
}

fn torrent_at(piece_length: u32, files: &[(&str, i64)], urls: &[&str]) -> Metainfo {
    let text = |text: &str| format!("{}:{text}", text.len());
    let total: u64 = files.iter().map(|(_, size)| size.unsigned_abs()).sum();
    let pieces = "x".repeat(20 * total.div_ceil(u64::from(piece_length)) as usize);
    let body = match files {
        [(name, size)] if !name.contains('/') => format!("6:lengthi{size}e4:name{}", text(name)),
        _ => {
            let entry = |(path, size): &(&str, i64)| {
                let components: String = path.split('/').skip(1).map(text).collect();
                let attr = if *size < 0 { "4:attr1:p" } else { "" };
                format!("d{attr}6:lengthi{}e4:pathl{components}ee", size.unsigned_abs())
            };
            let files: String = files.iter().map(entry).collect();
            format!("5:filesl{files}e4:name1:t")
        }
    };
    let urls: String = urls.iter().map(|url| text(url)).collect();
    let torrent = format!(
        "d4:infod{body}12:piece lengthi{piece_length}e6:pieces{}e8:url-listl{urls}ee",
        text(&pieces)
    );
    Metainfo::parse(torrent.as_bytes()).expect("a torrent")
}

fn at(seconds: u64) -> Instant {
    Instant::ORIGIN + Duration::from_secs(1000 + seconds)
}

fn all_blocks(metainfo: &Metainfo, pieces: Range<u32>) -> Vec<BlockRef> {
    pieces
        .map(PieceIndex)
        .flat_map(|piece| (0..metainfo.block_count(piece)).map(move |n| (piece, n)))
        .filter_map(|(piece, n)| metainfo.block(piece, n))
        .collect()
}

/// One byte of a file: where it is says what it is.
fn byte(file: u32, offset: u64) -> u8 {
    (u64::from(file) * 131 + offset * 7 + offset / 256) as u8 | 1
}

/// What a block has to be.
fn content(metainfo: &Metainfo, block: BlockRef) -> Vec<u8> {
    let part = |slice: crate::metainfo::FileSlice| {
        let pad = metainfo.files()[slice.file.0 as usize].is_pad();
        (0..u64::from(slice.len))
            .map(move |at| if pad { 0 } else { byte(slice.file.0, slice.offset + at) })
    };
    metainfo.slices(block).flat_map(part).collect()
}

/// How a server answers.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Ranges,
    /// At most so many bytes of what was asked for.
    Short(u64),
    /// It has never heard of ranges.
    Whole,
}

/// A driver whose servers have every file.
struct World {
    machine: WebSeeds,
    metainfo: Arc<Metainfo>,
    manner: Manner,
    conns: Vec<(ConnId, Bitfield)>,
    /// For each connection the blocks to be cut and the bytes so far.
    filling: BTreeMap<ConnId, (VecDeque<BlockRef>, Vec<u8>)>,
    came: Vec<BlockRef>,
    rejected: Vec<BlockRef>,
    asked: Vec<(String, Range<u64>)>,
    /// Requests that nobody has answered.
    open: Vec<Output>,
    /// Bodies that are open: of which file, and where in it.
    bodies: BTreeMap<FetchId, (u32, u64)>,
    now: Instant,
}

impl World {
    fn new(metainfo: Metainfo, manner: Manner) -> Self {
        let metainfo = Arc::new(metainfo);
        let mut world = World {
            machine: WebSeeds::new(2, Seed::from_u64(1)),
            metainfo: Arc::clone(&metainfo),
            manner,
            conns: Vec::new(),
            filling: BTreeMap::new(),
            came: Vec::new(),
            rejected: Vec::new(),
            asked: Vec::new(),
            open: Vec::new(),
            bodies: BTreeMap::new(),
            now: at(0),
        };
        world.tell(Input::Start { metainfo });
        world
    }

    /// Hands something in and does what comes of it, but for answering requests.
    fn tell(&mut self, input: Input) {
        self.machine.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Open { conn, have, .. } => self.conns.push((conn, have)),
                Output::Close { conn } => {
                    self.conns.retain(|(other, _)| *other != conn);
                    self.filling.remove(&conn);
                    self.open.retain(|open| of(open) != conn);
                }
                Output::Reject { block, .. } => self.rejected.push(block),
                Output::Expect { conn, blocks } => {
                    self.filling.entry(conn).or_default().0.extend(blocks);
                }
                Output::Zeros { conn, len } => self.bytes(conn, vec![0; len as usize]),
                Output::Abort { conn, .. } => {
                    self.open.retain(|open| of(open) != conn);
                }
                Output::Forget { conn } => drop(self.filling.remove(&conn)),
                Output::Fetch { ref url, ref range, .. } => {
                    assert!(range.start < range.end);
                    self.asked.push((url.clone(), range.clone()));
                    self.open.push(output);
                }
                Output::Take { .. } => self.open.push(output),
            }
        }
    }

    fn bytes(&mut self, conn: ConnId, bytes: Vec<u8>) {
        let (blocks, filled) = self.filling.entry(conn).or_default();
        filled.extend(bytes);
        while let Some(block) = blocks.front().copied()
            && filled.len() >= block.len as usize
        {
            blocks.pop_front();
            let data: Vec<u8> = filled.drain(..block.len as usize).collect();
            assert!(data == content(&self.metainfo, block), "{block:?} has other bytes");
            self.came.push(block);
        }
    }

    /// Answers one request, or hands on one body. False if there is nothing to do.
    fn step(&mut self) -> bool {
        if self.open.is_empty() {
            return false;
        }
        match self.open.remove(0) {
            Output::Fetch { fetch, conn, url, range } => {
                let file = self.file(&url);
                let size = self.metainfo.files()[file as usize].size();
                let (status, content_range) = match self.manner {
                    Manner::Ranges => (206, range.clone()),
                    Manner::Short(most) => (206, range.start..range.end.min(range.start + most)),
                    Manner::Whole => (200, 0..size),
                };
                let head = Head {
                    status,
                    content_range: (status == 206).then(|| {
                        format!("bytes {}-{}/{size}", content_range.start, content_range.end - 1)
                    }),
                    content_length: Some(content_range.end - content_range.start),
                    ..Head::default()
                };
                self.filling.entry(conn).or_default();
                self.bodies.insert(fetch, (file, content_range.start));
                self.tell(Input::Head { fetch, head });
            }
            Output::Take { fetch, conn, skip, len } => {
                let (file, from) = self.bodies[&fetch];
                let from = from + skip;
                self.bodies.insert(fetch, (file, from + len));
                let bytes = (from..from + len).map(|at| byte(file, at)).collect();
                let before = self.came.len();
                self.bytes(conn, bytes);
                let arrived: Vec<BlockRef> = self.came[before..].to_vec();
                for block in arrived {
                    self.tell(Input::Arrived { conn, block });
                }
                self.tell(Input::Delivered { fetch });
            }
            other => panic!("{other:?} needs no answer"),
        }
        true
    }

    fn file(&self, url: &str) -> u32 {
        let files = self.metainfo.files();
        let bases: Vec<&String> = self.metainfo.web_seeds().iter().collect();
        let is = |file: &crate::metainfo::File| {
            bases.iter().any(|base| url::file_url(base, &self.metainfo, file) == url)
        };
        files.iter().position(is).expect("a file's URL") as u32
    }
}

fn of(output: &Output) -> ConnId {
    match output {
        Output::Fetch { conn, .. } | Output::Take { conn, .. } => *conn,
        other => panic!("{other:?} is not kept"),
    }
}

const PIECE: u32 = 4 * BLOCK_SIZE;

/// Three files of which none ends at a piece, with padding and an empty one between.
fn several() -> Metainfo {
    torrent(
        PIECE,
        &[("t/a", 100_000), ("t/p", -31_072), ("t/b", 0), ("t/c", 200_000), ("t/d d", 70_000)],
    )
}

#[test]
fn runs_of_blocks_become_one_request_for_each_file() {
    let mut world = World::new(several(), Manner::Ranges);
    let blocks = all_blocks(&world.metainfo, 0..world.metainfo.piece_count());
    let conn = world.conns[0].0;
    world.tell(Input::Requests { conn, blocks: blocks.clone() });
    while world.step() {}
    assert_eq!(world.came, blocks);
    let asked: Vec<_> =
        world.asked.iter().map(|(url, range)| (&url[10..], range.clone())).collect();
    assert_eq!(asked, [("/t/a", 0..100_000), ("/t/c", 0..200_000), ("/t/d%20d", 0..70_000)]);
}

#[test]
fn what_is_ordered_meanwhile_is_asked_for_in_one_go() {
    let mut world = World::new(several(), Manner::Ranges);
    let conn = world.conns[0].0;
    let blocks = all_blocks(&world.metainfo, 2..5);
    let (first, rest) = blocks.split_at(2);
    world.tell(Input::Requests { conn, blocks: first.to_vec() });
    for block in rest {
        world.tell(Input::Requests { conn, blocks: vec![*block] });
    }
    while world.step() {}
    assert_eq!(world.came, blocks);
    let ranges: Vec<_> = world.asked.iter().map(|(_, range)| range.clone()).collect();
    assert_eq!(ranges, [0..32_768, 32_768..196_608]);
}

#[test]
fn a_server_without_ranges_sends_each_file_once() {
    let mut world = World::new(several(), Manner::Whole);
    let conn = world.conns[0].0;
    let blocks = all_blocks(&world.metainfo, 0..world.metainfo.piece_count());
    // As the swarm does it: some ahead, and more with each that comes.
    let mut left = blocks.iter().copied();
    let first: Vec<_> = left.by_ref().take(6).collect();
    world.tell(Input::Requests { conn, blocks: first });
    let mut seen = 0;
    loop {
        let more: Vec<_> = left.by_ref().take(world.came.len() - seen).collect();
        seen = world.came.len();
        world.tell(Input::Requests { conn, blocks: more });
        if !world.step() {
            break;
        }
    }
    assert_eq!(world.came, blocks);
    assert!(world.asked.len() <= 6, "{:?}", world.asked);
}

#[test]
fn a_missing_file_is_not_asked_for_again() {
    let mut world = World::new(several(), Manner::Ranges);
    let conn = world.conns[0].0;
    world.tell(Input::Requests { conn, blocks: all_blocks(&world.metainfo, 2..3) });
    let Some(Output::Fetch { fetch, .. }) = world.open.first().cloned() else { panic!("asked") };
    world.tell(Input::Head { fetch, head: Head { status: 404, ..Head::default() } });
    assert!(world.conns.iter().all(|(other, _)| *other != conn), "it was told what is there");
    let (_, have) = world.conns.iter().max_by_key(|(conn, _)| *conn).expect("another");
    let there: Vec<u32> = have.ones().map(|piece| piece.0).collect();
    // The file lies in pieces 2 to 5, and the last of them has the start of another.
    assert_eq!(there, [0, 1, 6]);
}

#[test]
fn trouble_makes_a_server_wait_longer_each_time() {
    let metainfo = torrent_at(PIECE, &[("a", 1_000_000)], &["http://one/"]);
    let mut world = World::new(metainfo, Manner::Ranges);
    let mut waits = Vec::new();
    while let Some((conn, _)) = world.conns.first().cloned() {
        world.tell(Input::Requests { conn, blocks: all_blocks(&world.metainfo, 0..1) });
        let Some(Output::Fetch { fetch, .. }) = world.open.first().cloned() else {
            panic!("asked")
        };
        world.tell(Input::Failed { fetch, words: "refused".to_owned() });
        assert!(world.conns.is_empty());
        let Some((next, _)) = world.machine.poll_timeout() else { break };
        waits.push(next.since(world.now).as_secs());
        world.now = next;
        world.machine.handle_timeout(next);
        world.drain();
    }
    assert_eq!(waits[..9], [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
    assert_eq!(waits.len(), FAILURES_MAX as usize);
    assert!(world.machine.servers().next().expect("one").is_gone);
}

#[test]
fn a_server_says_how_long_it_wants_to_be_left_alone() {
    let metainfo = torrent_at(PIECE, &[("a", 1_000_000)], &["http://one/"]);
    let mut world = World::new(metainfo, Manner::Ranges);
    let conn = world.conns[0].0;
    world.tell(Input::Requests { conn, blocks: all_blocks(&world.metainfo, 0..1) });
    let Some(Output::Fetch { fetch, .. }) = world.open.first().cloned() else { panic!("asked") };
    let retry_after = Some("7".to_owned());
    world.tell(Input::Head { fetch, head: Head { status: 503, retry_after, ..Head::default() } });
    assert_eq!(world.machine.poll_timeout(), Some((at(7), Reason::Retry)));
    // Nothing happens meanwhile, also not where it was stopped.
    world.tell(Input::Stop);
    assert_eq!(world.machine.poll_timeout(), None);
}

#[test]
fn a_server_that_refuses_a_second_connection_keeps_the_first() {
    let metainfo = torrent_at(PIECE, &[("a", 1_000_000)], &["http://one/"]);
    let mut world = World::new(metainfo, Manner::Ranges);
    let (first, second) = (world.conns[0].0, world.conns[1].0);
    world.tell(Input::Requests { conn: first, blocks: all_blocks(&world.metainfo, 0..1) });
    while world.step() {}
    world.tell(Input::Requests { conn: second, blocks: all_blocks(&world.metainfo, 1..2) });
    let Some(Output::Fetch { fetch, .. }) = world.open.first().cloned() else { panic!("asked") };
    world.tell(Input::Head { fetch, head: Head { status: 429, ..Head::default() } });
    assert_eq!(world.conns.iter().map(|(conn, _)| *conn).collect::<Vec<_>>(), [first]);
    assert_eq!(world.machine.poll_timeout(), None);
}

#[test]
fn a_liar_loses_the_file_and_in_the_end_everything() {
    let metainfo = torrent_at(PIECE, &[("t/a", 262_144), ("t/b", 262_144)], &["http://one/"]);
    let mut world = World::new(metainfo, Manner::Ranges);
    world.tell(Input::Lied { seed: WebSeedId(0), piece: PieceIndex(1) });
    let (_, have) = world.conns[0].clone();
    assert_eq!(have.ones().map(|piece| piece.0).collect::<Vec<_>>(), [4, 5, 6, 7]);
    world.tell(Input::Lied { seed: WebSeedId(0), piece: PieceIndex(4) });
    assert!(world.conns.is_empty() && world.machine.servers().all(|server| server.is_gone));
}

#[test]
fn orders_taken_back_are_answered() {
    let mut world = World::new(several(), Manner::Ranges);
    let conn = world.conns[0].0;
    let blocks = all_blocks(&world.metainfo, 2..4);
    let (job, waiting) = blocks.split_at(4);
    world.tell(Input::Requests { conn, blocks: job.to_vec() });
    world.tell(Input::Requests { conn, blocks: waiting.to_vec() });
    world.tell(Input::Cancel { conn, block: waiting[0] });
    assert_eq!(world.rejected, [waiting[0]]);
    for block in job {
        world.tell(Input::Cancel { conn, block: *block });
    }
    assert_eq!(world.rejected.len(), 5);
    while world.step() {}
    assert_eq!(world.came, waiting[1..]);
}

#[test]
fn what_was_taken_back_but_for_its_start_is_hung_up_on_then() {
    let mut world = World::new(several(), Manner::Ranges);
    let conn = world.conns[0].0;
    let blocks = all_blocks(&world.metainfo, 2..4);
    world.tell(Input::Requests { conn, blocks: blocks.clone() });
    for block in &blocks[1..] {
        world.tell(Input::Cancel { conn, block: *block });
    }
    assert!(world.rejected.is_empty() && world.open.len() == 1);
    world.tell(Input::Arrived { conn, block: blocks[0] });
    assert_eq!(world.rejected, blocks[1..]);
    assert!(world.open.is_empty());
}

#[test]
fn only_so_many_servers_at_a_time_and_nothing_when_stopped() {
    let urls: Vec<String> = (0..50).map(|n| format!("http://h{n}/")).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let mut world = World::new(torrent_at(PIECE, &[("a", 1_000_000)], &urls), Manner::Ranges);
    assert_eq!(world.conns.len(), 2 * SERVERS_AT_ONCE);
    world.tell(Input::Stop);
    assert!(world.conns.is_empty());
    world.tell(Input::Start { metainfo: Arc::clone(&world.metainfo) });
    assert_eq!(world.conns.len(), 2 * SERVERS_AT_ONCE);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn exactly_the_wanted_blocks_come(
        sizes in proptest::collection::vec(
            prop_oneof![4 => 1..150_000i64, 1 => -40_000..0i64, 1 => Just(0)], 1..12),
        piece_length in prop_oneof![Just(16_384u32), Just(65_536), 1_000..90_000u32],
        manner in prop_oneof![
            Just(Manner::Ranges), Just(Manner::Whole),
            (5_000..60_000u64).prop_map(Manner::Short)],
        picks in proptest::collection::vec((any::<proptest::sample::Index>(), 1..6usize), 1..20),
    ) {
        prop_assume!(sizes.iter().any(|size| *size > 0));
        let names: Vec<String> = (0..sizes.len()).map(|n| format!("t/{n}")).collect();
        let files: Vec<(&str, i64)> =
            names.iter().map(String::as_str).zip(sizes.iter().copied()).collect();
        let mut world = World::new(torrent(piece_length, &files), manner);
        let all = all_blocks(&world.metainfo, 0..world.metainfo.piece_count());
        let mut wanted: Vec<BlockRef> = Vec::new();
        for (at, run) in picks {
            let start = at.index(all.len());
            let run: Vec<BlockRef> = all[start..all.len().min(start + run)]
                .iter()
                .filter(|block| !wanted.contains(block))
                .copied()
                .collect();
            wanted.extend(&run);
            let conn = world.conns[start % world.conns.len()].0;
            world.tell(Input::Requests { conn, blocks: run });
            world.step();
        }
        let mut steps = 0;
        while world.step() {
            steps += 1;
            prop_assert!(steps < 10_000, "it goes on for ever");
        }
        let order = |block: &BlockRef| (block.piece, block.begin);
        world.came.sort_by_key(order);
        wanted.sort_by_key(order);
        prop_assert_eq!(&world.came, &wanted);
    }
}
