//! Reading the info dictionary: BEP 3's list of files, BEP 52's tree of files, or both in a hybrid.

use super::limits::{
    FILE_COUNT_MAX, FILE_SIZE_MAX, PATH_DEPTH_MAX, PATH_SIZE_MAX, PATHS_SIZE_MAX, PIECE_LENGTH_MAX,
    TEXT_SIZE_MAX,
};
use super::path::cut;
use super::{Attributes, File, Info, Layout, MetainfoError, NameRules, links, names};
use crate::types::{BLOCK_SIZE, InfoHashes};
use althing_base::bencode::{Dict, DictIter, List, Value};
use althing_base::hash::{sha1, sha256};
use althing_base::{Sha1Digest, Sha256Digest};
use bytes::Bytes;

/// Reads an info dictionary into what it means.
pub(super) fn parse(info: Dict<'_>, rules: NameRules) -> Result<Info, MetainfoError> {
    let version = info.int(b"meta version").unwrap_or(1);
    if version > 2 {
        return Err(MetainfoError::Version(version));
    }
    let raw = info.raw();
    let has_v1 = version < 2 || info.get(b"files").is_some() || info.get(b"length").is_some();
    let hashes = InfoHashes::new(has_v1.then(|| sha1(raw)), (version == 2).then(|| sha256(raw)))
        .expect("version 1 has the one, version 2 the other");
    let piece_length = piece_length(info, version)?;
    let name = torrent_name(info, rules)?;

    let mut reader = Reader { rules, name: &name, paths_size: 0 };
    let v1_files = match (info.get(b"files"), has_v1) {
        (Some(list), _) => {
            let list = list.as_list().ok_or(MetainfoError::FilesMalformed)?;
            Some(reader.list(list)?)
        }
        (None, true) => Some(vec![reader.single(info)?]),
        (None, false) => None,
    };
    let mut files = match (info.get(b"file tree"), version == 2) {
        (Some(tree), true) => {
            let tree = tree.as_dict().ok_or(MetainfoError::FilesMalformed)?;
            let files = reader.tree(tree, info.get(b"files").is_some())?;
            combine(files, v1_files.as_deref(), piece_length)?
        }
        (None, true) => return Err(MetainfoError::FileTreeMissing),
        (Some(_), false) => return Err(MetainfoError::VersionMissing),
        (None, false) => v1_files.unwrap_or_default(),
    };
    // BEP 52: a tree of one file has the torrent's name, whatever `name` says.
    let lone = files.first().filter(|file| version == 2 && !file.path.contains('/'));
    let name = lone.map_or(name.clone(), |file| file.path.to_string());

    if files.iter().any(File::is_symlink) {
        let given = files.clone();
        names::separate(&mut files)?;
        let targets = links::settle(&given, |index| files[index].path.clone());
        for (file, target) in files.iter_mut().zip(targets) {
            file.symlink = target;
        }
    } else {
        names::separate(&mut files)?;
    }
    let layout = Layout::new(piece_length, files)?;
    let bytes = Bytes::copy_from_slice(raw);
    let v1_pieces = if has_v1 { v1_pieces(info, &layout, &bytes)? } else { Bytes::new() };
    Ok(Info {
        hashes,
        name,
        layout,
        v1_pieces,
        private: info.int(b"private").is_some_and(|private| private != 0),
        source: info.bytes(b"source").map(text),
        bytes,
    })
}

/// Text that is only ever shown: cut to a bearable length, what is not UTF-8 replaced.
pub(super) fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(TEXT_SIZE_MAX)]);
    cut(&text, TEXT_SIZE_MAX).to_owned()
}

fn piece_length(info: Dict<'_>, version: i64) -> Result<u32, MetainfoError> {
    let given = info.int(b"piece length");
    given
        .and_then(|length| u32::try_from(length).ok())
        .filter(|&length| (1..=PIECE_LENGTH_MAX).contains(&length))
        .filter(|&length| version < 2 || (length.is_power_of_two() && length >= BLOCK_SIZE))
        .ok_or(MetainfoError::PieceLength(given))
}

