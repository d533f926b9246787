//! Making torrents: the same as libtorrent's where the choices coincide (`data/make.py`), and
//! always such that they are read as what was put in.

use althing_base::UnixTime;
use althing_bittorrent::PieceIndex;
use althing_bittorrent::metainfo::{
    BuildError, Builder, FileIndex, Format, Magnet, Metainfo, NewFile, PieceDigests, Plan, merkle,
};
use proptest::prelude::*;
use std::path::Path;

/// The bytes of a file, as `data/make.py` has them.
fn content(size: u64, seed: u64) -> Vec<u8> {
    (0..size).map(|i| (i * seed * 7 + i / 256 * seed + seed) as u8).collect()
}

/// Hashes what the plan lays out and finishes it. `contents` are in the order of the builder's.
fn finish(plan: Plan, contents: &[Vec<u8>]) -> Metainfo {
    let digests = hash(&plan, contents);
    plan.finish(&digests).expect("a torrent")
}

fn hash(plan: &Plan, contents: &[Vec<u8>]) -> PieceDigests {
    let layout = plan.layout();
    let mut space = Vec::new();
    for (index, file) in (0..).zip(layout.files()) {
        match plan.origin(FileIndex(index)) {
            Some(origin) => space.extend_from_slice(&contents[origin]),
            None => space.resize(space.len() + file.size() as usize, 0),
        }
    }
    assert_eq!(space.len() as u64, layout.total_size());
    let mut digests = PieceDigests::default();
    for piece in (0..layout.piece_count()).map(PieceIndex) {
        let at = layout.piece_offset(piece) as usize;
        let data = &space[at..at + layout.piece_data_size(piece) as usize];
        digests.push(plan.hash_piece(piece, data).expect("the bytes of the piece"));
    }
    digests
}

fn as_libtorrent_did(builder: &mut Builder, format: Format, piece_length: u32) {
    builder.format = format;
    builder.piece_length = Some(piece_length);
    builder.created_by = Some("libtorrent 2.1.1".to_owned());
    builder.comment = Some("made for comparison".to_owned());
    builder.creation_date = Some(UnixTime(1_700_000_000));
    builder.trackers = vec![
        vec!["http://one.example/announce".to_owned()],
        vec!["udp://two.example:6969/announce".to_owned()],
    ];
    builder.web_seeds = vec!["http://seed.example/".to_owned()];
}

fn compare(name: &str, metainfo: &Metainfo) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let expected = std::fs::read(path).expect("made by data/make.py");
    let found = metainfo.to_torrent();
    assert!(found == expected, "{name}: {}\n{}", found.escape_ascii(), expected.escape_ascii());
}

#[test]
fn single_files_are_what_libtorrent_makes_of_them() {
    let files = [("one", "one.bin", content(150_000, 3)), ("tiny", "tiny.txt", content(5, 2))];
    for (stem, name, content) in files {
        for (format, piece_length, kind) in [
            (Format::Hybrid, 16_384, "hybrid-16k"),
            (Format::V1, 32_768, "v1-32k"),
            (Format::V2, 65_536, "v2-64k"),
        ] {
            let mut builder = Builder::file(name, content.len() as u64);
            as_libtorrent_did(&mut builder, format, piece_length);
            let plan = builder.plan().expect("a plan");
            compare(
                &format!("{stem}-{kind}.torrent"),
                &finish(plan, std::slice::from_ref(&content)),
            );
        }
    }
}

#[test]
fn folders_are_what_libtorrent_makes_of_them() {
    let mut files = vec![
        (NewFile::new(["run"], 33_000), content(33_000, 11)),
        (NewFile::new(["b", "two.txt"], 20_000), content(20_000, 5)),
        (NewFile::new(["b", "empty"], 0), Vec::new()),
        (NewFile::new(["c.bin"], 65_536), content(65_536, 9)),
        (NewFile::new(["a.txt"], 100), content(100, 7)),
        (NewFile::new(["link"], 0), Vec::new()),
        (NewFile::new(["B"], 3), content(3, 13)),
    ];
    files[0].0.executable = true;
    files[5].0.executable = true;
    files[5].0.symlink = Some(vec!["b".to_owned(), "two.txt".to_owned()]);
    let (files, contents): (Vec<_>, Vec<_>) = files.into_iter().unzip();
    for (format, piece_length, kind) in
        [(Format::Hybrid, 16_384, "hybrid-16k"), (Format::V2, 65_536, "v2-64k")]
    {
        let mut builder = Builder::folder("box");
        files.iter().for_each(|file| builder.add(file.clone()));
        as_libtorrent_did(&mut builder, format, piece_length);
        let metainfo = finish(builder.plan().expect("a plan"), &contents);
        compare(&format!("box-{kind}.torrent"), &metainfo);
        let link = metainfo.files().iter().find(|file| file.is_symlink()).expect("a link");
        assert_eq!((link.path(), link.symlink()), ("box/link", Some("box/b/two.txt")));
    }
}

