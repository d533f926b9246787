//! What is wanted changes while the torrent runs, and everything follows.

use super::*;
use crate::wire::ExtensionHandshake;
use proptest::prelude::*;

/// A v1 torrent whose files have these lengths, in pieces of one block.
fn of_files(lengths: &[u32]) -> Arc<Metainfo> {
    let total: u32 = lengths.iter().sum();
    let pieces = total.div_ceil(BLOCK_SIZE);
    let hashes: Vec<u8> = (0..pieces).flat_map(|n| sha1(&n.to_be_bytes()).0).collect();
    let mut info = Encoder::new();
    info.dict(|info| {
        info.key(b"files").list(|files| {
            for (n, length) in lengths.iter().enumerate() {
                files.dict(|file| {
                    file.key(b"length").int(i64::from(*length));
                    file.key(b"path").list(|path| {
                        path.bytes(format!("{n}").as_bytes());
                    });
                });
            }
        });
        info.key(b"name").bytes(b"box");
        info.key(b"piece length").int(i64::from(BLOCK_SIZE));
        info.key(b"pieces").bytes(&hashes);
    });
    let mut out = Encoder::new();
    out.dict(|out| out.key(b"info").raw(&info.finish()));
    Arc::new(Metainfo::parse(&out.finish()).expect("a valid torrent"))
}

/// A swarm of that torrent with nothing on disk.
fn table_of(metainfo: &Arc<Metainfo>) -> Table {
    let now = Instant::ORIGIN + Duration::from_secs(1000);
    let source = Source::Metainfo(Arc::clone(metainfo));
    let config = SwarmConfig::new(our_id());
    let swarm = Swarm::new(now, config, Seed::from_u64(1), source, false);
    let info_hash = metainfo.info_hashes().primary();
    let mut table = Table { swarm, now, info_hash, pieces: metainfo.piece_count() };
    table.tell(Input::StorageReady { have: Bitfield::new(metainfo.piece_count()) });
    table
}

fn skipping(files: &[u32]) -> FilePriorities {
    let mut priorities = FilePriorities::default();
    files.iter().for_each(|file| priorities.set(FileIndex(*file), Priority::Skip));
    priorities
}

/// Gives the swarm a whole piece of one block.
fn finish(table: &mut Table, from: u64, piece: u32) -> Vec<Output> {
    let len = table.swarm.metainfo().expect("known").piece_size(PieceIndex(piece));
    let block = BlockRef { piece: PieceIndex(piece), begin: 0, len };
    let mut outputs = table.give(from, block);
    assert!(!completed_pieces(&outputs).is_empty(), "{outputs:?}");
    let stored = Input::PieceStored { piece: PieceIndex(piece), block_digests: None };
    outputs.extend(table.tell(stored));
    outputs
}

fn upload_only(outputs: &[Output], n: u64) -> Vec<Option<bool>> {
    let handshakes = said(outputs, n).into_iter().filter_map(|message| match message {
        Message::Extended { id: 0, payload } => ExtensionHandshake::parse(payload).ok(),
        _ => None,
    });
    handshakes.map(|handshake| handshake.upload_only).collect()
}

#[test]
fn what_is_skipped_is_taken_back_and_what_is_wanted_again_is_ordered() {
    // File 0 has pieces 0 to 2, file 1 pieces 2 to 4.
    let metainfo = of_files(&[BLOCK_SIZE * 5 / 2, BLOCK_SIZE * 5 / 2]);
    let mut table = table_of(&metainfo);
    let asked = requests(&table.seed(1), 1);
    assert_eq!(asked.len(), 5);
    let outputs = table.tell(Input::SetPriorities(skipping(&[1])));
    let cancelled: Vec<u32> = said(&outputs, 1)
        .into_iter()
        .filter_map(|m| if let Message::Cancel(block) = m { Some(block.piece.0) } else { None })
        .collect();
    let mut sorted = cancelled.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [3, 4], "the piece that both files share stays");
    let given_up = |output: &&Output| matches!(output, Output::AbandonPiece { .. });
    assert_eq!(outputs.iter().filter(given_up).count(), 2);
    assert_eq!(table.swarm.left_bytes(), Some(3 * u64::from(BLOCK_SIZE)));
    assert_eq!(table.swarm.absent_bytes(), Some(5 * u64::from(BLOCK_SIZE)));
    // What comes all the same is not kept, and nobody's fault.
    let late = BlockRef { piece: PieceIndex(3), begin: 0, len: BLOCK_SIZE };
    assert!(table.give(1, late).is_empty());
    let mut outputs = Vec::new();
    for piece in 0..3 {
        outputs.extend(finish(&mut table, 1, piece));
    }
    assert!(outputs.iter().any(|o| matches!(o, Output::Completed)));
    assert!(said(&outputs, 1).contains(&&Message::NotInterested));
    assert_eq!(upload_only(&outputs, 1), [Some(true)]);
    assert_eq!(table.swarm.state(), State::Seeding);
    assert!(table.swarm.is_partial_seed());
    // The user wants the rest after all.
    let outputs = table.tell(Input::SetPriorities(FilePriorities::default()));
    assert_eq!(requests(&outputs, 1).len(), 2);
    assert!(said(&outputs, 1).contains(&&Message::Interested));
    assert_eq!(upload_only(&outputs, 1), [Some(false)]);
    assert_eq!(table.swarm.state(), State::Downloading);
}

