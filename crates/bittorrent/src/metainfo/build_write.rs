//! Writing a new torrent's info dictionary: that of BEP 3, of BEP 52, or both in one.

use super::File;
use super::build::{PieceDigests, Plan};
use althing_base::Sha256Digest;
use althing_base::bencode::Encoder;

/// The info dictionary of a plan whose pieces have been hashed. `roots` has one entry for each of
/// its files.
pub(super) fn info(plan: &Plan, digests: &PieceDigests, roots: &[Option<Sha256Digest>]) -> Vec<u8> {
    let builder = plan.builder();
    let (has_v1, has_v2) = (builder.format.has_v1(), builder.format.has_v2());
    let entries: Vec<_> = plan
        .layout()
        .files()
        .iter()
        .zip(roots)
        .map(|(file, root)| {
            let names = file.components().skip(usize::from(builder.is_folder()));
            Entry { path: names.collect(), file, root: *root }
        })
        .collect();
    let mut out = Encoder::new();
    out.dict(|out| {
        let single = if builder.is_folder() { None } else { entries.first() };
        if let Some(entry) = single.filter(|_| has_v1) {
            attributes(out, entry.file);
        }
        if has_v2 {
            let in_tree: Vec<_> = entries.iter().filter(|entry| !entry.file.is_pad()).collect();
            out.key(b"file tree").dict(|out| tree(out, &in_tree, 0));
        }
        if has_v1 {
            match single {
                Some(entry) => out.key(b"length").int(entry.file.size as i64),
                None => {
                    out.key(b"files").list(|out| entries.iter().for_each(|e| list_entry(out, e)));
                }
            }
        }
        if has_v2 {
            out.key(b"meta version").int(2);
        }
        out.key(b"name").bytes(builder.name().as_bytes());
        out.key(b"piece length").int(i64::from(plan.layout().piece_length()));
        if has_v1 {
            let pieces: Vec<u8> = digests.v1.iter().flat_map(|hash| hash.0).collect();
            out.key(b"pieces").bytes(&pieces);
        }
        if builder.private {
            out.key(b"private").int(1);
        }
        if let Some(source) = &builder.source {
            out.key(b"source").bytes(source.as_bytes());
        }
    });
    out.finish()
}

/// A file with its path below the torrent's name.
struct Entry<'a> {
    path: Vec<&'a str>,
    file: &'a File,
    root: Option<Sha256Digest>,
}

/// BEP 3, with the keys of BEP 47.
fn list_entry(out: &mut Encoder, entry: &Entry<'_>) {
    out.dict(|out| {
        attributes(out, entry.file);
        out.key(b"length").int(entry.file.size as i64);
        out.key(b"path").list(|out| entry.path.iter().for_each(|name| out.bytes(name.as_bytes())));
        symlink(out, entry.file);
    });
}

/// BEP 52: the directory that all `entries` share up to `depth`. They are in order, so that those
/// of one subdirectory are neighbours. No path is deep enough for the recursion to matter.
fn tree(out: &mut Encoder, entries: &[&Entry<'_>], depth: usize) {
    for group in entries.chunk_by(|a, b| a.path.get(depth) == b.path.get(depth)) {
        let Some(name) = group[0].path.get(depth) else { continue };
        out.key(name.as_bytes()).dict(|out| match group {
            [entry] if entry.path.len() == depth + 1 => out.key(b"").dict(|out| leaf(out, entry)),
            group => tree(out, group, depth + 1),
        });
    }
}

fn leaf(out: &mut Encoder, entry: &Entry<'_>) {
    attributes(out, entry.file);
    if !entry.file.is_symlink() {
        out.key(b"length").int(entry.file.size as i64);
    }
    if let Some(root) = entry.root {
        out.key(b"pieces root").bytes(&root.0);
    }
    symlink(out, entry.file);
}

fn attributes(out: &mut Encoder, file: &File) {
    let given = file.attributes();
    let letters =
        [(given.pad, b'p'), (given.hidden, b'h'), (given.executable, b'x'), (given.symlink, b'l')];
    let attr: Vec<u8> = letters.iter().filter(|(is, _)| *is).map(|(_, letter)| *letter).collect();
    if !attr.is_empty() {
        out.key(b"attr").bytes(&attr);
    }
}

fn symlink(out: &mut Encoder, file: &File) {
    if let Some(target) = file.symlink() {
        out.key(b"symlink path")
            .list(|out| target.split('/').for_each(|name| out.bytes(name.as_bytes())));
    }
}
