//! Where a torrent's files are, and that they stay there.

mod common;

use althing_bittorrent::metainfo::FileIndex;
use althing_bittorrent::{Bitfield, PieceIndex};
use althing_store::files::Location;
use althing_store::pieces::Event;
use common::{BLOCK, Bench, Entry, Kind, Sample, random, rng, small, stored};
use std::fs;
use std::path::Path;

#[test]
fn data_is_used_where_the_user_has_it_under_any_name() {
    let sample = small(Kind::Hybrid);
    let single = Sample::single(4 * BLOCK, "f", random(&mut rng(), 100_000));
    let dir = tempfile::tempdir().unwrap();
    sample.write_files(dir.path());
    fs::rename(dir.path().join("t"), dir.path().join("my folder")).unwrap();
    fs::write(dir.path().join("my file"), &single.space).unwrap();
    let bench = Bench::new(1, 64 << 20);
    for (sample, name) in [(&sample, "my folder"), (&single, "my file")] {
        let torrent = bench.open_at(sample, Location::At(dir.path().join(name)));
        torrent.verify(Bitfield::full(sample.metainfo.piece_count()));
        let Event::Verified { have, .. } = bench.event() else { panic!("verified") };
        assert!(have.is_full(), "{name}");
        torrent.delete();
        assert!(matches!(bench.event(), Event::Closed { fault: None, .. }));
        assert!(!dir.path().join(name).exists(), "{name}");
    }
    assert!(dir.path().exists());
}

#[test]
fn only_the_torrents_own_is_deleted() {
    let sample = small(Kind::V1);
    let dir = tempfile::tempdir().unwrap();
    sample.write_files(dir.path());
    fs::write(dir.path().join("t/a/mine"), "mine").unwrap();
    let bench = Bench::new(2, 64 << 20);
    let torrent = bench.open(&sample, dir.path());
    // What is still on its way is not written after.
    sample.store(&torrent, PieceIndex(0));
    torrent.delete();
    while !matches!(bench.event(), Event::Closed { fault: None, .. }) {}
    let left = |path: &str| {
        let entries = fs::read_dir(dir.path().join(path)).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
    };
    assert_eq!(
        (left(""), left("t"), left("t/a")),
        (vec!["t".into()], vec!["a".into()], vec!["mine".into()])
    );
}

#[test]
#[cfg(unix)]
fn empty_files_links_and_executables_are_made() {
    use std::os::unix::fs::PermissionsExt;
    let mut link = Entry::new("d/link", vec![]).attr("l");
    link.link = vec!["e".to_owned(), "tool".to_owned()];
    let entries =
        [Entry::new("a/empty", vec![]), link, Entry::new("e/tool", vec![7; 100]).attr("x")];
    for kind in [Kind::V1, Kind::Hybrid] {
        let sample = Sample::new(kind, BLOCK, &entries);
        let dir = tempfile::tempdir().unwrap();
        let bench = Bench::new(1, 64 << 20);
        let torrent = bench.open(&sample, dir.path());
        for _ in 0..2 {
            torrent.prepare();
            assert_eq!(bench.event(), Event::Prepared { fault: None });
        }
        sample.store(&torrent, PieceIndex(0));
        assert_eq!(bench.event(), stored(0));
        let own = dir.path().join("t");
        assert_eq!(fs::read(own.join("a/empty")).unwrap(), b"");
        assert_eq!(fs::read_link(own.join("d/link")).unwrap(), Path::new("../e/tool"));
        assert_eq!(fs::read(own.join("d/link")).unwrap(), [7; 100]);
        let mode = fs::metadata(own.join("e/tool")).unwrap().permissions().mode();
        assert_eq!(mode & 0o100, 0o100);
        torrent.delete();
        assert!(matches!(bench.event(), Event::Closed { fault: None, .. }));
        assert!(!own.exists());
    }
}

#[test]
#[cfg(unix)]
fn padding_is_never_on_disk_and_links_never_lead_out() {
    use std::os::unix::fs::PermissionsExt;
    let link = |path: &str, target: &[&str]| {
        let mut link = Entry::new(path, vec![]).attr("l");
        link.link = target.iter().map(|part| (*part).to_owned()).collect();
        link
    };
    let rng = &mut rng();
    let entries = [
        Entry::new("a", random(rng, 20_000)),
        link("l1", &["..", "secret"]),
        link("l2", &["", "etc", "passwd"]),
        link("l3", &["l1"]),
        link("l4", &["nowhere"]),
        link("l5", &["z", "tool"]),
        Entry::new("plain", random(rng, 20_000)),
        Entry::new("z/tool", random(rng, 100)).attr("x"),
    ];
    for kind in [Kind::V2, Kind::Hybrid] {
        let sample = Sample::new(kind, 2 * BLOCK, &entries);
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("secret"), "secret").unwrap();
        let downloads = dir.path().join("downloads");
        let bench = Bench::new(2, 64 << 20);
        let torrent = bench.open(&sample, &downloads);
        torrent.prepare();
        assert_eq!(bench.event(), Event::Prepared { fault: None });
        torrent.allocate((0..sample.metainfo.files().len() as u32).map(FileIndex).collect());
        assert_eq!(bench.event(), Event::Prepared { fault: None });
        for piece in sample.pieces() {
            sample.store(&torrent, piece);
            assert_eq!(bench.event(), stored(piece.0));
        }
        sample.assert_files(&downloads);
        let own = downloads.join("t");
        let mut names: Vec<_> = fs::read_dir(&own)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["a", "l5", "plain", "z"], "{kind:?}");
        assert_eq!(fs::read_link(own.join("l5")).unwrap(), Path::new("z/tool"));
        let mode = |path: &str| fs::metadata(own.join(path)).unwrap().permissions().mode() & 0o111;
        assert_eq!((mode("plain"), mode("z/tool") & 0o100), (0, 0o100));
        assert_eq!(fs::read(dir.path().join("secret")).unwrap(), b"secret");
    }
}

#[test]
#[cfg(unix)]
fn a_planted_link_is_refused_and_what_it_leads_to_untouched() {
    let sample = small(Kind::V1);
    let dir = tempfile::tempdir().unwrap();
    let downloads = dir.path().join("downloads");
    let secret = dir.path().join("secret");
    fs::write(&secret, vec![5; 200_000]).unwrap();
    let cases = [
        ("t/a", "t/a/one", "../../../secret", false),
        ("t", "t/a", "..", false),
        ("", "t", "..", false),
        // It stays in the torrent's own folder, so it may be followed.
        ("t", "t/a", ".", true),
    ];
    for (folder, link, target, fine) in cases {
        fs::create_dir_all(downloads.join(folder)).unwrap();
        std::os::unix::fs::symlink(target, downloads.join(link)).unwrap();
        let bench = Bench::new(1, 64 << 20);
        let torrent = bench.open(&sample, &downloads);
        sample.store(&torrent, PieceIndex(0));
        let answer = bench.event();
        assert_eq!(answer == stored(0), fine, "{link}: {answer:?}");
        torrent.delete();
        bench.event();
        assert_eq!(fs::read(&secret).unwrap(), vec![5; 200_000]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        let _ = fs::remove_dir_all(&downloads);
    }
}