#[test]
fn a_folder_of_one_file_is_that_file_in_v2_alone() {
    for (format, path) in [(Format::Hybrid, "box/a"), (Format::V1, "box/a"), (Format::V2, "a")] {
        let mut builder = Builder::folder("box");
        builder.add(NewFile::new(["a"], 5));
        builder.format = format;
        let plan = builder.plan().expect("a plan");
        assert_eq!(plan.layout().files()[0].path(), path);
        let metainfo = finish(plan, &[b"hello".to_vec()]);
        assert_eq!(metainfo.files()[0].path(), path, "{format:?}");
    }
}

#[test]
fn pieces_grow_with_the_content() {
    let length = |size| Builder::file("f", size).plan().map(|plan| plan.layout().piece_length());
    const KIB: u64 = 1024;
    const GIB: u64 = KIB * KIB * KIB;
    for (size, expected) in [
        (1, 16 * KIB),
        (32 * KIB * KIB, 16 * KIB),
        (32 * KIB * KIB + 1, 32 * KIB),
        (GIB, 512 * KIB),
        (4 * GIB, 2048 * KIB),
        (32 * GIB, 16384 * KIB),
        (16 * KIB * GIB - 1, 16384 * KIB),
    ] {
        assert_eq!(length(size).map(u64::from), Ok(expected), "{size}");
    }
}

#[test]
fn what_cannot_be_shared_is_said() {
    let check = |paths: &[&str], expected: &str| {
        let mut builder = Builder::folder("box");
        paths.iter().for_each(|path| builder.add(NewFile::new(path.split('/'), 1)));
        let refused = builder.plan().expect_err("no plan").to_string();
        assert_eq!(refused, expected);
    };
    check(&[], "there is nothing to share: no file in box has any content");
    check(&["a", "b/..", "c"], "\"b/..\" cannot be in a torrent: a name is only dots");
    check(&["a//b"], "\"a//b\" cannot be in a torrent: a name is empty");
    check(&["a\0"], "\"a\\0\" cannot be in a torrent: a name has a slash or a zero byte");
    check(&["a", "b", "a"], "\"a\" cannot be in a torrent: it is there twice");
    check(&["a/b", "a", "a!"], "\"a/b\" cannot be in a torrent: its folder is a file as well");
    let with = |change: &dyn Fn(&mut Builder)| {
        let mut builder = Builder::file("f", 1);
        change(&mut builder);
        builder.plan().expect_err("no plan")
    };
    for length in [0, 1, 8192, 16_385, 49_152, 1 << 29] {
        assert_eq!(with(&|b| b.piece_length = Some(length)), BuildError::PieceLength(length));
    }
    let url = "tracker.example".to_owned();
    assert_eq!(with(&|b| b.trackers = vec![vec![url.clone()]]), BuildError::Url(url.clone()));
    assert_eq!(with(&|b| b.web_seeds = vec![url.clone()]), BuildError::Url(url.clone()));
    let plan = Builder::file("f", 5).plan().expect("a plan");
    assert!(plan.hash_piece(PieceIndex(0), b"four").is_err());
    assert!(plan.finish(&PieceDigests::default()).is_err());
}

#[test]
fn a_magnet_links_torrent_is_made_whole_by_peers() {
    let sizes = [40_000u64, 16_384 * 700 + 1, 5, 16_384];
    let mut builder = Builder::folder("box");
    for (name, size) in ["a", "b", "c", "d"].iter().zip(sizes) {
        builder.add(NewFile::new([*name], size));
    }
    builder.format = Format::V2;
    builder.piece_length = Some(16_384);
    builder.trackers = vec![vec!["udp://tracker.example:1/".to_owned()]];
    let contents: Vec<_> = sizes.iter().zip(1..).map(|(size, seed)| content(*size, seed)).collect();
    let whole = finish(builder.plan().expect("a plan"), &contents);

    // From the link and the info dictionary alone, two files lack their piece layers.
    let link = whole.magnet().to_string();
    let magnet = link.parse().expect("our own link");
    let mut fetched = Metainfo::from_info(whole.info_bytes(), &magnet).expect("the right one");
    let missing: Vec<_> = fetched.missing_layers().collect();
    let paths: Vec<_> = missing.iter().map(|at| fetched.files()[at.0 as usize].path()).collect();
    assert_eq!(paths, ["box/a", "box/b"]);
    assert_eq!(fetched.piece_hash(PieceIndex(0)), None);

    for file in missing {
        let shape = fetched.tree_shape(file).expect("a file with bytes");
        let tree = whole.tree(file).expect("the peer has the layer");
        let mut layer = Vec::new();
        for request in shape.piece_layer_requests() {
            assert_eq!(whole.file_by_root(&request.pieces_root), Some(file));
            let hashes = tree.answer(&request, &[]).expect("a request that fits");
            layer.extend_from_slice(shape.verify(&request, &hashes, None).expect("right"));
        }
        let mut wrong = layer.clone();
        wrong[1].0[7] ^= 1;
        assert!(fetched.add_layer(file, wrong).is_err());
        assert!(fetched.add_layer(file, layer[1..].to_vec()).is_err());
        // Padding at the end changes nothing of the root, but is not part of the layer.
        let mut longer = layer.clone();
        longer.push(merkle::padding(shape.piece_layer()));
        assert!(fetched.add_layer(file, longer).is_err());
        fetched = fetched.with_layer(file, layer).expect("checked");
    }
    assert_eq!(fetched, whole);
    assert_eq!(fetched.to_torrent(), whole.to_torrent());

    // Another torrent's info dictionary is none of this link's.
    let other = finish(Builder::file("f", 5).plan().expect("a plan"), &[b"hello".to_vec()]);
    assert!(Metainfo::from_info(other.info_bytes(), &magnet).is_err());
    // Nor is the same one for a link that means it as a v1 torrent.
    let as_v1 = althing_base::hash::sha1(whole.info_bytes()).to_string();
    let as_v1 = Magnet::from_info_hash(&as_v1).expect("a hash");
    assert!(Metainfo::from_info(whole.info_bytes(), &as_v1).is_err());
}