/// The torrent's name made safe. What has nothing but dots is called by the SHA-1 of its info
/// dictionary if it is only the folder's name, as libtorrent does.
fn torrent_name(info: Dict<'_>, rules: NameRules) -> Result<String, MetainfoError> {
    let name = info.bytes(b"name.utf-8").or_else(|| info.bytes(b"name"));
    let name = name.ok_or(MetainfoError::NameMissing)?;
    let is_single = info.get(b"files").is_none() && info.get(b"file tree").is_none();
    match rules.sanitize(name) {
        Some(name) => Ok(name),
        None if is_single => Err(MetainfoError::NameMissing),
        None if name.is_empty() => Ok("_".to_owned()),
        None => Ok(sha1(info.raw()).to_string()),
    }
}

/// The SHA-1 hashes, as a part of `bytes`, which is the dictionary's own copy.
fn v1_pieces(info: Dict<'_>, layout: &Layout, bytes: &Bytes) -> Result<Bytes, MetainfoError> {
    let expected = u64::from(layout.piece_count()) * Sha1Digest::LEN as u64;
    let value = info.get(b"pieces");
    let pieces = value.and_then(Value::as_bytes).unwrap_or_default();
    if pieces.len() as u64 != expected {
        return Err(MetainfoError::PieceHashes { expected, found: pieces.len() });
    }
    let end = value.map_or(0, |value| value.span().end - info.span().start);
    Ok(bytes.slice(end - pieces.len()..end))
}

/// Turns entries of either kind into [`File`]s with safe paths, links not yet checked.
struct Reader<'a> {
    rules: NameRules,
    /// The torrent's.
    name: &'a str,
    paths_size: usize,
}