#[test]
fn skipping_the_rest_completes_it() {
    let metainfo = of_files(&[BLOCK_SIZE, BLOCK_SIZE]);
    let mut table = table_of(&metainfo);
    table.seed(1);
    finish(&mut table, 1, 0);
    let outputs = table.tell(Input::SetPriorities(skipping(&[1])));
    assert!(outputs.iter().any(|o| matches!(o, Output::Completed)));
    // And what had come when it was skipped is stored, not wasted.
    assert_eq!(table.swarm.left_bytes(), Some(0));
}

#[test]
fn partial_seeds_do_not_keep_each_other() {
    let metainfo = of_files(&[BLOCK_SIZE, BLOCK_SIZE]);
    let mut table = table_of(&metainfo);
    table.seed(9);
    finish(&mut table, 9, 0);
    table.tell(Input::SetPriorities(skipping(&[1])));
    table.connect(1);
    table.hear(1, Message::Bitfield(Bytes::from_static(&[0x80])));
    let idle = ExtensionHandshake { upload_only: Some(true), ..ExtensionHandshake::default() };
    let outputs = table.hear(1, Message::Extended { id: 0, payload: idle.encode() });
    assert_eq!(dropped(&outputs, 1), Some(DisconnectReason::NothingToExchange));
}

#[test]
fn who_is_still_choosing_keeps_the_seeds() {
    let metainfo = of_files(&[BLOCK_SIZE, BLOCK_SIZE]);
    let mut table = table_of(&metainfo);
    table.tell(Input::SetPriorities(FilePriorities::all(Priority::Skip)));
    let mut outputs = table.seed(1);
    assert!(requests(&outputs, 1).is_empty());
    outputs.extend(table.wait(2 * CHOKE_INTERVAL.as_secs()));
    assert_eq!(dropped(&outputs, 1), None);
    assert!(upload_only(&outputs, 1).is_empty());
    let outputs = table.tell(Input::SetPriorities(skipping(&[1])));
    assert_eq!(requests(&outputs, 1).len(), 1);
}

#[test]
fn high_goes_before_rare_and_low_after_common() {
    // Ten files of one piece each.
    let metainfo = of_files(&[BLOCK_SIZE; 10]);
    let mut table = table_of(&metainfo);
    let mut wishes = FilePriorities::default();
    wishes.set(FileIndex(7), Priority::High);
    wishes.set(FileIndex(2), Priority::Low);
    table.tell(Input::SetPriorities(wishes));
    table.connect(1);
    table.hear(1, Message::HaveAll);
    // Two others make piece 2 the rarest and piece 7 the most common one.
    for n in [2, 3] {
        table.connect(n);
        table.hear(n, Message::Bitfield(Bytes::from_static(&[0xdf, 0xc0])));
    }
    let asked: Vec<u32> =
        requests(&table.hear(1, Message::Unchoke), 1).iter().map(|b| b.piece.0).collect();
    assert_eq!(asked.first(), Some(&7), "{asked:?}");
    assert_eq!(asked.last(), Some(&2), "{asked:?}");
    assert_eq!(asked.len(), 10);
}

