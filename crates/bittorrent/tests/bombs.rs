//! Torrents made to hurt: small files that would take forever or all memory if they were believed.
//! Each of these ends within moments, or the test run shows it.

use althing_base::Sha256Digest;
use althing_base::bencode::{Encoder, Error as Bencode};
use althing_base::hash::sha256;
use althing_bittorrent::metainfo::limits::{
    INFO_SIZE_MAX, PATHS_SIZE_MAX, PIECE_COUNT_MAX, TORRENT_SIZE_MAX,
};
use althing_bittorrent::metainfo::{FileIndex, Magnet, Metainfo, MetainfoError, merkle};

/// A torrent with these entries in its info dictionary, in order, and `pieces` of one hash.
fn torrent(info: impl FnOnce(&mut Encoder)) -> Vec<u8> {
    let mut out = Encoder::new();
    out.dict(|out| out.key(b"info").dict(info));
    out.finish()
}

fn v1_files(files: impl FnOnce(&mut Encoder)) -> Vec<u8> {
    torrent(|out| {
        out.key(b"files").list(files);
        out.key(b"name").bytes(b"bomb");
        out.key(b"piece length").int(16_384);
        out.key(b"pieces").bytes(&[0; 20]);
    })
}

fn entry(out: &mut Encoder, length: i64, path: &[&[u8]]) {
    out.dict(|out| {
        out.key(b"length").int(length);
        out.key(b"path").list(|out| path.iter().for_each(|name| out.bytes(name)));
    });
}

fn v2(piece_length: i64, tree: impl FnOnce(&mut Encoder)) -> Vec<u8> {
    torrent(|out| {
        out.key(b"file tree").dict(tree);
        out.key(b"meta version").int(2);
        out.key(b"name").bytes(b"bomb");
        out.key(b"piece length").int(piece_length);
    })
}

fn leaf(out: &mut Encoder, name: &[u8], length: i64, root: &[u8; 32]) {
    out.key(name).dict(|out| {
        out.key(b"").dict(|out| {
            out.key(b"length").int(length);
            out.key(b"pieces root").bytes(root);
        });
    });
}

fn check(torrent: &[u8], expected: MetainfoError) {
    assert_eq!(Metainfo::parse(torrent), Err(expected));
}

#[test]
fn nesting() {
    let lists = b"l".repeat(100_000);
    check(&lists, Bencode::TooDeep { at: 100, limit: 100 }.into());
    let too_deep = [b"d4:infod5:files".as_slice(), &lists].concat();
    assert!(matches!(Metainfo::parse(&too_deep), Err(MetainfoError::Bencode(_))));
}

#[test]
fn sizes_that_no_disk_has() {
    for length in [1 << 60, i64::MAX, -1] {
        check(&v1_files(|out| entry(out, length, &[b"f"])), MetainfoError::Length(Some(length)));
        let huge = v2(16_384, |out| leaf(out, b"f", length, &[1; 32]));
        check(&huge, MetainfoError::Length(Some(length)));
    }
    let largest = (1i64 << 44) - 16_385;
    let count = (largest as u64).div_ceil(16_384);
    let too_many = MetainfoError::TooManyPieces { count, max: PIECE_COUNT_MAX };
    check(&v1_files(|out| entry(out, largest, &[b"f"])), too_many);
    let many_huge = v1_files(|out| {
        for n in 0..100_000 {
            entry(out, largest, &[n.to_string().as_bytes()]);
        }
    });
    assert!(matches!(Metainfo::parse(&many_huge), Err(MetainfoError::TooManyPieces { .. })));
}

#[test]
fn more_bytes_than_are_read() {
    let size = TORRENT_SIZE_MAX + 1;
    check(&vec![b'l'; size], MetainfoError::TooLarge { size, max: TORRENT_SIZE_MAX });
    let magnet = Magnet::from_info_hash(&"a".repeat(40)).expect("a hash");
    let size = INFO_SIZE_MAX + 1;
    let refused = Metainfo::from_info(&vec![b'l'; size], &magnet);
    assert_eq!(refused, Err(MetainfoError::TooLarge { size, max: INFO_SIZE_MAX }));
}

#[test]
fn a_hundred_thousand_empty_files() {
    let empty = v1_files(|out| {
        for n in 0..100_000 {
            entry(out, 0, &[n.to_string().as_bytes()]);
        }
    });
    check(&empty, MetainfoError::Length(Some(0)));
    let same = v1_files(|out| (0..100_000).for_each(|_| entry(out, 0, &[b"f"])));
    check(&same, MetainfoError::TooManyDuplicates { path: "bomb/f".to_owned() });
    // Names that are taken by the numbers which others would get.
    let numbered = v1_files(|out| {
        for n in 1..100_000 {
            entry(out, 0, &[format!("f.{n}").as_bytes()]);
        }
        (0..100).for_each(|_| entry(out, 0, &[b"f"]));
    });
    check(&numbered, MetainfoError::TooManyDuplicates { path: "bomb/f".to_owned() });
}