impl Reader<'_> {
    /// BEP 3, `files`.
    fn list(&mut self, list: List<'_>) -> Result<Vec<File>, MetainfoError> {
        let mut files = Vec::new();
        for (index, entry) in list.enumerate() {
            if index >= FILE_COUNT_MAX {
                return Err(MetainfoError::TooManyFiles { max: FILE_COUNT_MAX });
            }
            let entry = entry.as_dict().ok_or(MetainfoError::FilesMalformed)?;
            let (attributes, symlink) = self.attributes(entry, index)?;
            let size = size(entry)?;
            let given = entry.list(b"path.utf-8").or_else(|| entry.list(b"path"));
            let path = match given.map(|given| self.path(given, index)).transpose()?.flatten() {
                Some(path) => path,
                None if attributes.pad => format!(".pad/{size}"),
                None => return Err(MetainfoError::PathMissing { file: index }),
            };
            // BitComet marked its padding by name, long before BEP 47.
            let pad = attributes.pad || path.contains("_____padding_file_");
            let attributes = Attributes { pad, ..attributes };
            files.push(self.file(path, size, attributes, symlink, None)?);
        }
        Ok(files)
    }

    /// BEP 3, `length`: the torrent is one file of its own name.
    fn single(&mut self, info: Dict<'_>) -> Result<File, MetainfoError> {
        let (attributes, symlink) = self.attributes(info, 0)?;
        let size = size(info)?;
        self.file(self.name.to_owned(), size, attributes, symlink, None)
    }

    /// BEP 52, `file tree`: directories within one another, walked without recursion.
    fn tree(&mut self, tree: Dict<'_>, has_list: bool) -> Result<Vec<File>, MetainfoError> {
        let mut files = Vec::new();
        let mut path =
            if !has_list && is_one_file(tree) { String::new() } else { self.name.to_owned() };
        let mut open: Vec<(DictIter<'_>, usize)> = vec![(tree.iter(), path.len())];
        while let Some((entries, parent)) = open.last_mut() {
            let parent = *parent;
            let Some((name, entry)) = entries.next() else {
                open.pop();
                continue;
            };
            let entry = entry.as_dict().filter(|_| !name.is_empty());
            let entry = entry.ok_or(MetainfoError::FilesMalformed)?;
            path.truncate(parent);
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(&self.rules.sanitize_or_underscore(name));
            if path.len() > PATH_SIZE_MAX || open.len() > PATH_DEPTH_MAX {
                return Err(MetainfoError::PathInvalid { file: files.len(), reason: TOO_LONG });
            }
            match leaf(entry) {
                Some(_) if files.len() >= FILE_COUNT_MAX => {
                    return Err(MetainfoError::TooManyFiles { max: FILE_COUNT_MAX });
                }
                Some(leaf) => {
                    let leaf = leaf.as_dict().ok_or(MetainfoError::FilesMalformed)?;
                    files.push(self.tree_file(&path, leaf, files.len())?);
                }
                None => {
                    let len = path.len();
                    open.push((entry.iter(), len));
                }
            }
        }
        Ok(files)
    }

    fn tree_file(&mut self, path: &str, leaf: Dict<'_>, at: usize) -> Result<File, MetainfoError> {
        let (attributes, symlink) = self.attributes(leaf, at)?;
        if attributes.pad {
            return Err(MetainfoError::PadInTree { path: path.to_owned() });
        }
        let size = size(leaf)?;
        let root = leaf.bytes(b"pieces root").and_then(Sha256Digest::from_slice);
        let root = root.filter(|root| *root != Sha256Digest::ZERO && size > 0);
        if root.is_none() && size > 0 {
            return Err(MetainfoError::RootMissing { path: path.to_owned() });
        }
        self.file(path.to_owned(), size, attributes, symlink, root)
    }

    fn file(
        &mut self,
        path: String,
        size: u64,
        attributes: Attributes,
        symlink: Option<String>,
        pieces_root: Option<Sha256Digest>,
    ) -> Result<File, MetainfoError> {
        self.paths_size += path.len() + symlink.as_ref().map_or(0, String::len);
        if self.paths_size > PATHS_SIZE_MAX {
            return Err(MetainfoError::PathsTooLong { max: PATHS_SIZE_MAX });
        }
        Ok(File {
            path: path.into(),
            size,
            offset: 0,
            attributes,
            symlink: symlink.map(String::into_boxed_str),
            pieces_root,
        })
    }

    /// BEP 47, `attr` and `symlink path`. A link without a path is an ordinary, empty file.
    fn attributes(
        &self,
        entry: Dict<'_>,
        file: usize,
    ) -> Result<(Attributes, Option<String>), MetainfoError> {
        let attr = entry.bytes(b"attr").unwrap_or_default();
        let target = entry.list(b"symlink path").filter(|_| is_link(entry));
        let target = target.filter(|target| target.clone().next().is_some());
        let attributes = Attributes {
            pad: attr.contains(&b'p'),
            executable: attr.contains(&b'x'),
            hidden: attr.contains(&b'h'),
            symlink: target.is_some(),
        };
        let Some(target) = target else { return Ok((attributes, None)) };
        let mut path = String::new();
        for (depth, name) in target.enumerate() {
            let name = name.as_bytes().ok_or_else(|| not_strings(file))?;
            match name {
                b"." => continue,
                // No file has an empty name, so this leads nowhere.
                b".." => return Ok((attributes, Some(String::new()))),
                _ => {}
            }
            self.push(&mut path, name, depth, file)?;
        }
        Ok((attributes, Some(path)))
    }

    /// A file's `path` below the torrent's name; `None` if it has no components.
    fn path(&self, names: List<'_>, file: usize) -> Result<Option<String>, MetainfoError> {
        let mut path = self.name.to_owned();
        let mut count = 0;
        for name in names {
            let name = name.as_bytes().ok_or_else(|| not_strings(file))?;
            self.push(&mut path, name, count, file)?;
            count += 1;
        }
        Ok((count > 0).then_some(path))
    }

    fn push(
        &self,
        path: &mut String,
        name: &[u8],
        depth: usize,
        file: usize,
    ) -> Result<(), MetainfoError> {
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(&self.rules.sanitize_or_underscore(name));
        if path.len() > PATH_SIZE_MAX || depth >= PATH_DEPTH_MAX {
            return Err(MetainfoError::PathInvalid { file, reason: TOO_LONG });
        }
        Ok(())
    }
}

const TOO_LONG: &str = "longer or deeper than any file system allows";

fn not_strings(file: usize) -> MetainfoError {
    MetainfoError::PathInvalid { file, reason: "not a list of strings" }
}

/// A link has no bytes, whatever it says.
fn size(entry: Dict<'_>) -> Result<u64, MetainfoError> {
    if is_link(entry) {
        return Ok(0);
    }
    let given = entry.int(b"length");
    given
        .and_then(|size| u64::try_from(size).ok())
        .filter(|&size| size <= FILE_SIZE_MAX)
        .ok_or(MetainfoError::Length(given))
}