#[test]
fn in_order_from_now_on() {
    let metainfo = of_files(&[BLOCK_SIZE * 200]);
    let mut table = table_of(&metainfo);
    table.tell(Input::SetPicker(PickerKind::Sequential));
    let asked: Vec<u32> = requests(&table.seed(1), 1).iter().map(|b| b.piece.0).collect();
    assert_eq!(asked, (0..PIPELINE_MIN as u32).collect::<Vec<_>>());
    table.tell(Input::SetPicker(PickerKind::RarestFirst));
    for piece in asked {
        finish(&mut table, 1, piece);
    }
    let asked: Vec<u32> =
        table.swarm.peers[&ConnId(1)].orders.iter().map(|o| o.block.piece.0).collect();
    assert!(!asked.is_sorted(), "{asked:?}");
}

fn any_priority() -> impl Strategy<Value = Priority> {
    prop_oneof![
        Just(Priority::Skip),
        Just(Priority::Low),
        Just(Priority::Normal),
        Just(Priority::High)
    ]
}

proptest! {
    /// Whatever files there are and however wishes for files and pieces change while pieces come in:
    /// what counts as missing, left and interesting is what a plain look at them says.
    #[test]
    fn the_books_agree_with_the_files(
        lengths in proptest::collection::vec(1..3 * BLOCK_SIZE, 1..8),
        steps in proptest::collection::vec(
            (
                proptest::collection::vec(any_priority(), 8),
                proptest::collection::vec((0..30u32, 0..9u32, any_priority()), 0..3),
                any::<bool>(),
                0..30u32,
            ),
            1..12,
        ),
    ) {
        let metainfo = of_files(&lengths);
        let mut table = table_of(&metainfo);
        table.seed(1);
        for (wishes, pieces, in_order, done) in steps {
            let mut priorities = FilePriorities::default();
            for (n, priority) in (0..).zip(&wishes) {
                priorities.set(FileIndex(n), *priority);
            }
            let mut own = PieceWishes::default();
            for (first, more, priority) in &pieces {
                assert!(own.set(*first..=first + more, Some(*priority)));
            }
            priorities.set_pieces(own);
            table.tell(Input::SetPriorities(priorities));
            let kind = if in_order { PickerKind::Sequential } else { PickerKind::RarestFirst };
            table.tell(Input::SetPicker(kind));
            let owed = table.swarm.peers[&ConnId(1)].orders.iter().find(|o| o.counted_in.is_some());
            if let Some(block) = owed.filter(|_| done % 3 > 0).map(|o| o.block) {
                finish(&mut table, 1, block.piece.0);
            }
            // The plain look.
            let mut best = vec![Priority::Skip; table.pieces as usize];
            let mut offset = 0u32;
            for (length, priority) in lengths.iter().zip(&wishes) {
                for piece in offset / BLOCK_SIZE..(offset + length).div_ceil(BLOCK_SIZE) {
                    best[piece as usize] = best[piece as usize].max(*priority);
                }
                offset += length;
            }
            // Their own priority goes before their files'.
            for (first, more, priority) in &pieces {
                let last = (first + more).min(table.pieces.saturating_sub(1));
                for piece in *first..=last {
                    best[piece as usize] = *priority;
                }
            }
            let swarm = &table.swarm;
            let missing: Vec<PieceIndex> = (0..table.pieces)
                .map(PieceIndex)
                .filter(|p| best[p.0 as usize] != Priority::Skip && !swarm.have.get(*p))
                .collect();
            prop_assert_eq!(swarm.missing as usize, missing.len());
            let left: u64 = missing.iter().map(|p| u64::from(metainfo.piece_size(*p))).sum();
            prop_assert_eq!(swarm.left_bytes(), Some(left));
            for piece in (0..table.pieces).map(PieceIndex) {
                prop_assert_eq!(swarm.priorities.of(piece), best[piece.0 as usize]);
                let in_hand = swarm.picker.wants(piece) || swarm.open.get(piece).is_some();
                prop_assert_eq!(in_hand, missing.contains(&piece), "{:?}", piece);
            }
            if let Some(peer) = swarm.peers.get(&ConnId(1)) {
                prop_assert_eq!(peer.useful as usize, missing.len());
                prop_assert_eq!(peer.interesting, !missing.is_empty());
            }
        }
    }
}