fn any_files() -> impl Strategy<Value = Vec<(String, u64)>> {
    let path = "(a|b|c|A|a\\.b|\u{e9}|x y)(/(a|b|z)){0,3}";
    let size = prop_oneof![Just(0u64), 1..100u64, Just(16_384), 1..60_000u64];
    prop::collection::btree_map(path, size, 1..8).prop_map(|files| {
        // Those that are a folder of others are left out.
        let paths: Vec<_> = files.keys().cloned().collect();
        let is_folder = |path: &str| paths.iter().any(|p| p.starts_with(&format!("{path}/")));
        files.into_iter().filter(|(path, _)| !is_folder(path)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_made_is_read_as_what_was_put_in(
        files in any_files(),
        format in prop::sample::select(vec![Format::Hybrid, Format::V1, Format::V2]),
        piece_length in prop::sample::select(vec![16_384, 32_768]),
        private: bool,
        source in prop::option::of("[a-z]{1,5}"),
    ) {
        let contents: Vec<_> = files.iter().zip(1..).map(|((_, size), seed)| content(*size, seed)).collect();
        let mut builder = Builder::folder("box");
        files.iter().for_each(|(path, size)| builder.add(NewFile::new(path.split('/'), *size)));
        builder.format = format;
        builder.piece_length = Some(piece_length);
        builder.private = private;
        builder.source = source.clone();
        let plan = match builder.plan() {
            Err(BuildError::Empty { .. }) => return Ok(()),
            plan => plan.expect("a plan"),
        };
        let layout = plan.layout().clone();
        let origins: Vec<_> = (0..layout.files().len() as u32).map(|at| plan.origin(FileIndex(at))).collect();
        let digests = hash(&plan, &contents);
        let metainfo = plan.finish(&digests).expect("a torrent");

        prop_assert_eq!(Metainfo::parse(&metainfo.to_torrent()), Ok(metainfo.clone()));
        let from_peers = Metainfo::from_info(metainfo.info_bytes(), &metainfo.magnet());
        prop_assert_eq!(from_peers.map(|m| m.info_hashes()), Ok(metainfo.info_hashes()));
        prop_assert_eq!(metainfo.info_hashes().v1().is_some(), format != Format::V2);
        prop_assert_eq!(metainfo.info_hashes().v2().is_some(), format != Format::V1);
        prop_assert_eq!((metainfo.is_private(), metainfo.source()), (private, source.as_deref()));
        prop_assert_eq!(metainfo.missing_layers().count(), 0);
        prop_assert_eq!(metainfo.total_size(), layout.total_size());
        prop_assert_eq!(metainfo.files().len(), layout.files().len());
        for ((read, planned), origin) in metainfo.files().iter().zip(layout.files()).zip(origins) {
            prop_assert_eq!((read.offset(), read.size()), (planned.offset(), planned.size()));
            prop_assert_eq!(read.is_pad(), origin.is_none());
            if let Some(origin) = origin {
                prop_assert_eq!(read.size(), files[origin].1);
            }
        }
        let found: Vec<_> = (0..metainfo.piece_count())
            .map(|piece| metainfo.piece_hash(PieceIndex(piece)).expect("all layers are known"))
            .collect();
        prop_assert_eq!(found.iter().filter_map(|hash| hash.v1).collect::<Vec<_>>(), digests.v1);
        prop_assert_eq!(
            found.iter().filter_map(|hash| Some(hash.v2?.root)).collect::<Vec<_>>(),
            digests.v2
        );
    }
}