fn is_link(entry: Dict<'_>) -> bool {
    entry.bytes(b"attr").is_some_and(|attr| attr.contains(&b'l'))
}

/// What a file in a tree says of itself: a dictionary with one entry, under the empty name. An
/// empty name beside others is refused when its turn comes.
fn leaf(entry: Dict<'_>) -> Option<Value<'_>> {
    let mut entries = entry.iter();
    match (entries.next(), entries.next()) {
        (Some((b"", leaf)), None) => Some(leaf),
        _ => None,
    }
}

/// Whether a tree has nothing but one file, whose name then is the torrent's.
fn is_one_file(tree: Dict<'_>) -> bool {
    let mut entries = tree.iter();
    let first = entries.next().and_then(|(_, entry)| entry.as_dict()).and_then(leaf);
    first.is_some() && entries.next().is_none()
}

/// The files of a tree as the torrent has them: each starts at a piece (BEP 52), so there is padding
/// behind every file that does not fill its last piece, the last file too, as libtorrent counts it.
///
/// In a hybrid the list of files has to say the same. Only the padding behind the last file may be
/// missing there, and then it is not counted.
fn combine(
    tree: Vec<File>,
    list: Option<&[File]>,
    piece_length: u32,
) -> Result<Vec<File>, MetainfoError> {
    let mut files = padded(tree, piece_length);
    let Some(list) = list else { return Ok(files) };
    let last = files.iter().rposition(|file| file.size > 0).filter(|&last| files[last].is_pad());
    if let Some(last) = last
        && with_bytes(&files).count() == with_bytes(list).count() + 1
    {
        files.remove(last);
    }
    // Padding may stand before or behind empty files, and libtorrent has ordered these differently
    // over time, so only their number has to agree. It is the tree's that are made.
    let (in_tree, in_list) = (files.len(), list.len());
    compare(with_bytes(&files), with_bytes(list))?;
    if in_tree != in_list {
        let path = files.last().map_or_else(String::new, |file| file.path.to_string());
        return Err(MetainfoError::Mismatch { path });
    }
    Ok(files)
}

fn padded(tree: Vec<File>, piece_length: u32) -> Vec<File> {
    let root =
        tree.first().and_then(|file| file.components().next()).unwrap_or_default().to_owned();
    let mut files = Vec::with_capacity(tree.len());
    for file in tree {
        let excess = file.size % u64::from(piece_length);
        files.push(file);
        if excess > 0 {
            let size = u64::from(piece_length) - excess;
            files.push(File::padding(&root, size));
        }
    }
    files
}

fn with_bytes(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|file| file.size > 0)
}