#[test]
fn short_names_in_long_directories() {
    let directory = [b'd'; 250];
    let mut tree = Encoder::new();
    // Sixteen directories in one another, each name written once.
    for _ in 0..16 {
        tree.raw(b"250:");
        tree.raw(&directory);
        tree.raw(b"d");
    }
    for n in 0..100_000 {
        let name = format!("{n:06}");
        tree.raw(format!("6:{name}d0:d6:lengthi0eee").as_bytes());
    }
    tree.raw(&[b'e'; 16]);
    let tree = tree.finish();
    check(&v2(16_384, |out| out.raw(&tree)), MetainfoError::PathsTooLong { max: PATHS_SIZE_MAX });
    let deep = v1_files(|out| entry(out, 1, &vec![&b"d"[..]; 3000]));
    assert!(matches!(Metainfo::parse(&deep), Err(MetainfoError::PathInvalid { file: 0, .. })));
}

#[test]
fn directories_without_end() {
    // Every file in ninety directories of its own: to remember each of these as text would take
    // forty times the torrent.
    let filler = [b'd'; 40];
    let torrent = v1_files(|out| {
        for n in 0..2_000 {
            let first = n.to_string();
            let mut path = vec![&filler[..]; 90];
            path[0] = first.as_bytes();
            entry(out, 1, &path);
        }
    });
    let metainfo = Metainfo::parse(&torrent).expect("only unusual");
    assert_eq!(metainfo.files().len(), 2_000);
}

#[test]
fn piece_layers_over_and_over() {
    // Thousands of files of one content share a layer, which stands there thousands of times.
    let layer = [sha256(b"one"), sha256(b"two")];
    let root = merkle::layer_root(&layer, 16_384);
    let hashes: Vec<u8> = layer.iter().flat_map(|hash: &Sha256Digest| hash.0).collect();
    let torrent = v2(16_384, |out| {
        for n in 0..20_000 {
            leaf(out, format!("{n:06}").as_bytes(), 32_768, &root.0);
        }
    });
    let mut torrent = torrent[..torrent.len() - 1].to_vec();
    torrent.extend_from_slice(b"12:piece layersd");
    for _ in 0..20_000 {
        torrent.extend_from_slice(b"32:");
        torrent.extend_from_slice(&root.0);
        torrent.extend_from_slice(b"64:");
        torrent.extend_from_slice(&hashes);
    }
    torrent.extend_from_slice(b"ee");
    let metainfo = Metainfo::parse(&torrent).expect("only wasteful");
    assert_eq!(metainfo.missing_layers().count(), 0);
    assert_eq!(metainfo.piece_layer(FileIndex(19_999)), Some(&layer[..]));
}

#[test]
fn links_to_links() {
    let link = |out: &mut Encoder, from: &str, to: &str| {
        out.dict(|out| {
            out.key(b"attr").bytes(b"l");
            out.key(b"path").list(|out| out.bytes(from.as_bytes()));
            out.key(b"symlink path")
                .list(|out| to.split('/').for_each(|n| out.bytes(n.as_bytes())));
        });
    };
    let chain = v1_files(|out| {
        entry(out, 1, &[b"100000"]);
        for n in 0..100_000 {
            link(out, &n.to_string(), &(n + 1).to_string());
        }
    });
    let metainfo = Metainfo::parse(&chain).expect("long chains are cut");
    assert!(metainfo.files().iter().any(|file| file.symlink().is_some()));
    // Each doubles the path of the one before, and all lead back.
    let doubling = v1_files(|out| {
        entry(out, 1, &[b"f"]);
        for n in 0..1000 {
            link(out, &format!("l{n}"), &format!("l{0}/l{0}", (n + 1) % 1000));
        }
    });
    let metainfo = Metainfo::parse(&doubling).expect("bad links are left out");
    assert!(metainfo.files().iter().all(|file| file.symlink().is_none()));
}

#[test]
fn lists_beside_the_info_dictionary() {
    let mut out = Encoder::new();
    out.dict(|out| {
        out.key(b"announce-list").list(|out| {
            for n in 0..100_000 {
                out.list(|out| out.bytes(format!("udp://tracker{n}.example/").as_bytes()));
            }
        });
        out.key(b"comment").bytes(&vec![0xff; 1_000_000]);
        out.key(b"info")
            .raw(b"d6:lengthi1e4:name1:f12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae");
        out.key(b"nodes").list(|out| {
            for _ in 0..100_000 {
                out.list(|out| {
                    out.bytes(b"node.example");
                    out.int(6881);
                });
            }
        });
        out.key(b"url-list").list(|out| {
            for n in 0..100_000 {
                out.bytes(format!("http://seed{n}.example/").as_bytes());
            }
        });
    });
    let metainfo = Metainfo::parse(&out.finish()).expect("only wasteful");
    assert_eq!(metainfo.trackers().len(), 1_000);
    assert_eq!(metainfo.nodes().len(), 1_000);
    assert_eq!(metainfo.web_seeds().len(), 1_000);
    assert!(metainfo.comment().is_some_and(|comment| comment.len() <= 64 * 1024));
}
