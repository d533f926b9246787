//! What files are, by the ends of their names: nobody looks into them.

use althing_overlay::records::Content;
use std::collections::BTreeMap;

/// Ends of names, in lower case, and what they stand for.
const ENDS: [(Content, &[&str]); 6] = [
    (
        Content::VIDEO,
        &[
            "mkv", "mp4", "avi", "m4v", "mov", "wmv", "webm", "mpg", "mpeg", "ts", "m2ts", "flv",
            "vob", "ogv",
        ],
    ),
    (
        Content::AUDIO,
        &[
            "mp3", "flac", "ogg", "oga", "opus", "m4a", "m4b", "aac", "wav", "ape", "wma", "alac",
            "aiff",
        ],
    ),
    (
        Content::TEXT,
        &[
            "epub", "pdf", "mobi", "azw3", "txt", "md", "html", "djvu", "cbr", "cbz", "doc",
            "docx", "fb2", "odt", "htm", "rtf", "tex",
        ],
    ),
    (
        Content::IMAGES,
        &["jpg", "jpeg", "png", "gif", "tif", "tiff", "webp", "svg", "raw", "heic", "bmp"],
    ),
    (
        Content::SOFTWARE,
        &[
            "iso", "img", "exe", "msi", "deb", "rpm", "dmg", "pkg", "apk", "appimage", "jar",
            "qcow2", "vmdk", "xz", "zst", "snap",
        ],
    ),
    (
        Content::DATA,
        &[
            "csv", "json", "parquet", "sqlite", "db", "xml", "npz", "hdf5", "h5", "warc", "osm",
            "pbf",
        ],
    ),
];

/// What a file of this name is.
pub(crate) fn of_name(name: &str) -> Content {
    let Some((stem, end)) = name.rsplit_once('.') else { return Content::OTHER };
    if stem.is_empty() {
        return Content::OTHER;
    }
    let end = end.to_ascii_lowercase();
    let found = ENDS.iter().find(|(_, ends)| ends.contains(&end.as_str()));
    found.map_or(Content::OTHER, |(content, _)| *content)
}

/// What files of these names and sizes in bytes are: what more than half of the bytes are.
pub(crate) fn of_files<'a>(files: impl IntoIterator<Item = (&'a str, u64)>) -> Content {
    let mut bytes: BTreeMap<Content, u64> = BTreeMap::new();
    let mut all = 0u64;
    for (name, size) in files {
        let of_kind = bytes.entry(of_name(name)).or_default();
        *of_kind = of_kind.saturating_add(size);
        all = all.saturating_add(size);
    }
    let most = bytes.into_iter().max_by_key(|(_, bytes)| *bytes);
    most.filter(|(_, bytes)| *bytes > all / 2).map_or(Content::OTHER, |(content, _)| content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_what_most_of_their_bytes_are() {
        assert_eq!(of_name("A film.MKV"), Content::VIDEO);
        assert_eq!(of_name(".mkv"), Content::OTHER);
        assert_eq!(of_name("notes"), Content::OTHER);
        let album = [("01.flac", 30), ("02.flac", 40), ("cover.jpg", 5), ("film.mkv", 60)];
        assert_eq!(of_files(album), Content::AUDIO);
        assert_eq!(of_files([("a.flac", 5), ("b.mkv", 5)]), Content::OTHER);
        assert_eq!(of_files([]), Content::OTHER);
    }
}