fn compare<'a>(
    mut tree: impl Iterator<Item = &'a File>,
    mut list: impl Iterator<Item = &'a File>,
) -> Result<(), MetainfoError> {
    loop {
        let (tree, list) = (tree.next(), list.next());
        let same = match (tree, list) {
            (None, None) => return Ok(()),
            (Some(tree), Some(list)) => {
                tree.size == list.size
                    && tree.is_pad() == list.is_pad()
                    && (tree.is_pad() || tree.path == list.path)
            }
            _ => false,
        };
        if !same {
            let path = tree.or(list).map_or_else(String::new, |file| file.path.to_string());
            return Err(MetainfoError::Mismatch { path });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FileIndex, Metainfo};
    use super::*;
    use althing_base::bencode::Encoder;

    /// A v1 torrent "t" of these files: their paths, and what else stands in their entries.
    fn torrent(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = Encoder::new();
        out.dict(|out| {
            out.key(b"info").dict(|out| {
                out.key(b"files").list(|out| {
                    for (path, more) in files {
                        out.dict(|out| {
                            out.raw(more);
                            out.bytes(b"length");
                            out.int(5);
                            out.bytes(b"path");
                            names(out, path);
                        });
                    }
                });
                out.key(b"name").bytes(b"t");
                out.key(b"piece length").int(16_384);
                out.key(b"pieces").bytes(&[0; 20]);
            });
        });
        out.finish()
    }

    fn names(out: &mut Encoder, path: &str) {
        let names = path.split('/').filter(|_| !path.is_empty());
        out.list(|out| names.for_each(|name| out.bytes(name.as_bytes())));
    }

    fn link(target: &str) -> Vec<u8> {
        let mut out = Encoder::new();
        out.raw(b"4:attr1:l12:symlink path");
        names(&mut out, target);
        out.finish()
    }

    /// Paths, and the targets of links.
    fn check_links(files: &[(&str, Option<&str>)], expected: &[(&str, Option<&str>)]) {
        let more: Vec<_> =
            files.iter().map(|(_, target)| target.map(link).unwrap_or_default()).collect();
        let files: Vec<_> =
            files.iter().zip(&more).map(|((path, _), more)| (*path, &more[..])).collect();
        let metainfo = Metainfo::parse(&torrent(&files)).expect("a torrent");
        let found: Vec<_> = metainfo.files().iter().map(|f| (f.path(), f.symlink())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn links_stay_inside() {
        check_links(&[("f", None), ("l", Some("f"))], &[("t/f", None), ("t/l", Some("t/f"))]);
        for bad in ["..", "../f", "d/../../f", "d/..", "f/..", "/f", "/etc/passwd", "../../etc"] {
            let files = [("f", None), ("d/g", None), ("l", Some(bad))];
            check_links(&files, &[("t/f", None), ("t/d/g", None), ("t/l", None)]);
        }
        // A dot stays where it is, and a separator within a name is none.
        check_links(&[("f", None), ("l", Some("./f"))], &[("t/f", None), ("t/l", Some("t/f"))]);
        let within = [("d/f", None), ("l", Some("d\\f"))];
        check_links(&within, &[("t/d/f", None), ("t/l", None)]);
    }

    #[test]
    fn links_follow_files_that_get_another_name() {
        check_links(
            &[("d", None), ("d/f", None), ("l", Some("d"))],
            &[("t/d.1", None), ("t/d/f", None), ("t/l", Some("t/d"))],
        );
        check_links(
            &[("a", None), ("A", None), ("l", Some("A"))],
            &[("t/a", None), ("t/A.1", None), ("t/l", Some("t/A.1"))],
        );
        // A link gives way to the folder that others are in, and so never leads them elsewhere.
        check_links(
            &[("D", Some("e")), ("d/f", None), ("e/f", None)],
            &[("t/D.1", Some("t/e")), ("t/d/f", None), ("t/e/f", None)],
        );
    }

    #[test]
    fn a_link_without_a_target_is_an_empty_file() {
        let torrent = torrent(&[("f", b""), ("l", b"4:attr1:l"), ("m", &link(""))]);
        let metainfo = Metainfo::parse(&torrent).expect("a torrent");
        assert_eq!(metainfo.total_size(), 5);
        assert!(metainfo.files().iter().all(|file| !file.is_symlink()));
    }

    #[test]
    fn attributes_and_padding() {
        let files: [(&str, &[u8]); 6] = [
            ("", b"4:attr1:p"),
            ("x", b"4:attr1:x"),
            ("h", b"4:attr2:hx"),
            ("_____padding_file_0_if you see this file", b""),
            ("x", b"4:attr1:p"),
            ("y", b"4:attr3:?yz"),
        ];
        let metainfo = Metainfo::parse(&torrent(&files)).expect("a torrent");
        let found: Vec<_> = metainfo
            .files()
            .iter()
            .map(|file| (file.path(), file.is_pad(), file.is_executable(), file.is_hidden()))
            .collect();
        assert_eq!(
            found,
            [
                (".pad/5", true, false, false),
                ("t/x", false, true, false),
                ("t/h", false, true, true),
                ("t/_____padding_file_0_if you see this file", true, false, false),
                ("t/x", true, false, false),
                ("t/y", false, false, false),
            ]
        );
        assert_eq!(metainfo.name(), "t");
        assert_eq!(metainfo.file_pieces(FileIndex(5)), 0..1);
    }

    #[test]
    fn names_by_the_rules_of_the_platform() {
        let torrent = torrent(&[("con/a:b", b""), ("R.E.M./x?", b"")]);
        let paths = |rules| {
            let metainfo = Metainfo::parse_with(&torrent, rules).expect("a torrent");
            metainfo.files().iter().map(|file| file.path().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(paths(NameRules::Unix), ["t/con/a:b", "t/R.E.M./x?"]);
        assert_eq!(paths(NameRules::Windows), ["t/_con/a_b", "t/R.E.M/x_"]);
    }
}
